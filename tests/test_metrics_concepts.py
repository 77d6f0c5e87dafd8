"""The verdict over concepts, in worlds whose truth is known."""

import numpy as np
import pytest

from pseudoword.metrics.concepts_verdict import Verdict, decide_over_concepts

TITLES = {"a": "Aba", "b": "Beb", "c": "Coc"}


def verdict(
    fidelity: dict[str, float], adherence: dict[str, float], concepts: int, noise: float = 0.05
) -> Verdict:
    """Of methods with these means, which vary by concept together and each by itself."""
    rng = np.random.default_rng(7)
    shared = 0.1 * rng.normal(size=concepts)
    f = {m: v + shared + noise * rng.normal(size=concepts) for m, v in fidelity.items()}
    a = {m: v + noise * rng.normal(size=concepts) for m, v in adherence.items()}
    scores = {"fidelity": f, "adherence": a, "overall": {m: f[m] * a[m] for m in f}}
    return decide_over_concepts(scores, {m: TITLES[m] for m in f}, draws=500)


def test_a_winner_in_general() -> None:
    found = verdict({"a": 0.8, "b": 0.5, "c": 0.4}, {"a": 0.9, "b": 0.8, "c": 0.9}, 10)
    assert (found.kind, found.best) == ("winner", "a")
    assert "Aba" in found.text and "10 of 10" in found.text and found.p_best["a"] > 0.95


def test_a_tie_is_shown_and_not_just_unseparated() -> None:
    found = verdict({"a": 0.7, "b": 0.7}, {"a": 0.9, "b": 0.9}, 30, 0.03)
    assert (found.kind, found.best) == ("tie", None)
    assert verdict({"a": 0.7, "b": 0.7}, {"a": 0.9, "b": 0.9}, 4, 0.3).kind != "tie"


def test_a_trade_off() -> None:
    found = verdict({"a": 0.9, "b": 0.6}, {"a": 0.6, "b": 0.9}, 12)
    assert (found.kind, found.likeness, found.scenes) == ("trade_off", "a", "b")


def test_too_little_says_how_many_more() -> None:
    found = verdict({"a": 0.7, "b": 0.65}, {"a": 0.9, "b": 0.9}, 4, 0.1)
    assert found.kind == "not_enough_evidence" and found.best is None
    assert "concept" in found.next_step and any(c.isdigit() for c in found.next_step)


def test_nothing_learnt() -> None:
    found = verdict({"a": 0.0, "b": 0.0}, {"a": 1.0, "b": 1.0}, 6, 0.2)
    assert found.kind == "not_enough_evidence" and "No method has learnt" in found.text


def test_one_concept_or_none_with_a_scale() -> None:
    one = verdict({"a": 0.9, "b": 0.1}, {"a": 1.0, "b": 1.0}, 1)
    assert one.kind == "not_enough_evidence" and one.best is None and "one concept" in one.text
    none = {
        score: {m: np.array([]) for m in "ab"} for score in ("overall", "fidelity", "adherence")
    }
    found = decide_over_concepts(none, {"a": "Aba", "b": "Beb"})
    assert found.kind == "not_enough_evidence" and found.p_best == {"a": 0.5, "b": 0.5}


def test_alike_methods_rarely_have_a_winner() -> None:
    kinds = []
    for study in range(200):
        rng = np.random.default_rng([5, study])
        f = {m: 0.7 + 0.1 * rng.normal(size=10) for m in TITLES}
        a = {m: 0.9 + 0.05 * rng.normal(size=10) for m in TITLES}
        scores = {"fidelity": f, "adherence": a, "overall": {m: f[m] * a[m] for m in f}}
        kinds.append(decide_over_concepts(scores, TITLES, draws=200).kind)
    assert np.mean([kind == "winner" for kind in kinds]) <= 0.05


@pytest.mark.parametrize("concepts", [2, 3])
def test_few_concepts_give_a_verdict_of_some_kind(concepts: int) -> None:
    assert verdict({"a": 0.8, "b": 0.5}, {"a": 0.9, "b": 0.8}, concepts).text
