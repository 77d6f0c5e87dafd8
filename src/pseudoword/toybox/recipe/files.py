"""What the recipe keeps in its work folder, so that damage is found and a loss of power harms none.

Checkpoints are `fit`'s own.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save_file

from pseudoword.checkpoint import CHECKPOINT
from pseudoword.checksum import DamagedError, check_files, check_seal, save_sealed, sha256_of
from pseudoword.disk import sync_all
from pseudoword.progress import Reporter
from pseudoword.runs import read_json, write_json

DONE = "done.json"
"""Beside the results of a stage that is done: what was measured of them, and their checksums."""
CHECKSUMS = "sha256_of"
LATENTS, CAPTIONS = "latents.safetensors", "captions.safetensors"
WORK = (CHECKPOINT, LATENTS, CAPTIONS)
"""What a stage works with, of no use once it is done."""


def kept_array(path: Path, make: Callable[[], np.ndarray], reporter: Reporter) -> np.ndarray:
    """What `make` gives, made once and kept in `path`; what is damaged there is told, and made
    again."""
    if path.exists():
        try:
            check_seal(path, tensors=["array"], of=path.name)
            return load_file(path)["array"]
        except DamagedError as error:
            reporter.note(f"{path} {error.reason}: it is made again")
    array = make()
    save_sealed(path, {"array": np.ascontiguousarray(array)}, {"of": path.name}, save_file)
    return array


def finish_stage(folder: Path, measured: Mapping[str, Any]) -> None:
    """Marks a stage as done, once its results would outlive a loss of power."""
    sync_all(folder)
    record = {**measured, CHECKSUMS: sha256_of(folder, _results(folder))}
    write_json(folder / DONE, record, sealed=True)


def is_done(folder: Path) -> bool:
    return (folder / DONE).exists()


def check_stage(folder: Path) -> dict[str, Any]:
    """What was measured of a stage that is done. Raises UserError where its results were damaged
    since."""
    measured: dict[str, Any] = read_json(folder / DONE)
    check_files(folder, measured.pop(CHECKSUMS, None))
    return measured


def _results(folder: Path) -> list[Path]:
    """The models that a stage saved: in folders, or in files beside what it works with."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return [
        path
        for path in files
        if path.parent != folder or (path.suffix == ".safetensors" and path.name not in WORK)
    ]
