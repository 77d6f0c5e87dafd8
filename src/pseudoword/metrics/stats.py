"""Uncertainty over training seeds x prompts (both crossed and random), in numpy and scipy alone.

Pictures are not independent: those of one training run share its luck, those of one prompt its
difficulty. So whole seeds and whole prompts are left out or drawn, the same ones for every method,
which pairs the methods. Pictures inside a cell are averaged and not resampled: their noise is in
the cell means already, and drawing them again would count it twice.

* **Intervals** come from a two-way delete-one jackknife with Student's t; what both factors hold is
  counted once. With 2 or 3 seeds percentile intervals of the bootstrap undercover badly, because
  they take the spread of so few seeds for known; and drawing a picture twice biases KID and FID.
* **Joint draws** of the crossed bootstrap (Owen, arXiv 0712.1111) serve for P(best), with their
  deviations widened to agree with those intervals.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr, stdtrit

Array = NDArray[np.float64]

NOTHING = 1e-9
"""What rounding leaves of a spread that is none, in scores of the size of 1."""
LEVEL = 0.05
"""How often a difference may be claimed where there is none."""


@dataclass(frozen=True)
class Interval:
    """An estimate with its 95 % interval; `n` pictures went in. No interval without replication."""

    value: float
    low: float | None
    high: float | None
    n: int


@dataclass(frozen=True)
class Resamples:
    """Weights of seeds (r, S) and of prompts (r, P) in each of r resamples; rows sum to 1.

    Row 0 is the whole sample; then come the jackknife's rows, one factor or stratum after the
    other, `groups` of them; then those without one seed and one prompt at once, seed by seed; the
    last `draws` rows are the bootstrap's.
    """

    seeds: Array
    prompts: Array
    groups: tuple[tuple[str, int], ...]
    draws: int

    @property
    def jackknife_rows(self) -> int:
        """1 + the seeds and prompts that are left out: what an interval needs at least."""
        return 1 + sum(size for _, size in self.groups)


@dataclass(frozen=True)
class Spread:
    """The variance of an estimate by factor ("seeds", "prompts") and its degrees of freedom.

    `twice` is what both factors hold: the noise of single cells.
    """

    variance: dict[str, float]
    freedom: dict[str, float]
    twice: float = 0.0

    @property
    def standard_error(self) -> float:
        """What is held twice counts once; it can be no more than half of the sum."""
        total = sum(self.variance.values())
        return float(np.sqrt(total - min(self.twice, total / 2)))

    @property
    def degrees_of_freedom(self) -> float:
        return degrees_of_freedom(self.variance, self.freedom)


def crossed_draws(
    n_seeds: int, strata: NDArray[np.int64], draws: int, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Indices of drawn seeds (draws, S) and of drawn prompts (draws, P), both with replacement.

    Prompts are drawn within their stratum (`strata` (P,) holds a label each), so that every draw
    keeps the study's mix of plain and edit prompts.
    """
    rng = np.random.default_rng([seed, n_seeds, len(strata)])
    seeds = rng.integers(n_seeds, size=(draws, n_seeds))
    prompts = np.empty((draws, len(strata)), dtype=np.int64)
    for label in np.unique(strata):
        members = np.flatnonzero(strata == label)
        prompts[:, members] = members[rng.integers(len(members), size=(draws, len(members)))]
    return seeds, prompts


def resamples(
    n_seeds: int, strata: NDArray[np.int64], draws: int = 2000, seed: int = 0
) -> Resamples:
    """All resamples of `n_seeds` seeds and of the prompts with the labels `strata` (P,)."""
    n_prompts, groups = len(strata), []
    no_seed, no_prompt = np.ones((0, n_seeds)), [np.ones((0, n_prompts))]
    if n_seeds > 1:
        groups.append(("seeds", n_seeds))
        no_seed = _leave_one_out(np.ones(n_seeds, dtype=bool))
    for label in np.unique(strata):
        members = strata == label
        if members.sum() > 1:
            groups.append(("prompts", int(members.sum())))
            no_prompt.append(_leave_one_out(members))
    one_less = np.concatenate(no_prompt)
    drawn_seeds, drawn_prompts = crossed_draws(n_seeds, strata, draws, seed)
    seeds = np.concatenate(
        [
            np.ones((1, n_seeds)),
            no_seed,
            np.ones((len(one_less), n_seeds)),
            np.repeat(no_seed, len(one_less), axis=0),
            _counts(drawn_seeds),
        ]
    )
    prompts = np.concatenate(
        [
            np.ones((1 + len(no_seed), n_prompts)),
            one_less,
            np.tile(one_less, (len(no_seed), 1)),
            _counts(drawn_prompts),
        ]
    )
    return Resamples(seeds / n_seeds, prompts / n_prompts, tuple(groups), draws)


def weighted_means(
    cells: Array, sampled: Resamples, subset: NDArray[np.bool_] | None = None
) -> Array:
    """The mean of `cells` (S, P) in every resample: (r,).

    The untouched model has one row of cells (1, P) and so no seeds to draw. `subset` (P,) restricts
    the mean to some prompts; it must be a union of strata, lest a draw be without any.
    """
    prompts = sampled.prompts
    if subset is not None:
        prompts = prompts * subset
        prompts = prompts / prompts.sum(axis=1, keepdims=True)
    seeds = sampled.seeds if len(cells) > 1 else np.ones((len(prompts), 1))
    means: Array = ((seeds @ cells) * prompts).sum(axis=1)
    return means


