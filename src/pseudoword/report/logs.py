"""What the folders of a study's trainings tell beside their scores, read one by one."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pseudoword.logs import read_losses
from pseudoword.runs import read_json


@dataclass(frozen=True)
class Log:
    """Steps with the loss there, and the steps of snapshots; empty where none were kept."""

    losses: tuple[tuple[int, float], ...]
    snapshots: tuple[int, ...]


def read_log(run: Path) -> Log:
    """The log of the training in the folder `run`. Raises UserError where it is not readable."""
    told = _told(run)
    return Log(read_losses(run, told), tuple(told.get("snapshots", ())))


def noun_phrase(runs: Iterable[Path]) -> str:
    """The words of the first training that tells, or an empty text."""
    return next((phrase for run in runs if (phrase := _told(run).get("noun_phrase"))), "")


def _told(run: Path) -> dict[str, Any]:
    told: dict[str, Any] = read_json(run / "run.json") if (run / "run.json").is_file() else {}
    return told
