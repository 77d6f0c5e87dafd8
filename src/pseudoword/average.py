"""A running average of what learns, which is often better than where it stands at any step."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class Average:
    """Exponential moving average of parameters (EMA), in float32, with a short memory at first.

    With decay 0 there is none: `values` is empty, and nothing is done.
    """

    def __init__(self, parameters: Sequence[nn.Parameter], decay: float) -> None:
        self.parameters = list(parameters) if decay > 0 else []
        self.decay = decay
        self.values = [p.detach().clone() for p in self.parameters]

    def update(self, step: int) -> None:
        if self.parameters:
            decay = min(self.decay, (1 + step) / (10 + step))
            torch._foreach_lerp_(self.values, [p.detach() for p in self.parameters], 1 - decay)

    @torch.no_grad()
    def swap(self) -> None:
        """Exchanges parameters and averages."""
        for parameter, value in zip(self.parameters, self.values, strict=True):
            kept: Tensor = parameter.detach().clone()
            parameter.copy_(value)
            value.copy_(kept)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """The averages stand in the parameters' place as long as this lasts."""
        self.swap()
        try:
            yield
        finally:
            self.swap()
