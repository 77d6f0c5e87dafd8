"""How probable a standing is: of being the best, of being on the front, of beating in a picture.

The joint draws of `stats` hold the same seeds and prompts for every method, which pairs them.
"""

from collections.abc import Mapping
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from pseudoword.metrics.stats import Array, Resamples, widening


def probability_best(overall: Mapping[str, Array], sampled: Resamples) -> dict[str, float]:
    """Share of draws in which a method is ahead of all others; equals share a draw.

    All deviations are widened by one factor, the greatest that a difference of two methods needs
    to agree with its interval; one factor keeps the shares summing to 1. The shares are equal where
    nothing is replicated, for then nothing is known.
    """
    if not sampled.groups:
        return {method: 1.0 / len(overall) for method in overall}
    widened = _widened(overall, sampled)
    ahead = np.isclose(widened, widened.max(axis=1, keepdims=True), rtol=0, atol=1e-12)
    shares = (ahead / ahead.sum(axis=1, keepdims=True)).mean(axis=0)
    return dict(zip(overall, (float(share) for share in shares), strict=True))


def _widened(scores: Mapping[str, Array], sampled: Resamples) -> Array:
    """The draws (draws, methods), their deviations widened by one factor."""
    factor = max(
        (widening(scores[a] - scores[b], sampled) for a, b in combinations(scores, 2)),
        default=1.0,
    )
    point = np.array([values[0] for values in scores.values()])
    draws = np.stack([values[len(values) - sampled.draws :] for values in scores.values()], axis=1)
    widened: Array = point + factor * (draws - point)
    return widened


def front(x: Array, y: Array) -> NDArray[np.bool_]:
    """Which points of the last axis are on the Pareto front: none is better in both respects.

    A point is off where another is at least as good in both and better in one. Shapes (..., m).
    """
    other_x, other_y = x[..., None, :], y[..., None, :]
    as_good = (other_x >= x[..., None]) & (other_y >= y[..., None])
    better = (other_x > x[..., None]) | (other_y > y[..., None])
    beaten = np.asarray(as_good & better, dtype=np.bool_).any(axis=-1)
    return np.asarray(~beaten, dtype=np.bool_)


def probability_on_front(
    x: Mapping[str, Array], y: Mapping[str, Array], sampled: Resamples
) -> dict[str, float] | None:
    """Share of draws in which a method is on the front of x and y, both widened as `P(best)` is.

    None where nothing is replicated.
    """
    if not sampled.groups:
        return None
    on = front(_widened(x, sampled), _widened(y, sampled)).mean(axis=0)
    return dict(zip(x, (float(share) for share in on), strict=True))
