"""Tensors without values look the same, and the others hold the same, within the mode."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from pseudoword.families.valueless import Valueless

META = torch.device("meta")


def on_meta(make: Callable[[], Tensor]) -> Tensor:
    with META:
        return make()


def copied(**how: object) -> Callable[[], Tensor]:
    def copy() -> Tensor:
        source = torch.empty(2, 3, dtype=torch.float16, device=META)
        return torch.empty_like(source, **how)  # type: ignore[arg-type]

    return copy


@pytest.mark.parametrize(
    "make",
    [
        lambda: on_meta(lambda: torch.arange(5)),
        lambda: on_meta(lambda: torch.arange(1, 4, 0.5).expand(2, -1)),
        lambda: torch.arange(3, device="meta", dtype=torch.int32),
        lambda: torch.arange(3),
        lambda: on_meta(lambda: nn.Embedding(4, 2).weight),
        lambda: on_meta(lambda: nn.init.normal_(torch.empty(2, 3), mean=1.0)),
        copied(device="cpu"),
        copied(device="cpu", dtype=torch.float32),
        copied(),
        lambda: torch.empty_like(torch.empty(3, 2, device=META).t(), device="cpu"),
        lambda: torch.empty_like(torch.zeros(3, 2), device="meta"),
    ],
)
def test_looks_the_same(make: Callable[[], Tensor]) -> None:
    plain = make()
    with Valueless():
        ours = make()
    for found in ("shape", "dtype", "device", "requires_grad"):
        assert getattr(ours, found) == getattr(plain, found)
    assert ours.stride() == plain.stride()
    assert type(ours) is type(plain)


def test_values_are_drawn_as_ever() -> None:
    def draw() -> Tensor:
        torch.manual_seed(3)
        return nn.Embedding(4, 2).weight.detach()

    with Valueless():
        ours = draw()
    assert torch.equal(ours, draw())
