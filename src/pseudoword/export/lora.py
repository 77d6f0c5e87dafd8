"""LoRA and DoRA for diffusers' loader, and new words beside them."""

from pathlib import Path
from typing import Any

from torch import Tensor

from pseudoword.artefact import LoadedRun
from pseudoword.export import words
from pseudoword.export.parts import (
    adapted_parts,
    adapter_name,
    diffusers_phrase,
    new_words,
    onto_base,
    pipeline_of,
    save,
    tuner_layers,
)
from pseudoword.export.verify import Reloaded, require_adapters
from pseudoword.families.model import Model

FILE = "pytorch_lora_weights.safetensors"
READ = ("unet", "transformer", "text_encoder", "text_encoder_2")
"""The parts that `load_lora_weights` gives adapters: not T5."""


def write(run: LoadedRun, folder: Path) -> str:
    """`unet.<module>.lora_A.weight` and its kin, and an embedding file, where there are any.

    The scale is multiplied into the second factor, because many readers of this format take it
    for 1 whatever alpha was.
    """
    tensors: dict[str, Tensor] = {}
    for part, module in adapted_parts(run.model).items():
        prefix = f"{part}.{_nesting(part, module)}"
        name = adapter_name(module)
        for layer, tuner in tuner_layers(module).items():
            scale = tuner.scaling[name]
            tensors[f"{prefix}{layer}.lora_A.weight"] = tuner.lora_A[name].weight
            tensors[f"{prefix}{layer}.lora_B.weight"] = tuner.lora_B[name].weight * scale
            if name in tuner.lora_magnitude_vector:
                vector = tuner.lora_magnitude_vector[name].weight
                # Without the last word transformers would drop it from a text encoder.
                tensors[f"{prefix}{layer}.lora_magnitude_vector.weight"] = vector
    if tensors:
        save(folder / FILE, tensors)
    if new_words(run.model):
        words.write_diffusers(run, folder)
    return "."


def _nesting(part: str, module: Any) -> str:
    """Older transformers call the text model's modules text_model.*; all loaders know that name."""
    nested = any(name.startswith("text_model.") for name, _ in module.named_modules())
    return "" if nested or not part.startswith("text_encoder") else "text_model."


def reload(run: LoadedRun, untouched: Model, path: Path) -> Reloaded:
    """Through `load_lora_weights` and `load_textual_inversion`."""
    pipeline, loaders = pipeline_of(untouched), []
    if adapted_parts(run.model):
        load_lora(pipeline, path / FILE)
        require_adapters(untouched, run.model)
        loaders.append("load_lora_weights of diffusers")
    if new_words(run.model):
        file = path / words.DIFFUSERS_FILE
        loaders.append(words.load_words(run, untouched, pipeline, file))
    return Reloaded(pipeline, diffusers_phrase(run), ", ".join(loaders))


def load_lora(pipeline: Any, file: Path) -> None:
    pipeline.load_lora_weights(file.parent, weight_name=file.name, local_files_only=True)


def usage(run: LoadedRun, main: str) -> list[str]:
    lines = []
    if adapted_parts(run.model):
        lines.append(f'pipeline.load_lora_weights(".", weight_name="{FILE}")')
    if new_words(run.model):
        lines += words.usage(run, words.DIFFUSERS_FILE)
    return onto_base(run.model, lines)
