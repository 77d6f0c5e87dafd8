"""The parts of a model that a run taught, and the tuner layers and new words in them."""

import copy
from typing import Any

import torch
from torch import Tensor, nn

from pseudoword.artefact import LoadedRun
from pseudoword.families.model import Model
from pseudoword.generate import make_sampler
from pseudoword.methods.words import WithNewRows
from pseudoword.runs import slug
from pseudoword.settings import GenerateSettings


def named_parts(model: Model) -> dict[str, Any]:
    """Denoiser and text encoders by their folders in the diffusers layout."""
    encoders = {
        "text_encoder" + (f"_{index + 1}" if index else ""): encoder
        for index, encoder in enumerate(model.text_encoders)
    }
    return {model.DENOISER: model.denoiser, **encoders}


def tuner_layers(part: nn.Module) -> dict[str, Any]:
    """The layers of `part` that have an adapter beside them, by name; empty without any."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    return {n: module for n, module in part.named_modules() if isinstance(module, BaseTunerLayer)}


def adapted_parts(model: Model) -> dict[str, Any]:
    """Those of `named_parts` that have adapters."""
    return {name: part for name, part in named_parts(model).items() if tuner_layers(part)}


def adapter_name(part: Any) -> str:
    """What peft calls the adapter of a part. Raises RuntimeError where there are several."""
    names = list(part.peft_config)
    if len(names) != 1:
        raise RuntimeError(f"a part with the adapters {names} cannot be exported: it must have one")
    return str(names[0])


def adapter_kinds(model: Model) -> set[str]:
    """What adapters there are: "lora", "dora", "loha", or what else peft calls them."""
    kinds = set()
    for part in adapted_parts(model).values():
        config = part.peft_config[adapter_name(part)]
        kind = config.peft_type.value.lower()
        kinds.add("dora" if getattr(config, "use_dora", False) else kind)
    return kinds


@torch.no_grad()
def merged_weight(layer: Any, strength: float = 1.0) -> Tensor:
    """The one matrix or kernel that does what a layer and its adapter do at a strength."""
    # In a copy, for to merge and to take back again would leave rounding behind.
    merged = copy.deepcopy(layer)
    merged.merge()
    weight: Tensor = merged.get_base_layer().weight.detach()
    if strength == 1:
        return weight
    base: Tensor = layer.get_base_layer().weight.detach()
    return base + strength * (weight - base)


def change(layer: Any) -> Tensor:
    """What an adapter changes in its layer's matrix or kernel."""
    weight: Tensor = layer.get_base_layer().weight.detach()
    return merged_weight(layer) - weight


def new_words(model: Model) -> list[str]:
    """The words that a run added, as its tokenizers know them; empty without any."""
    for encoder, tokenizer in zip(model.text_encoders, model.tokenizers, strict=True):
        table = encoder.get_input_embeddings()
        if isinstance(table, WithNewRows):
            ids = range(table.first, table.first + len(table.rows))
            return [str(word) for word in tokenizer.convert_ids_to_tokens(list(ids))]
    return []


def word_rows(model: Model) -> list[Tensor]:
    """The embeddings (n, width) of the new words, one tensor for each text encoder."""
    return [encoder.get_input_embeddings().rows.detach() for encoder in model.text_encoders]


def phrase_with(run: LoadedRun, word: str) -> str:
    """How prompts word the concept where `word` stands for the new words, if there are any."""
    words = new_words(run.model)
    return run.noun_phrase.replace(" ".join(words), word) if words else run.noun_phrase


def pipeline_of(model: Model) -> Any:
    """The family's diffusers pipeline, which shares these parts and samples as pseudoword does."""
    return model.pipeline(make_sampler(model, GenerateSettings()))


def diffusers_phrase(run: LoadedRun) -> str:
    """How prompts to diffusers word the concept.

    Most pipelines add the words of further vectors to a prompt themselves.
    """
    words = new_words(run.model)
    expands = words and hasattr(pipeline_of(run.model), "maybe_convert_prompt")
    return phrase_with(run, words[0]) if expands else run.noun_phrase


def absent_parts(model: Model) -> list[str]:
    """The parts that its family may have and this model lacks."""
    parts = named_parts(model)
    present = {*parts, *(name.replace("text_encoder", "tokenizer") for name in parts)}
    return sorted(model.OPTIONAL - present)


def onto_base(model: Model, lines: list[str]) -> list[str]:
    """Lines of Python that load the base model, before those that load into its `pipeline`."""
    absent = "".join(f", {name}=None" for name in absent_parts(model))
    imports = [line for line in lines if line.startswith("from ")]
    # DiffusionPipeline itself does not read single files.
    single = model.name.endswith(".safetensors")
    kind = type(model.pipeline(None)).__name__ if single else "DiffusionPipeline"
    return [
        f"from diffusers import {kind}",
        *imports,
        "",
        f"pipeline = {kind}.from_{'single_file' if single else 'pretrained'}(BASE{absent})",
        *(line for line in lines if line not in imports),
    ]


def file_stem(run: LoadedRun) -> str:
    """A file name without suffix: "sks-mug"."""
    return slug(run.noun_phrase)


def save(path: Any, tensors: dict[str, Tensor], metadata: dict[str, str] | None = None) -> None:
    """Writes tensors as safetensors."""
    from safetensors.torch import save_file

    found = {key: value.detach().cpu().contiguous() for key, value in tensors.items()}
    save_file(found, path, {"format": "pt"} if metadata is None else metadata)
