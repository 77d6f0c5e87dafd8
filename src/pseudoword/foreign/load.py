"""A given artefact in an untouched model."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pseudoword.errors import UserError
from pseudoword.foreign.adapter import adapter_folders, read_adapters
from pseudoword.foreign.embedding import looks_like_embedding, pickled_embedding, put_embedding
from pseudoword.foreign.files import PICKLES, Tensors, read_safetensors
from pseudoword.foreign.given import Given
from pseudoword.foreign.merge import Merge, read_lora

if TYPE_CHECKING:
    from pseudoword.families.model import Model

DIFFUSERS_FILE = "pytorch_lora_weights.safetensors"
WHOLE = ("model.diffusion_model.", "cond_stage_model.", "conditioner.embedders.")


@dataclass(frozen=True, eq=False)
class Loaded:
    """A model with an artefact in it; prompts word the concept by `noun_phrase`.

    `merge` can change its strength; it is None where the artefact is an embedding.
    """

    model: "Model"
    noun_phrase: str
    merge: Merge | None
    notes: tuple[str, ...] = ()


def put_given(model: "Model", given: Given) -> Loaded:
    """Puts an artefact into an untouched model, at its strength. Raises UserError."""
    content = _read(given.path)
    if isinstance(content, Tensors) and looks_like_embedding(content.tensors):
        if given.strength != 1:
            raise UserError(
                f"{given.path} is an embedding, which has no strength: leave out "
                f"@{given.strength:g}."
            )
        return Loaded(model, put_embedding(content, model, given.phrase), None)
    if isinstance(content, Tensors):
        merge = read_lora(content, model)
    else:
        merge = read_adapters(content, model)
    merge.set_strength(given.strength)
    notes = (f"{given.path} changes no weight: it was hardly trained",)
    return Loaded(model, given.phrase, merge, notes if merge.changes_nothing else ())


def _read(path: Path) -> Tensors | Path:
    """The tensors of a file, or the folder of an adapter of peft's. Raises UserError."""
    if path.is_dir():
        if adapter_folders(path):
            return path
        if (path / DIFFUSERS_FILE).is_file():
            return read_safetensors(path / DIFFUSERS_FILE)
        raise UserError(
            f"{path} is a folder without adapter_config.json or {DIFFUSERS_FILE}:\n"
            "name the .safetensors file itself; a run's folder must be exported first."
        )
    if path.suffix in PICKLES:
        return pickled_embedding(path)
    if path.suffix != ".safetensors":
        raise UserError(
            f"{path} is no .safetensors file, and other formats may run code when they are read:\n"
            "convert it to .safetensors."
        )
    content = read_safetensors(path)
    if any(key.startswith(WHOLE) for key in content.tensors):
        raise UserError(
            f"{path} is a whole model, not an artefact beside one: name it with --model."
        )
    return content
