"""Going on with a training where it was interrupted, to the same end."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from pseudoword.average import Average
from pseudoword.checkpoint import load_checkpoint, save_checkpoint
from pseudoword.compute import Stepper
from pseudoword.divergence import Watch
from pseudoword.memory import Portion
from pseudoword.runs import write_atomic


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
