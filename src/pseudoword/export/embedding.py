"""Textual Inversion as one embedding file: for diffusers' loader and for A1111."""

from pathlib import Path

from torch import Tensor

from pseudoword.artefact import LoadedRun
from pseudoword.export.pipeline import first_word, pipeline_of
from pseudoword.export.verify import Reloaded, require_equal
from pseudoword.families.model import Model

DIFFUSERS_FILE = "learned_embeds.safetensors"
A1111_KEY = "emb_params"


def write_diffusers(run: LoadedRun, folder: Path) -> str:
    """The vectors (n, width) under the placeholder's name, for `load_textual_inversion`."""
    _save(run, folder / DIFFUSERS_FILE, first_word(run))
    return "."


def write_a1111(run: LoadedRun, folder: Path) -> str:
    """The vectors (n, width) as `emb_params`; A1111 takes the file's name as the word."""
    name = f"{file_word(run)}.safetensors"
    _save(run, folder / name, A1111_KEY)
    return name


def file_word(run: LoadedRun) -> str:
    """The word that A1111 knows the embedding by: "concept-mug"."""
    return "-".join([first_word(run).strip("<>"), *run.run["class_noun"].split()])


def reload_embedding(run: LoadedRun, untouched: Model, path: Path) -> Reloaded:
    """Through `load_textual_inversion`, under the run's own placeholder."""
    word = first_word(run)
    file = path / DIFFUSERS_FILE if path.is_dir() else path
    pipeline = pipeline_of(untouched)
    own_name = {} if path.is_dir() else {"token": word}
    pipeline.load_textual_inversion(
        str(file.parent), weight_name=file.name, local_files_only=True, **own_name
    )
    words = run.noun_phrase.split()
    ids = pipeline.tokenizer.convert_tokens_to_ids(words)
    rows = pipeline.text_encoder.get_input_embeddings().weight.detach()[ids]
    require_equal("embedding", {word: rows}, {word: _rows(run)})
    return Reloaded(pipeline, word)


def _rows(run: LoadedRun) -> Tensor:
    return run.method.state(run.model)["text_encoders.0"]


def _save(run: LoadedRun, path: Path, key: str) -> None:
    from safetensors.torch import save_file

    save_file({key: _rows(run).cpu().contiguous()}, path)
