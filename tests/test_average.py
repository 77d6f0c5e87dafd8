"""Running averages of parameters, and the learning rates they follow."""

import pytest
import torch
from torch import nn

from pseudoword.average import Average
from pseudoword.methods.base import Group, MethodSettings, rate_factor


def test_average_follows_its_formula_and_changes_places_with_the_parameters() -> None:
    parameter = nn.Parameter(torch.tensor([1.0, -2.0]))
    average = Average([parameter], 0.2)
    expected = parameter.detach().clone()
    for step in range(5):
        with torch.no_grad():
            parameter += step + 1
        average.update(step)
        decay = min(0.2, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * parameter.detach()
    now = parameter.detach().clone()
    with average.applied():
        torch.testing.assert_close(parameter.detach(), expected)
    assert torch.equal(parameter, now) and not torch.allclose(now, expected)


def test_without_decay_there_is_no_average() -> None:
    parameter = nn.Parameter(torch.ones(2))
    average = Average([parameter], 0.0)
    average.update(0)
    with average.applied():
        assert torch.equal(parameter, torch.ones(2))
    assert average.values == []


def test_learning_rates_warm_up_and_come_down() -> None:
    whole, late = Group([], 1.0, 0.0), Group([], 1.0, 0.0, start=0.5)
    constant = MethodSettings(steps=100, warmup_steps=10)
    cosine = MethodSettings(steps=100, warmup_steps=10, schedule="cosine")
    for settings in (constant, cosine):
        assert rate_factor(whole, 0, settings) == pytest.approx(0.1)
        assert rate_factor(whole, 8, settings) == pytest.approx(0.9)
        assert rate_factor(whole, 9, settings) == pytest.approx(1.0)
        assert rate_factor(late, 49, settings) == 0 and rate_factor(late, 50, settings) == 0.1
    assert rate_factor(whole, 99, constant) == 1
    assert rate_factor(whole, 54, cosine) == pytest.approx(0.5)
    assert rate_factor(late, 79, cosine) == pytest.approx(0.5)
    assert rate_factor(whole, 99, cosine) == pytest.approx(0.0)
    falling = [rate_factor(whole, step, cosine) for step in range(10, 100)]
    assert falling == sorted(falling, reverse=True)
