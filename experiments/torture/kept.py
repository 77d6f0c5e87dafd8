"""Whether work is kept: a training that goes on writes no checkpoint of a step that it had reached.

One that began anew would end with the same artefact, and nobody would see what was lost.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

MODULES = ("pseudoword.resume", "pseudoword.toybox.recipe.fit")
"""What writes checkpoints, each under the name `save_checkpoint`."""


def watch(file: Path) -> None:
    """From here on this process tells in `file` of each checkpoint: PLACE, STEP, STEP BEFORE.

    The step before is that of the checkpoint which this process found there, 0 where it found none
    or wrote it itself.
    """
    from importlib import import_module

    for name in MODULES:
        module: Any = import_module(name)
        module.save_checkpoint = _watched(module.save_checkpoint, file)


def _watched(save: Callable[..., None], file: Path) -> Callable[..., None]:
    from pseudoword.checkpoint import NOTED
    from pseudoword.checksum import check_seal

    written: set[Path] = set()

    def watched(path: Path, step: int, *rest: Any, **more: Any) -> None:
        found = check_seal(path, NOTED)["step"] if path.exists() and path not in written else 0
        written.add(path)
        with file.open("a") as told:
            told.write(f"{path}\t{step}\t{found}\n")
        save(path, step, *rest, **more)

    return watched


def read(file: Path) -> tuple[int, list[str]]:
    """How often a process went on from a checkpoint, and what was lost, in words."""
    resumed, lost = 0, []
    for line in file.read_text().splitlines() if file.exists() else []:
        path, step, found = line.split("\t")
        if int(step) <= int(found):
            lost.append(f"{path} of step {found} gave way to one of step {step}")
        elif int(found) > 0:
            resumed += 1
    return resumed, lost