def spread(values: Array, sampled: Resamples) -> Spread:
    """The variance of values[0] from its leave-one-out values, by factor.

    The delete-one jackknife (Efron & Stein 1981) in each factor. Both factors hold the noise of
    single cells; where `values` has the rows without a seed and a prompt as well, these tell how
    much it is (of a mean: the mean square of the interaction, over the number of cells).
    """
    by_group, start = [], 1
    for factor, size in sampled.groups:
        left_out = values[start : start + size]
        deviations = left_out - left_out.mean()
        by_group.append((factor, (size - 1) / size * float(deviations @ deviations), size - 1))
        start += size
    variance: dict[str, float] = {}
    freedom: dict[str, float] = {}
    for factor in dict.fromkeys(factor for factor, _ in sampled.groups):
        parts = [(v, df) for name, v, df in by_group if name == factor]
        variance[factor] = sum(v for v, _ in parts)
        freedom[factor] = degrees_of_freedom(
            {str(i): v for i, (v, _) in enumerate(parts)},
            {str(i): df for i, (_, df) in enumerate(parts)},
        )
    return Spread(variance, freedom, _held_twice(values, sampled))


def _held_twice(values: Array, sampled: Resamples) -> float:
    """The part of the variance that both factors see; 0 where it is not known."""
    sizes = dict(sampled.groups[:1])
    if "seeds" not in sizes or len(values) == sampled.jackknife_rows:
        return 0.0
    n_seeds, start = sizes["seeds"], 1 + sizes["seeds"]
    n_prompts = sampled.jackknife_rows - start
    without_seed, without_prompt = values[1:start], values[start : start + n_prompts]
    without_both = values[start + n_prompts :][: n_seeds * n_prompts].reshape(n_seeds, n_prompts)
    own = without_both - without_seed[:, None] - without_prompt + values[0]
    found, at = 0.0, 0
    for _, size in sampled.groups[1:]:
        part = own[:, at : at + size]
        found += (n_seeds - 1) / n_seeds * (size - 1) / size * float((part**2).sum())
        at += size
    return found


def degrees_of_freedom(variance: dict[str, float], freedom: dict[str, float]) -> float:
    """Degrees of freedom of a sum of estimated variances; inf for 0.

    The harmonic mean of the parts' own, weighted by their variances. Satterthwaite (1946) squares
    the weights, as if they were known; estimated from two or three seeds they are not, and his
    intervals undercover where seeds and prompts interact (docs/decisions/intervals.md).
    """
    total = sum(variance.values())
    uncertainty = sum(variance[key] / freedom[key] for key in variance)
    return total / uncertainty if uncertainty > 0 else float("inf")


def interval(values: Array, sampled: Resamples, n: int) -> Interval:
    """The 95 % interval of values[0].

    Of `values` the first `jackknife_rows` are enough, where more are dear (distances of sets): what
    both factors hold is then counted twice, and the interval a little wide.
    """
    value = float(values[0])
    if not sampled.groups:
        return Interval(value, None, None, n)
    half = half_width(spread(values, sampled))
    return Interval(value, value - half, value + half, n)


def half_width(of: Spread, level: float = 0.95) -> float:
    """Half the length of the interval (of the normal distribution for infinite freedom)."""
    return float(stdtrit(of.degrees_of_freedom, 0.5 + level / 2)) * of.standard_error


def p_value(values: Array, sampled: Resamples) -> float:
    """Two-sided p of values[0] = 0, in agreement with `interval`.

    1 where nothing is replicated, and where nothing varied: few cells that agree show no certainty.
    """
    found = spread(values, sampled)
    if not sampled.groups or found.standard_error <= NOTHING:
        return 1.0
    statistic = abs(float(values[0])) / found.standard_error
    return float(2.0 * stdtr(found.degrees_of_freedom, -statistic))


def holm(p_values: list[float]) -> list[float]:
    """Holm's step-down adjustment (1979) of a family of p values, in their own order."""
    adjusted, highest = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(np.argsort(p_values, kind="stable")):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = highest
    return adjusted


def widening(values: Array, sampled: Resamples) -> float:
    """By what to multiply the draws' deviations from values[0] to agree with `interval`."""
    draws = values[len(values) - sampled.draws :]
    low, high = np.quantile(draws, [0.025, 0.975])
    if not sampled.groups or high == low:
        return 1.0
    return half_width(spread(values, sampled)) / (float(high - low) / 2.0)


def from_sample(values: Array) -> Interval:
    """The mean of independent `values` (n,) with Student's t interval; none for n = 1."""
    sampled = resamples(len(values), np.zeros(1, dtype=np.int64), draws=0)
    return interval(weighted_means(values[:, None], sampled), sampled, len(values))


def _leave_one_out(members: NDArray[np.bool_]) -> Array:
    """Per member a row of weights without it, the other members taking over its share."""
    k = int(members.sum())
    rows = np.ones((k, len(members)))
    rows[:, members] = k / (k - 1) * (1.0 - np.eye(k))
    return rows


def _counts(indices: NDArray[np.int64]) -> Array:
    """How often each index occurs in a row of `indices` (r, k): (r, k)."""
    counts = np.zeros(indices.shape)
    np.add.at(counts, (np.arange(len(indices))[:, None], indices), 1.0)
    return counts
