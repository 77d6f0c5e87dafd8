"""Adapters as PEFT's folders, one for each part, and new words beside them."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from pseudoword.artefact import LoadedRun
from pseudoword.export import words
from pseudoword.export.parts import (
    adapted_parts,
    adapter_name,
    diffusers_phrase,
    named_parts,
    new_words,
    onto_base,
    pipeline_of,
    save,
)
from pseudoword.export.verify import Reloaded, require_adapters
from pseudoword.families.model import Model


def write(run: LoadedRun, folder: Path) -> str:
    """The denoiser's adapter in `folder`, each text encoder's in one of that part's name."""
    from peft import get_peft_model_state_dict

    for part, module in adapted_parts(run.model).items():
        place, name = folder / _place(run.model, part), adapter_name(module)
        place.mkdir(exist_ok=True)
        # Asked to see for itself whether embeddings changed, peft would look on the hub.
        state = get_peft_model_state_dict(module, adapter_name=name, save_embedding_layers=False)
        tensors = {f"base_model.model.{key}": value for key, value in state.items()}
        save(place / "adapter_model.safetensors", tensors)
        config = module.peft_config[name]
        # The folder that the model was loaded from is no business of the adapter's users.
        changes: dict[str, Any] = {"base_model_name_or_path": None, "inference_mode": True}
        changes["target_modules"] = sorted(config.target_modules)
        replace(config, **changes).save_pretrained(str(place))
    if new_words(run.model):
        words.write_diffusers(run, folder)
    return "."


def _place(model: Model, part: str) -> str:
    return "." if part == model.DENOISER else part


def reload(run: LoadedRun, untouched: Model, path: Path) -> Reloaded:
    """Through `PeftModel.from_pretrained`, which puts the adapter into the parts themselves."""
    from peft import PeftModel

    for part, module in named_parts(untouched).items():
        place = path / _place(untouched, part)
        if (place / "adapter_config.json").is_file():
            PeftModel.from_pretrained(module, str(place))
    require_adapters(untouched, run.model)
    pipeline, loaders = pipeline_of(untouched), ["PeftModel.from_pretrained of peft"]
    if new_words(run.model):
        file = path / words.DIFFUSERS_FILE
        loaders.append(words.load_words(run, untouched, pipeline, file))
    return Reloaded(pipeline, diffusers_phrase(run), ", ".join(loaders))


def usage(run: LoadedRun, main: str) -> list[str]:
    lines = ["from peft import PeftModel"]
    for part in adapted_parts(run.model):
        lines.append(f'PeftModel.from_pretrained(pipeline.{part}, "{_place(run.model, part)}")')
    if new_words(run.model):
        lines += words.usage(run, words.DIFFUSERS_FILE)
    return onto_base(run.model, lines)
