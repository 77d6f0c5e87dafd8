"""Going on with a training where it was interrupted, to the same end."""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from pseudoword.average import Average
from pseudoword.checkpoint import CheckpointError, load_checkpoint, save_checkpoint
from pseudoword.compute import Stepper
from pseudoword.divergence import Watch, all_finite
from pseudoword.memory import Portion
from pseudoword.runs import write_atomic
from pseudoword.settings import CheckpointSettings

CHECKPOINT = "checkpoint.safetensors"
CHECKPOINT_SECONDS = 60.0
CHECKPOINT_SHARE = 50.0
"""Unless the user says when, steps between checkpoints take this many times as long as writing."""


class Log:
    """log.jsonl, written whole each time so that it is never torn."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lines: list[dict[str, float]] = []

    def add(self, step: int, loss: float, seconds: float, skipped: int) -> None:
        """`skipped` steps so far changed nothing, since gradients overflowed in fp16."""
        line = {"step": step, "loss": loss, "seconds": round(seconds, 3), "skipped": skipped}
        self.lines.append(line)
        # Checkpoints hold the lines too: until the end the file is there to be looked at.
        self.write(synced=False)

    def write(self, synced: bool = True) -> None:
        lines = "".join(json.dumps(line) + "\n" for line in self.lines)
        write_atomic(self.path, lines, synced)


@dataclass(eq=False)
class State:
    """All of a training that changes from step to step; a checkpoint holds all of it.

    The log is in it too: then the two agree, whichever of them reached the disk.
    """

    parameters: list[nn.Parameter]
    optimizer: torch.optim.Optimizer
    stepper: Stepper
    average: Average
    log: Log
    portion: Portion
    watch: Watch = field(default_factory=Watch)
    step: int = 0
    """Steps that are finished, with their log and snapshot."""
    seconds: float = 0.0
    """How long they took."""
    changing: bool = False
    """Whether a step is being finished just now, so that the parts belong to different steps."""

    def save(self, path: Path, of: Mapping[str, Any]) -> None:
        more = {
            "stepper": self.stepper.state(),
            "log": self.log.lines,
            "start": self.watch.start,
            "most": self.portion.most,
        }
        save_checkpoint(
            path,
            self.step,
            self.seconds,
            self.parameters,
            self.optimizer,
            self.average.values,
            more,
            of,
        )

    def load(self, path: Path, of: Mapping[str, Any]) -> None:
        """Raises CheckpointError, and changes nothing, where the file does not serve."""
        self.step, self.seconds, more = load_checkpoint(
            path, self.parameters, self.optimizer, self.average.values, of
        )
        self.stepper.load(more["stepper"])
        self.log.lines, self.watch.start = more["log"], more["start"]
        self.portion.most = more["most"]


class Checkpoints:
    """The checkpoint of one training: when it is written, and what it belongs to (`of`)."""

    def __init__(
        self, folder: Path, of: Mapping[str, Any], settings: CheckpointSettings, state: State
    ) -> None:
        self.path = folder / CHECKPOINT
        self._of = of
        self._settings = settings
        self._state = state
        self._saved = 0
        self._wait = settings.checkpoint_seconds or CHECKPOINT_SECONDS
        self._since = time.monotonic()

    def resume(self, note: Callable[[str], None]) -> None:
        """Takes the checkpoint up; one that does not serve is told, and all starts from scratch."""
        if not self.path.exists():
            return
        try:
            self._state.load(self.path, self._of)
        except CheckpointError as error:
            note(f"{self.path} {error.reason}: the training starts from the beginning")
        self._saved = self._state.step

    def due(self) -> bool:
        steps = self._settings.checkpoint_steps
        by_steps = steps > 0 and self._state.step % steps == 0
        return by_steps or time.monotonic() - self._since > self._wait

    def write(self) -> None:
        """Writes one, unless weights that have blown up would stay in it for good."""
        began = time.monotonic()
        if all_finite(self._state.parameters):
            self._state.save(self.path, self._of)
            self._saved = self._state.step
        self._since = time.monotonic()
        if not self._settings.checkpoint_seconds:
            # Gigabytes take long to write: they may not take over the training.
            self._wait = max(CHECKPOINT_SECONDS, CHECKPOINT_SHARE * (self._since - began))

    def interrupted(self) -> None:
        """Saves what was done since the last one, if the state is that of one whole step."""
        if not self._state.changing and self._state.step > self._saved:
            self.write()
