"""How much of a training step of pseudoword is spent in the networks that learn or are learnt by.

Inside is the denoiser's forward, the text encoder's where a step computes it, and the backward.
What remains is the data, the noise, the optimizer and the log. One last step is run more than is
timed, under torch's counter of floating-point operations.
"""

import functools
import time
from collections.abc import Callable
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from pseudoword.families.model import Model

Mark = Any
"""A moment: seconds, or a GPU's event, which is not waited for."""


def mark() -> Mark:
    if torch.cuda.is_available():
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        return event
    return time.perf_counter()


def between(start: Mark, end: Mark) -> float:
    if isinstance(start, float):
        return float(end - start)
    return float(start.elapsed_time(end)) / 1000


class Inside:
    """Spans inside by step; `steps` are those that are timed."""

    def __init__(self, steps: int) -> None:
        self.steps = steps
        self.spans: list[list[tuple[Mark, Mark]]] = [[]]
        self.flops = 0
        self._depth = 0
        self._counter: FlopCounterMode | None = None
        for owner, name in (
            (Model, "predict"),
            (Model, "encode_prompts"),
            (torch.autograd, "backward"),
            (torch.autograd, "grad"),
        ):
            setattr(owner, name, self._timed(getattr(owner, name)))

    def _timed(self, call: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(call)
        def timed(*given: Any, **named: Any) -> Any:
            self._depth += 1
            start = mark()
            try:
                return call(*given, **named)
            finally:
                self._depth -= 1
                if self._depth == 0:
                    self.spans[-1].append((start, mark()))

        return timed

    def step_ended(self) -> None:
        self.spans.append([])
        done = len(self.spans) - 1
        if done == self.steps:
            self._counter = FlopCounterMode(display=False)
            self._counter.__enter__()
        elif self._counter is not None:
            self._counter.__exit__(None, None, None)
            self.flops = self._counter.get_total_flops()
            self._counter = None

    def record(self) -> dict[str, object]:
        """Seconds inside of each timed step, and the operations of one step."""
        timed = self.spans[: self.steps]
        return {
            "inside": [sum(between(*span) for span in spans) for spans in timed],
            "flops": self.flops,
        }
