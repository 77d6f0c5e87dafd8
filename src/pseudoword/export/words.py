"""New words as embedding files: for diffusers, and for A1111 and ComfyUI."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pseudoword.artefact import LoadedRun
from pseudoword.export.parts import (
    diffusers_phrase,
    new_words,
    onto_base,
    pipeline_of,
    save,
    word_rows,
)
from pseudoword.export.verify import Reloaded, require_equal
from pseudoword.families.model import Model
from pseudoword.methods.words import LEGACY_END, mark_end
from pseudoword.runs import slug

DIFFUSERS_FILE = "learned_embeds.safetensors"
A1111_KEY = "emb_params"
ENCODER_KEYS = ("clip_l", "clip_g", "t5xxl")
"""What files for several text encoders call their embeddings."""


def write_diffusers(run: LoadedRun, folder: Path) -> None:
    """The vectors (n, width) under the word, or where there are several encoders, under theirs."""
    save(folder / DIFFUSERS_FILE, _tensors(run, new_words(run.model)[0]))


def write_a1111(run: LoadedRun, folder: Path) -> str:
    """The vectors as `emb_params`, or by encoder; programs take the file's name as the word."""
    name = f"{file_word(run)}.safetensors"
    save(folder / name, _tensors(run, A1111_KEY))
    return name


def file_word(run: LoadedRun) -> str:
    """The word that A1111 and ComfyUI know the embedding by: "concept-mug"."""
    return slug(f"{new_words(run.model)[0]} {run.run['class_noun']}")


def reload_a1111(run: LoadedRun, untouched: Model, path: Path) -> Reloaded:
    """Through diffusers, which reads these files too."""
    pipeline = pipeline_of(untouched)
    loader = load_words(run, untouched, pipeline, path)
    return Reloaded(pipeline, diffusers_phrase(run), loader)


def _tensors(run: LoadedRun, single: str) -> dict[str, Tensor]:
    rows = word_rows(run.model)
    return dict(zip([single] if len(rows) == 1 else ENCODER_KEYS, rows, strict=False))


def load_words(run: LoadedRun, untouched: Model, pipeline: Any, path: Path) -> str:
    """Loads a file into a pipeline that shares the parts of `untouched`, and compares the rows.

    Returns what loaded them.
    """
    from safetensors.torch import load_file

    words = new_words(run.model)
    encoders = list(zip(untouched.text_encoders, untouched.tokenizers, strict=True))
    if not hasattr(pipeline, "load_textual_inversion"):
        tensors = load_file(path)
        for key, (encoder, tokenizer) in zip(ENCODER_KEYS, encoders, strict=False):
            put_words(encoder, tokenizer, words, tensors[key])
        loader = "add_tokens and resize_token_embeddings of transformers"
    else:
        if len(encoders) == 1:
            pipeline.load_textual_inversion(
                str(path.parent), weight_name=path.name, local_files_only=True, token=words[0]
            )
        else:
            tensors = load_file(path)
            for key, (encoder, tokenizer) in zip(ENCODER_KEYS, encoders, strict=False):
                pipeline.load_textual_inversion(
                    tensors[key], token=words[0], text_encoder=encoder, tokenizer=tokenizer
                )
        loader = "load_textual_inversion of diffusers"
    for (encoder, tokenizer), rows in zip(encoders, word_rows(run.model), strict=True):
        mark_end(encoder, tokenizer)
        ids = tokenizer.convert_tokens_to_ids(words)
        found = encoder.get_input_embeddings().weight.detach()[ids]
        require_equal("embedding", {words[0]: found}, {words[0]: rows})
    return loader


@torch.no_grad()
def put_words(encoder: Any, tokenizer: Any, words: Sequence[str], rows: Tensor) -> None:
    """Adds words to a tokenizer, and their embeddings (n, width) to its encoder's table."""
    tokenizer.add_tokens(list(words))
    size = max(len(tokenizer), encoder.get_input_embeddings().num_embeddings)
    encoder.resize_token_embeddings(size, mean_resizing=False)
    encoder.get_input_embeddings().weight[tokenizer.convert_tokens_to_ids(list(words))] = rows


def usage(run: LoadedRun, file: str) -> list[str]:
    """Lines of Python that load a file into `pipeline`; see `load_words`."""
    model, words = run.model, new_words(run.model)
    places = ["", "_2", "_3"][: len(model.text_encoders)]
    pairs = [(f"pipeline.text_encoder{p}", f"pipeline.tokenizer{p}") for p in places]
    if len(pairs) == 1:
        return [f'pipeline.load_textual_inversion("{file}", token="{words[0]}")']
    lines = ["from safetensors.torch import load_file", f'rows = load_file("{file}")']
    listed = [f'    ("{key}", {e}, {t}),' for key, (e, t) in zip(ENCODER_KEYS, pairs, strict=False)]
    lines += ["for key, encoder, tokenizer in [", *listed, "]:"]
    if hasattr(pipeline_of(model), "load_textual_inversion"):
        lines += [
            f'    pipeline.load_textual_inversion(rows[key], token="{words[0]}", '
            "text_encoder=encoder, tokenizer=tokenizer)"
        ]
    else:
        lines += [
            f"    tokenizer.add_tokens({words})",
            "    size = max(len(tokenizer), encoder.get_input_embeddings().num_embeddings)",
            "    encoder.resize_token_embeddings(size)",
            f"    ids = tokenizer.convert_tokens_to_ids({words})",
            "    encoder.get_input_embeddings().weight.data[ids] = rows[key]",
        ]
    if any(encoder.config.eos_token_id == LEGACY_END for encoder in model.text_encoders):
        lines += [
            "    # Early CLIP takes the largest id for the end of a text: the new word's.",
            "    for module in encoder.modules():",
            f'        if getattr(module, "eos_token_id", None) == {LEGACY_END}:',
            "            module.eos_token_id = tokenizer.eos_token_id",
        ]
    return lines


def usage_of_file(run: LoadedRun, main: str) -> list[str]:
    return onto_base(run.model, usage(run, main))


def hint(run: LoadedRun, main: str) -> str:
    word = file_word(run)
    return (
        f"ComfyUI: put `{main}` into `models/embeddings` and write `embedding:{word}` in a prompt. "
        f"A1111 and Forge: put it into `embeddings` and write `{word}`."
    )
