"""Files that the system does not let be read: told, and left, for they may be whole."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from test_metrics_cache import MeanColour, picture
from tiny import load_tiny, make_photos, train_tiny

from pseudoword.artefact import load_run
from pseudoword.checkpoint import CHECKPOINT
from pseudoword.encoded import encode_photos
from pseudoword.errors import UserError
from pseudoword.metrics.cache import EmbeddingCache
from pseudoword.snapshots import ARTEFACT


def checkpoint(model: Path, folder: Path) -> None:
    train_tiny(model, "lora", folder, steps=1)


def latents(model: Path, folder: Path) -> None:
    encode_photos(load_tiny(model), make_photos(1), folder)


def embeddings(model: Path, folder: Path) -> None:
    EmbeddingCache(folder, print).embed(MeanColour(), [picture(3)])


def artefact(model: Path, folder: Path) -> None:
    if not (folder / "run.json").exists():
        train_tiny(model, "lora", folder, steps=1)
    load_run(folder, torch.device("cpu"))


@pytest.mark.parametrize(
    ("work", "file"),
    [(checkpoint, CHECKPOINT), (latents, ""), (embeddings, ""), (artefact, ARTEFACT)],
)
def test_what_cannot_be_read_is_told_and_left(
    work: Callable[[Path, Path], None], file: str, tiny_model: Path, tmp_path: Path
) -> None:
    if file != CHECKPOINT:
        work(tiny_model, tmp_path)
    path = tmp_path / file if file else next(tmp_path.iterdir())
    path.unlink(missing_ok=True)
    # A folder in its place, for who runs tests may be allowed to read everything.
    path.mkdir()
    with pytest.raises(UserError, match="cannot be read .Is a directory") as caught:
        work(tiny_model, tmp_path)
    assert str(path) in str(caught.value) and path.is_dir()
