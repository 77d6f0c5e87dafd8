"""Telling a training that diverges, before anything of it is kept."""

import math
from collections.abc import Sequence

from torch import Tensor, nn

from pseudoword.checkpoint import all_finite
from pseudoword.errors import UserError

BLOWN_UP = 10.0
"""The loss, over the larger of 1 and the loss before training, from which it has blown up.

A model that predicts nothing at all, always zero, has a loss of about 1, for the noise that it is
asked for has variance 1 (2 where it is asked for noise minus picture). So a loss of 10 is no bad
luck with a few samples: no usable model has it at any timestep. A model that starts worse, as an
untrained one may, is held against itself.
"""


class Divergence(Exception):  # noqa: N818 - an event in the loop, which makes an error of it
    """The loss or the parameters of a training have blown up, as found at `step`."""

    def __init__(self, step: int, reason: str) -> None:
        super().__init__(reason)
        self.step = step
        self.reason = reason


class DivergedError(UserError):
    """A training that has diverged: done, as failed."""


class Watch:
    """Looks after one training. `start` is its loss before any update, once that is known."""

    def __init__(self) -> None:
        self._start: Tensor | float | None = None

    @property
    def start(self) -> float | None:
        return None if self._start is None else float(self._start)

    @start.setter
    def start(self, value: Tensor | float | None) -> None:
        """A tensor stays on its device until it is asked for: a step waits for no result."""
        self._start = value

    def check_loss(self, step: int, loss: float) -> None:
        """Raises Divergence for a loss that no usable model has."""
        if not math.isfinite(loss):
            raise Divergence(step, "its loss is no finite number")
        start = self.start
        if start is not None and loss > BLOWN_UP * max(1.0, start):
            raise Divergence(step, f"its loss rose from {start:.3g} to {loss:.3g}")

    def check_parameters(self, step: int, parameters: Sequence[nn.Parameter]) -> None:
        """Raises Divergence where one of them is not finite."""
        if not all_finite(parameters):
            raise Divergence(step, "its weights are no finite numbers")
