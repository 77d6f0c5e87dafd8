"""The one loop that trains every toybox network: seeded per step, resumable, averaged."""

import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from pseudoword.average import Average
from pseudoword.checkpoint import load_checkpoint, save_checkpoint
from pseudoword.progress import Reporter
from pseudoword.runs import write_atomic

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


def fit(
    loss: Callable[[int], Tensor],
    groups: list[Group],
    schedule: Schedule,
    folder: Path,
    reporter: Reporter,
    *,
    average: float = 0.0,
    clip: float = 1.0,
    save_every_seconds: float = 120.0,
) -> None:
    """Minimises `loss(step)`; on return the parameters hold the result (averaged if asked).

    `loss` must depend on the step and the parameters alone, so that a resumed run equals an
    uninterrupted one. `folder` holds the checkpoint and log.jsonl; running again continues.
    """
    folder.mkdir(parents=True, exist_ok=True)
    parameters = [p for group in groups for p in group.parameters()]
    optimizer = torch.optim.AdamW(
        [
            {"params": g.parameters(), "lr": g.learning_rate, "weight_decay": g.weight_decay}
            for g in groups
        ],
        betas=(0.9, 0.99),
        fused=True,
    )
    ema = Average(parameters, average)
    # Running statistics of normalisation layers belong to a checkpoint as well.
    buffers = [b for g in groups for m in g.modules for b in m.buffers() if b.is_floating_point()]
    averages = [*ema.values, *buffers]
    checkpoint = folder / "checkpoint.safetensors"
    if checkpoint.exists():
        start, spent, _ = load_checkpoint(checkpoint, parameters, optimizer, averages)
        _forget_after(folder / "log.jsonl", start)
    else:
        start, spent = 0, 0.0
        write_atomic(folder / "log.jsonl", "")
    clock = saved = time.monotonic()
    running = math.nan
    for step in range(start, schedule.steps):
        for state, group in zip(optimizer.param_groups, groups, strict=True):
            state["lr"] = group.learning_rate * schedule.factor(step)
        value = loss(step)
        value.backward()
        nn.utils.clip_grad_norm_(parameters, clip, foreach=True)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        ema.update(step)
        now = float(value.detach())
        running = now if math.isnan(running) else 0.98 * running + 0.02 * now
        if (step + 1) % LOG_EVERY == 0 or step + 1 == schedule.steps:
            _log(folder, step + 1, running, spent + time.monotonic() - clock)
            reporter.update(folder.name, step + 1, schedule.steps, f"loss {running:.4f}")
        if time.monotonic() - saved > save_every_seconds or step + 1 == schedule.steps:
            saved = time.monotonic()
            seconds = spent + saved - clock
            save_checkpoint(checkpoint, step + 1, seconds, parameters, optimizer, averages)
    ema.swap()


def _forget_after(log: Path, step: int) -> None:
    """Takes lines out of a log that an interrupted run wrote after its checkpoint."""
    lines = log.read_text().splitlines(keepends=True) if log.exists() else []
    # The last line may be torn.
    whole = [line for line in lines if line.endswith("}\n")]
    write_atomic(log, "".join(line for line in whole if json.loads(line)["step"] <= step))


def _log(folder: Path, step: int, loss: float, seconds: float) -> None:
    with (folder / "log.jsonl").open("a") as log:
        line = {"step": step, "loss": loss, "seconds": round(seconds, 1)}
        log.write(json.dumps(line) + "\n")
