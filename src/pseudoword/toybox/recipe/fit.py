"""The one loop that trains every toybox network: seeded per step, resumable, averaged."""

import json
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from pseudoword.average import Average
from pseudoword.checkpoint import Checkpoints, load_checkpoint, save_checkpoint
from pseudoword.progress import Reporter
from pseudoword.runs import write_atomic
from pseudoword.settings import CheckpointSettings

LOG_EVERY = 20


@dataclass(frozen=True)
class Group:
    """Modules that share a peak learning rate."""

    modules: tuple[nn.Module, ...]
    learning_rate: float
    weight_decay: float = 0.01

    def parameters(self) -> list[nn.Parameter]:
        return [p for module in self.modules for p in module.parameters() if p.requires_grad]


@dataclass(frozen=True)
class Schedule:
    """`steps` optimizer steps: linear warm-up, a plateau, then a cosine to zero.

    The plateau lasts a share of the steps. With a long one, the length of a training may be set
    while it runs: all that comes before the descent is the same.
    """

    steps: int
    warmup: int = 200
    plateau: float = 0.0

    def factor(self, step: int) -> float:
        """The share of the peak learning rate at `step`, in [0, 1]."""
        if step < self.warmup:
            return (step + 1) / self.warmup
        start = max(self.warmup, round(self.plateau * self.steps))
        progress = max(0, step - start) / max(1, self.steps - start)
        return 0.5 * (1 + math.cos(math.pi * progress))


@dataclass(frozen=True)
class Place:
    """Where a training keeps its checkpoint and log.jsonl, how often it saves, and who is told."""

    folder: Path
    reporter: Reporter
    checkpoints: CheckpointSettings


@dataclass(eq=False)
class _State:
    """All of a training that changes from step to step: `checkpoint.Saved`.

    `buffers` are running statistics of normalisation layers and how often they were updated. A step
    changes them before it changes anything else, so `kept` has those of the last whole step.
    """

    parameters: list[nn.Parameter]
    optimizer: torch.optim.Optimizer
    average: Average
    buffers: list[Tensor]
    kept: list[Tensor]
    log: list[dict[str, float]]
    running: Tensor | None = None
    """The loss, smoothed; on its device, so that a step waits for no result."""
    step: int = 0
    seconds: float = 0.0
    changing: bool = False

    def keep(self) -> None:
        for kept, buffer in zip(self.kept, self.buffers, strict=True):
            kept.copy_(buffer)

    def save(self, path: Path, of: Mapping[str, Any]) -> None:
        averages = [*self.average.values, *self.kept]
        running = None if self.running is None else float(self.running)
        more = {"log": self.log, "running": running}
        save_checkpoint(
            path, self.step, self.seconds, self.parameters, self.optimizer, averages, more, of
        )

    def load(self, path: Path, of: Mapping[str, Any]) -> None:
        averages = [*self.average.values, *self.kept]
        self.step, self.seconds, more = load_checkpoint(
            path, self.parameters, self.optimizer, averages, of
        )
        for kept, buffer in zip(self.kept, self.buffers, strict=True):
            buffer.copy_(kept)
        self.log = more["log"]
        if more["running"] is not None:
            self.running = torch.tensor(more["running"], device=self.parameters[0].device)


def fit(
    loss: Callable[[int], Tensor],
    groups: list[Group],
    schedule: Schedule,
    place: Place,
    *,
    average: float = 0.0,
    clip: float = 1.0,
) -> None:
    """Minimises `loss(step)`; on return the parameters hold the result (averaged if asked).

    `loss` must depend on the step and the parameters alone, so that a resumed run equals an
    uninterrupted one. Running again continues from the checkpoint in the place's folder; one that
    is damaged or belongs to other work is told, and all starts from the beginning.
    """
    place.folder.mkdir(parents=True, exist_ok=True)
    state = _start(groups, average)
    of = {
        "stage": place.folder.name,
        "average": average,
        "clip": clip,
        "version of torch": str(torch.__version__),
    }
    saving = Checkpoints(place.folder, of, place.checkpoints, state)
    saving.resume(place.reporter.note)
    _write_log(place.folder, state.log)
    clock = time.monotonic() - state.seconds
    try:
        for step in range(state.step, schedule.steps):
            for row, group in zip(state.optimizer.param_groups, groups, strict=True):
                row["lr"] = group.learning_rate * schedule.factor(step)
            value = loss(step)
            value.backward()
            nn.utils.clip_grad_norm_(state.parameters, clip, foreach=True)
            now = value.detach()
            state.changing = True
            state.optimizer.step()
            state.optimizer.zero_grad(set_to_none=True)
            state.average.update(step)
            state.keep()
            state.running = now if state.running is None else 0.98 * state.running + 0.02 * now
            state.step, state.seconds = step + 1, time.monotonic() - clock
            last = state.step == schedule.steps
            if state.step % LOG_EVERY == 0 or last:
                _tell(place, state, schedule.steps)
            state.changing = False
            if last or saving.due(state.step):
                saving.write()
    except KeyboardInterrupt:
        saving.interrupted()
        raise
    state.average.swap()


def _start(groups: list[Group], average: float) -> _State:
    """The state before the first step."""
    parameters = [p for group in groups for p in group.parameters()]
    optimizer = torch.optim.AdamW(
        [
            {"params": g.parameters(), "lr": g.learning_rate, "weight_decay": g.weight_decay}
            for g in groups
        ],
        betas=(0.9, 0.99),
        fused=True,
    )
    buffers = [b for g in groups for m in g.modules for b in m.buffers()]
    kept = [buffer.clone() for buffer in buffers]
    return _State(parameters, optimizer, Average(parameters, average), buffers, kept, [])


def _tell(place: Place, state: _State, steps: int) -> None:
    """Logs a step and shows it."""
    assert state.running is not None
    loss = float(state.running)
    state.log.append({"step": state.step, "loss": loss, "seconds": round(state.seconds, 1)})
    _write_log(place.folder, state.log)
    place.reporter.update(place.folder.name, state.step, steps, f"loss {loss:.4f}")


def _write_log(folder: Path, lines: list[dict[str, float]]) -> None:
    """Checkpoints hold the lines too: until the end the file is there to be looked at."""
    text = "".join(json.dumps(line) + "\n" for line in lines)
    write_atomic(folder / "log.jsonl", text, synced=False)
