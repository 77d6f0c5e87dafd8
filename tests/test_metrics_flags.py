"""What is flagged, and what is left alone."""

from typing import Any

import pytest

from pseudoword.metrics.flags import flags_of


def estimate(value: float | None, low: float | None = None) -> dict[str, Any]:
    return {"value": value, "low": low, "high": None}


def method(
    fidelity: float | None = 0.8,
    adherence: float | None = 0.9,
    copied: float = 0.1,
    curve: tuple[float, ...] = (0.6, 0.75, 0.8),
    held_out: tuple[float, ...] = (0.99, 0.99, 1.0),
    checkpoint: int = 3,
) -> list[str]:
    """The kinds of flag of a method with these scores; a checkpoint is its number."""
    normalised = {"fidelity": estimate(fidelity), "adherence": estimate(adherence)}
    candidates = [
        {"step": i, "strength": 1.0, "fidelity": estimate(value)}
        for i, value in enumerate(curve, start=1)
    ]
    losses = [
        {"step": i, "held_out": estimate(value, value - 0.01)}
        for i, value in enumerate(held_out, start=1)
    ]
    selection = {"checkpoint": checkpoint, "candidates": candidates, "losses": losses}
    found = flags_of({"scores": {"copied": estimate(copied)}}, normalised, selection)
    for flag in found:
        assert flag["title"] and flag["text"].endswith(".") and flag["remedy"].endswith(".")
    return [flag["kind"] for flag in found]


def test_a_healthy_method_has_no_flag() -> None:
    assert method() == []


@pytest.mark.parametrize(
    ("kind", "scores"),
    [
        ("hardly_learnt", {"fidelity": 0.1}),
        ("undertrained", {"fidelity": 0.4, "curve": (0.1, 0.3, 0.4)}),
        ("overtrained", {"held_out": (1.0, 1.1, 1.2)}),
        ("copying", {"copied": 0.9, "adherence": 0.1}),
    ],
)
def test_each_fault_is_named(kind: str, scores: dict[str, Any]) -> None:
    assert method(**scores) == [kind]


def test_copies_that_heed_the_prompt_are_no_fault() -> None:
    assert method(copied=0.9, adherence=0.9) == []


def test_little_likeness_that_no_longer_rises_is_the_method_s_own() -> None:
    assert method(fidelity=0.4, curve=(0.39, 0.4, 0.4)) == []


def test_what_came_before_the_chosen_checkpoint_does_not_count() -> None:
    assert method(held_out=(1.2, 1.0, 1.0)) == []
    assert method(held_out=(1.0, 1.0, 1.2), checkpoint=2) == ["overtrained"]


def test_a_loss_that_chance_explains_is_no_fault() -> None:
    assert method(held_out=(1.0, 1.0, 1.005)) == []


def test_where_nothing_has_a_scale_nothing_is_said_of_it() -> None:
    assert method(fidelity=None, adherence=None, copied=0.9, curve=()) == []
