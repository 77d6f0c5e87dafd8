"""Files that the system does not let be read: told, and left, for they may be whole."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from test_metrics_cache import MeanColour, picture
from tiny import load_tiny, make_photos, train_tiny

from pseudoword.artefact import load_run
from pseudoword.checkpoint import CHECKPOINT
from pseudoword.encoded import encode_photos
from pseudoword.errors import UserError
from pseudoword.evaluate import open_picture
from pseudoword.metrics.cache import EmbeddingCache
from pseudoword.metrics.tables import read_table
from pseudoword.report.pictures import LADDER, encode
from pseudoword.single import read_mark, save_picture
from pseudoword.snapshots import ARTEFACT

SCORES, PICTURE = "scores.parquet", "0.png"


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


def scores(model: Path, folder: Path) -> None:
    read_table(folder / SCORES, "")


def a_picture(folder: Path) -> Path:
    file = folder / PICTURE
    if not file.exists():
        save_picture(file, np.zeros((8, 8, 3), np.uint8), "mark")
    return file


def drawn(model: Path, folder: Path) -> None:
    assert read_mark(a_picture(folder)) == "mark"


def scored(model: Path, folder: Path) -> None:
    open_picture(a_picture(folder))


def reported(model: Path, folder: Path) -> None:
    encode(a_picture(folder), LADDER[0])


@pytest.mark.parametrize(
    ("work", "file"),
    [
        (checkpoint, CHECKPOINT),
        (latents, ""),
        (embeddings, ""),
        (artefact, ARTEFACT),
        (scores, SCORES),
        (drawn, PICTURE),
        (scored, PICTURE),
        (reported, PICTURE),
    ],
)
def test_what_cannot_be_read_is_told_and_left(
    work: Callable[[Path, Path], None], file: str, tiny_model: Path, tmp_path: Path
) -> None:
    if file not in (CHECKPOINT, SCORES):
        work(tiny_model, tmp_path)
    path = tmp_path / file if file else next(tmp_path.iterdir())
    path.unlink(missing_ok=True)
    # A folder in its place, for who runs tests may be allowed to read everything.
    path.mkdir()
    with pytest.raises(UserError, match="cannot be read .Is a directory") as caught:
        work(tiny_model, tmp_path)
    assert str(path) in str(caught.value) and path.is_dir()
