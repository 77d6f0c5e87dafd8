"""Embeddings of other programs: rows of vectors for each text encoder, under a word of the phrase.

A1111's and ComfyUI's files hold `emb_params`, `clip_l` and `clip_g`, or a pickle with
`string_to_param`; diffusers' learned_embeds has the word itself for a key.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from pseudoword.errors import UserError
from pseudoword.foreign.files import PICKLES, Tensors, read_pickle
from pseudoword.methods.words import add_words

if TYPE_CHECKING:
    from pseudoword.families.model import Model

ENCODERS = ("clip_l", "clip_g", "t5xxl")
"""What files call the vectors of each text encoder, in our order."""
MOST_VECTORS = 75
"""A prompt has no room for more."""


def looks_like_embedding(tensors: Mapping[str, Tensor]) -> bool:
    """One tensor, or those of the text encoders, and each of them rows of vectors."""
    named = len(tensors) == 1 or set(tensors) <= set(ENCODERS)
    return named and all(value.ndim in (1, 2) for value in tensors.values())


def pickled_embedding(path: Path) -> Tensors:
    """The tensors of A1111's .pt or diffusers' .bin. Raises UserError for any other pickle."""
    held = read_pickle(path)
    if isinstance(held, Mapping) and isinstance(held.get("string_to_param"), Mapping):
        held = held["string_to_param"]
    tensors = {
        str(key): value.detach()
        for key, value in (held.items() if isinstance(held, Mapping) else ())
        if isinstance(value, Tensor)
    }
    if (
        not isinstance(held, Mapping)
        or len(tensors) < len(held)
        or not looks_like_embedding(tensors)
    ):
        raise UserError(
            f"{path} is no embedding: of {' and '.join(PICKLES)} files only embeddings are read.\n"
            "Convert another artefact to .safetensors."
        )
    return Tensors(path, tensors, {})


def put_embedding(file: Tensors, model: "Model", phrase: str) -> str:
    """Adds the vectors as new words; returns the phrase as this model's prompts must word it.

    Raises UserError where the vectors are not those of the model's text encoders, or the phrase
    does not tell which of its words they are.
    """
    rows = _rows(file, model)
    word = _word(file, phrase)
    count = len(rows[0])
    if any(len(part) != count for part in rows):
        raise UserError(f"{file.path} has more vectors for one text encoder than for another.")
    # Tokens of our own: a user's word may be one that the model knows, or part of others.
    tokens = [f"<given-{index}>" for index in range(count)]
    for parameter in add_words(model, tokens, [part.to(model.device) for part in rows]):
        parameter.requires_grad_(False)
    return " ".join(" ".join(tokens) if part == word else part for part in phrase.split())


def _rows(file: Tensors, model: "Model") -> list[Tensor]:
    """Vectors (n, width) for each text encoder."""
    tensors = file.tensors
    wanted = ENCODERS[: len(model.text_encoders)]
    widths = [e.get_input_embeddings().weight.shape[1] for e in model.text_encoders]
    if len(wanted) == 1 and len(tensors) == 1:
        found = list(tensors.values())
    elif set(tensors) == set(wanted):
        found = [tensors[name] for name in wanted]
    else:
        raise UserError(
            f"{file.path} holds {', '.join(tensors)}, and {model.name} reads vectors for "
            f"{len(wanted)} text encoder{'s' if len(wanted) > 1 else ''} ({', '.join(wanted)}):\n"
            "name the model that it was made for."
        )
    return [_checked(file, model, *pair) for pair in zip(found, widths, strict=True)]


def _checked(file: Tensors, model: "Model", value: Tensor, width: int) -> Tensor:
    """The rows; their size is told before they are computed with, for it is the file's choice."""
    count = 1 if value.ndim == 1 else value.shape[0]
    if value.ndim == 0 or value.shape[-1] != width or not 1 <= count <= MOST_VECTORS:
        held = " x ".join(map(str, value.shape)) or "single"
        raise UserError(
            f"{file.path} holds {held} numbers, and {model.name} reads up to {MOST_VECTORS} "
            f"vectors of {width}:\nname the model that it was made for."
        )
    if not value.is_floating_point() or value.layout != torch.strided or value.is_meta:
        raise UserError(f"{file.path} holds no plain numbers ({value.dtype}): fetch it again.")
    rows = value.detach().float().reshape(count, width)
    if not bool(torch.isfinite(rows).all()):
        raise UserError(f"{file.path} holds numbers that are not finite: fetch it again.")
    return rows


def _word(file: Tensors, phrase: str) -> str:
    """The word of the phrase that the vectors are: the file's own, or the one that is marked."""
    words = phrase.split()
    own: list[Any] = [*file.tensors, file.path.stem]
    choices = [word for word in words if word in own]
    choices = choices or [word for word in words if word[0] == "<" and word[-1] == ">"]
    choices = choices or (words if len(words) == 1 else [])
    if len(set(choices)) != 1 or words.count(choices[0]) != 1:
        raise UserError(
            f"--artefact {phrase}={file.path}: which word of the phrase is the embedding?\n"
            'Write it once, in angle brackets: "<my-mug> mug".'
        )
    return choices[0]
