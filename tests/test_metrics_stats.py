"""Intervals over crossed seeds and prompts: definitions, pairing and measured coverage."""

import numpy as np
import pytest
from scipy import stats as scipy_stats

from pseudoword.metrics.stats import (
    crossed_draws,
    from_sample,
    holm,
    interval,
    p_value,
    resamples,
    spread,
    weighted_means,
    widening,
)

ONE_STRATUM = np.zeros(10, dtype=np.int64)


def cells(seed: int, shape: tuple[int, int] = (3, 10)) -> np.ndarray:
    """Cell means of a two-way random effects model."""
    rng = np.random.default_rng([11, seed])
    n_seeds, n_prompts = shape
    return (
        0.5 * rng.normal(size=(n_seeds, 1))
        + rng.normal(size=(1, n_prompts))
        + 0.7 * rng.normal(size=shape)
    )


def test_rows_are_weights_and_row_0_is_the_sample() -> None:
    strata = np.array([0, 1, 1, 1, 2, 2])
    sampled = resamples(3, strata, draws=50)
    assert sampled.seeds.sum(axis=1) == pytest.approx(np.ones(len(sampled.seeds)))
    for label in range(3):
        share = sampled.prompts[:, strata == label].sum(axis=1)
        assert share == pytest.approx(np.full(len(share), (strata == label).mean()))
    values = cells(0, (3, 6))
    assert weighted_means(values, sampled)[0] == pytest.approx(values.mean())
    assert sampled.jackknife_rows == 1 + 3 + 3 + 2
    assert len(sampled.seeds) == sampled.jackknife_rows + 3 * 5 + 50


def test_leaving_out_is_leaving_out() -> None:
    values, sampled = cells(1), resamples(3, ONE_STRATUM, draws=0)
    means = weighted_means(values, sampled)
    assert means[1:4] == pytest.approx([np.delete(values, s, 0).mean() for s in range(3)])
    assert means[4:14] == pytest.approx([np.delete(values, p, 1).mean() for p in range(10)])
    both = [np.delete(np.delete(values, s, 0), p, 1).mean() for s in range(3) for p in range(10)]
    assert means[14:] == pytest.approx(both)


def test_variances_are_those_of_the_two_way_layout() -> None:
    values, sampled = cells(2), resamples(3, ONE_STRATUM, draws=0)
    found = spread(weighted_means(values, sampled), sampled)
    assert found.variance["seeds"] == pytest.approx(values.mean(1).var(ddof=1) / 3)
    assert found.variance["prompts"] == pytest.approx(values.mean(0).var(ddof=1) / 10)
    assert found.freedom == pytest.approx({"seeds": 2, "prompts": 9})
    assert 2 <= found.degrees_of_freedom <= 9
    rest = values - values.mean(1)[:, None] - values.mean(0) + values.mean()
    assert found.twice == pytest.approx((rest**2).sum() / (2 * 9) / 30)
    total = sum(found.variance.values())
    assert found.standard_error == pytest.approx(np.sqrt(total - min(found.twice, total / 2)))
    # distances of sets come without the rows that tell what is held twice
    short = weighted_means(values, sampled)[: sampled.jackknife_rows]
    assert spread(short, sampled).standard_error == pytest.approx(np.sqrt(total))


def test_one_factor_gives_students_interval_and_p() -> None:
    sample = np.random.default_rng(3).normal(0.4, 1.0, 8)
    found = from_sample(sample)
    expected = scipy_stats.ttest_1samp(sample, 0.0)
    low, high = expected.confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((low, high))
    assert found.n == 8
    sampled = resamples(8, np.zeros(1, dtype=np.int64), draws=0)
    p = p_value(weighted_means(sample[:, None], sampled), sampled)
    assert p == pytest.approx(expected.pvalue)


def test_nothing_replicated_gives_no_interval() -> None:
    sampled = resamples(1, np.zeros(1, dtype=np.int64), draws=10)
    values = weighted_means(np.array([[0.3]]), sampled)
    found = interval(values, sampled, 4)
    assert (found.value, found.low, found.high, found.n) == (0.3, None, None, 4)
    assert p_value(values, sampled) == 1.0
    assert from_sample(np.array([0.5])).low is None


def test_interval_and_p_agree() -> None:
    sampled = resamples(3, ONE_STRATUM, draws=0)
    for seed in range(40):
        values = weighted_means(cells(seed) + 0.5, sampled)
        found = interval(values, sampled, 30)
        assert found.low is not None and found.high is not None
        assert (found.low > 0 or found.high < 0) == (p_value(values, sampled) < 0.05)


def test_shared_prompts_pair_the_methods() -> None:
    """What all methods share, the prompts' difficulty, cancels in their difference."""
    difficulty = 5.0 * np.random.default_rng(4).normal(size=(1, 10))
    a, b = cells(5) + difficulty, cells(6) + difficulty
    base = difficulty + 0.1 * cells(7, (1, 10))
    sampled = resamples(3, ONE_STRATUM, draws=200)
    alone = spread(weighted_means(a, sampled), sampled).standard_error
    for other in (b, base):
        values = weighted_means(a, sampled) - weighted_means(other, sampled)
        assert spread(values, sampled).standard_error < alone / 2
        draws = values[sampled.jackknife_rows :]
        assert draws.std() < alone / 2


def test_draws_stay_in_their_stratum_and_repeat() -> None:
    strata = np.array([1, 0, 0, 1, 0])
    seeds, prompts = crossed_draws(3, strata, 100, seed=1)
    assert np.array_equal(strata[prompts], np.broadcast_to(strata, (100, 5)))
    assert seeds.min() == 0 and seeds.max() == 2
    again = crossed_draws(3, strata, 100, seed=1)
    assert np.array_equal(seeds, again[0]) and np.array_equal(prompts, again[1])
    assert not np.array_equal(prompts, crossed_draws(3, strata, 100, seed=2)[1])


def test_widened_draws_have_the_intervals_width() -> None:
    sampled = resamples(3, ONE_STRATUM, draws=4000)
    values = weighted_means(cells(8), sampled)
    draws = values[0] + widening(values, sampled) * (values[-4000:] - values[0])
    found = interval(values, sampled, 30)
    assert found.low is not None and found.high is not None
    low, high = np.quantile(draws, [0.025, 0.975])
    assert high - low == pytest.approx(found.high - found.low)


def test_holm_is_the_step_down_procedure() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.9]) == pytest.approx([1.0, 1.0])
    assert holm([]) == []
