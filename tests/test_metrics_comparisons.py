"""Pairs, the Pareto front, the power and the discrimination, against brute force."""

import numpy as np
import pytest

from pseudoword.metrics.chances import front, probability_best, probability_on_front
from pseudoword.metrics.comparisons import (
    comparisons,
    differences,
    pareto,
    primary_cells,
    probability_of_improvement,
)
from pseudoword.metrics.design import BASE, Design, Evidence
from pseudoword.metrics.discrimination import area_interval, area_under_curve, discrimination
from pseudoword.metrics.power import MOST, equivalent, needed, needed_together
from pseudoword.metrics.scales import normalise_study
from pseudoword.metrics.simulation import PROFILES, Setup, simulate
from pseudoword.metrics.stats import holm, resamples, weighted_means
from pseudoword.metrics.verdict import Standing

TRUTH = {"lora": (0.5, 0.95), "dreambooth": (0.8, 0.9), "textual-inversion": (0.4, 0.8)}


@pytest.fixture(scope="module")
def study() -> tuple[Design, Evidence, Standing]:
    setup = Setup()
    profile = PROFILES["as in the repeated study"]
    ((design, evidence),) = simulate(profile, TRUTH, setup, 1, setup.sampled(2000), seed=7)
    found = normalise_study(design, evidence)
    titles = {name: name for name in TRUTH}
    return (
        design,
        evidence,
        Standing(found.fidelity, found.adherence, design.sampled, titles, "mug"),
    )


def test_the_front_is_what_nothing_beats() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 5, size=(2, 40, 6)).astype(float)
    for xs, ys, on in zip(x, y, front(x, y), strict=True):
        points = list(zip(xs, ys, strict=True))
        expected = [
            not any(a >= p and b >= q and (a > p or b > q) for a, b in points) for p, q in points
        ]
        assert on.tolist() == expected


def test_chances_of_the_front(study: tuple[Design, Evidence, Standing]) -> None:
    found = pareto(study[2])
    on = [m for m, row in found.items() if row["front"]]
    assert {"dreambooth"} <= set(on) and "textual-inversion" not in on
    assert found["textual-inversion"]["p_front"] < 0.5 < found["dreambooth"]["p_front"]
    nothing = resamples(1, np.zeros(1, dtype=np.int64), draws=10)
    one = {"a": np.ones(11), "b": np.zeros(11)}
    assert probability_on_front(one, one, nothing) is None
    assert probability_best(one, nothing) == {"a": 0.5, "b": 0.5}


def test_probability_of_improvement_counts_pairs() -> None:
    rng = np.random.default_rng(1)
    a, b = rng.integers(0, 3, size=(2, 3, 4)).astype(float)
    wins = [
        1.0 if a[i, p] > b[j, p] else 0.5 if a[i, p] == b[j, p] else 0.0
        for p in range(4)
        for i in range(3)
        for j in range(3)
    ]
    assert probability_of_improvement(a, b) == pytest.approx(np.mean(wins))


def test_comparisons_are_ordered_and_adjusted(study: tuple[Design, Evidence, Standing]) -> None:
    rows = comparisons(study[2], study[0], study[1])
    ranking = study[2].ranking()
    assert [(r["a"], r["b"]) for r in rows] == [
        (ranking[0], ranking[1]), (ranking[0], ranking[2]), (ranking[1], ranking[2]),
    ]  # fmt: skip
    assert [r["p_holm"] for r in rows] == pytest.approx(holm([r["p"] for r in rows]))
    for row in rows:
        assert row["low"] <= row["value"] <= row["high"] and row["value"] >= 0
        assert row["p_improvement"] > 0.5


def test_cells_of_the_primary_metric_average_to_it(
    study: tuple[Design, Evidence, Standing],
) -> None:
    """Not exactly: a mean of products is no product of means, and plain prompts are left out."""
    cells = primary_cells(study[0], study[1])
    for method, values in cells.items():
        assert values.shape == (3, 9)
        assert values.mean() == pytest.approx(study[2].overall[method][0], abs=0.15)


def test_differences_adjust_methods_alone(study: tuple[Design, Evidence, Standing]) -> None:
    rows = [r for r in differences(study[0]) if r["metric"] == "dino"]
    methods = [r for r in rows if BASE not in (r["a"], r["b"])]
    assert len(rows) == 6 and len(methods) == 3
    assert [r["p_holm"] for r in methods] == pytest.approx(holm([r["p"] for r in methods]))
    assert all(r["p"] is None and r["p_holm"] is None for r in rows if r not in methods)


def test_power_grows_with_what_varies() -> None:
    """Only seeds vary: more of them help, more prompts do not. And a wide gap needs fewer."""
    sampled = resamples(3, np.zeros(10, dtype=np.int64), draws=0)
    luck = np.array([[0.1], [-0.1], [0.0]]) * np.ones((1, 10))
    near, far = (weighted_means(gap + luck, sampled) for gap in (0.12, 0.2))
    few, many = needed(far, sampled, "seeds"), needed(near, sampled, "seeds")
    assert few is not None and many is not None and 3 < few < many
    assert needed(near, sampled, "prompts") is None
    assert not equivalent(near, sampled)
    same = weighted_means(0.01 * luck, sampled)
    assert equivalent(same, sampled)
    assert needed(weighted_means(luck, sampled), sampled, "seeds", same=True) is not None


def test_where_both_vary_both_may_be_needed() -> None:
    sampled = resamples(2, np.zeros(10, dtype=np.int64), draws=0)
    seeds, prompts = np.array([[0.06], [-0.06]]), np.linspace(-0.25, 0.25, 10)
    values = weighted_means(0.11 + seeds + prompts, sampled)
    assert needed(values, sampled, "seeds") is None and needed(values, sampled, "prompts") is None
    together = needed_together(values, sampled)
    assert together is not None and 2 < together[0] <= MOST["seeds"]
    assert together[1] == 5 * together[0]
    once = resamples(1, np.zeros(10, dtype=np.int64), draws=0)
    assert needed_together(weighted_means(0.2 + prompts[None], once), once) is None


def test_the_area_under_the_curve_and_its_interval() -> None:
    rng = np.random.default_rng(2)
    a, b = rng.integers(0, 6, 5), rng.integers(0, 6, 30)
    wins = [(x > y) + 0.5 * (x == y) for x in a for y in b]
    assert area_under_curve(a, b) == pytest.approx(np.mean(wins))
    low, high = area_interval(0.8, 10, 30)
    assert 0.5 < low < 0.8 < high < 1
    assert area_interval(1.0, 4, 24)[0] < 0.95 and area_interval(1.0, 4, 24)[1] == 1.0
    assert area_interval(0.2, 10, 30) == pytest.approx((1 - high, 1 - low), abs=1e-6)


def test_a_metric_that_sees_no_difference_does_not_tell(
    study: tuple[Design, Evidence, Standing],
) -> None:
    design, evidence, _ = study
    far = discrimination(design, evidence)
    assert far["tells"] is True and far["n_photos"] == 2 and far["value"] == 1.0
    evidence.ceiling["dino"][:] = 0.0  # type: ignore[index]
    near = discrimination(design, evidence)
    evidence.ceiling["dino"][:] = 1.0  # type: ignore[index]
    assert near["tells"] is False and "cannot surely tell" in near["text"]
