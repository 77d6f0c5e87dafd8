"""Agreement of rankings, against scipy and by hand."""

import numpy as np
import pytest
from scipy.stats import kendalltau, spearmanr

from pseudoword.metrics.agreement import kendall, pairs_right, spearman


def test_correlations_are_those_of_scipy() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=30), rng.integers(0, 4, 30)
    assert spearman(a, b) == pytest.approx(spearmanr(a, b).statistic)
    assert kendall(a, b) == pytest.approx(kendalltau(a, b).statistic)


def test_what_does_not_vary_has_no_rank() -> None:
    assert np.isnan(spearman([1, 1, 1], [1, 2, 3])) and np.isnan(kendall([1, 2, 3], [0, 0, 0]))
    assert np.isnan(spearman([1], [2]))


def test_pairs_ranked_rightly() -> None:
    assert pairs_right([1, 2, 3], [10, 20, 30]) == 1.0
    assert pairs_right([3, 2, 1], [10, 20, 30]) == 0.0
    assert pairs_right([1, 1], [0, 5]) == 0.5
    # a tie of the truth counts for nothing: pairs (0, 2) and (1, 2) are left
    assert pairs_right([1, 9, 5], [0, 0, 1]) == 0.5
    assert np.isnan(pairs_right([1, 2], [3, 3]))


def test_pairs_right_of_a_binary_truth_is_the_area_under_the_curve() -> None:
    rng = np.random.default_rng(1)
    scores, truth = rng.normal(size=40), rng.integers(0, 2, 40)
    right, wrong = scores[truth == 1], scores[truth == 0]
    assert pairs_right(scores, truth) == pytest.approx((right[:, None] > wrong).mean())
