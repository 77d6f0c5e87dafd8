"""How well one ranking agrees with another: a metric's with the truth's."""

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import kendalltau, spearmanr

from pseudoword.metrics.stats import Array


def spearman(a: ArrayLike, b: ArrayLike) -> float:
    """Spearman's rank correlation in [-1, 1]; NaN where either does not vary."""
    return _correlation(spearmanr, a, b)


def kendall(a: ArrayLike, b: ArrayLike) -> float:
    """Kendall's tau-b in [-1, 1], which allows for ties; NaN where either does not vary."""
    return _correlation(kendalltau, a, b)


def pairs_right(a: ArrayLike, b: ArrayLike) -> float:
    """Of the pairs that `b` tells apart, the share that `a` puts in the same order.

    A pair that `a` does not tell apart counts half. NaN where `b` tells no pair apart.
    """
    first, second = _differences(a), _differences(b)
    told = second != 0
    if not told.any():
        return float("nan")
    agree = np.sign(first[told]) * np.sign(second[told])
    return float((agree.mean() + 1) / 2)


def _correlation(measure: object, a: ArrayLike, b: ArrayLike) -> float:
    first, second = np.asarray(a, np.float64), np.asarray(b, np.float64)
    if len(first) < 2 or np.ptp(first) == 0 or np.ptp(second) == 0:
        return float("nan")
    assert callable(measure)
    return float(measure(first, second).statistic)


def _differences(values: ArrayLike) -> Array:
    """The differences of all pairs."""
    array = np.asarray(values, np.float64)
    upper = np.triu_indices(len(array), k=1)
    differences: Array = array[upper[0]] - array[upper[1]]
    return differences
