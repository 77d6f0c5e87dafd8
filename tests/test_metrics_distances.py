"""Distances of feature sets against their definitions and against torchmetrics."""

import numpy as np
import pytest
import torch
from torchmetrics.image.fid import FrechetInceptionDistance
from torchmetrics.image.kid import KernelInceptionDistance

from pseudoword.metrics.distances import (
    cosine_matrix,
    covariance_rank,
    fid,
    kid,
    leave_one_out_cosine,
    mean_cosine_to,
)

DIMENSION = 16


class Identity(torch.nn.Module):
    """Features that are their own input, for torchmetrics."""

    num_features = DIMENSION

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return features


def vectors(n: int, seed: int, shift: float = 0.0) -> np.ndarray:
    return np.random.default_rng([17, seed]).normal(shift, 1.0, (n, DIMENSION))


def test_cosines_are_those_of_torch() -> None:
    a, b = vectors(5, 0), vectors(3, 1)
    expected = torch.nn.functional.cosine_similarity(
        torch.tensor(a)[:, None], torch.tensor(b)[None], dim=-1
    )
    assert cosine_matrix(a, b) == pytest.approx(expected.numpy(), abs=1e-12)
    assert mean_cosine_to(a, b) == pytest.approx(expected.mean(1).numpy(), abs=1e-12)


def test_a_vector_is_like_any_multiple_of_itself() -> None:
    a = vectors(4, 0)
    assert np.diag(cosine_matrix(a, 7.5 * a)) == pytest.approx(np.ones(4), abs=1e-12)


def test_ceiling_leaves_the_photo_itself_out() -> None:
    photos = vectors(5, 2)
    expected = [mean_cosine_to(photos[[i]], np.delete(photos, i, 0))[0] for i in range(5)]
    assert leave_one_out_cosine(photos) == pytest.approx(expected, abs=1e-12)
    with pytest.raises(ValueError, match="two"):
        leave_one_out_cosine(photos[:1])


def test_zero_vectors_have_no_cosine() -> None:
    with pytest.raises(ValueError, match="zero"):
        cosine_matrix(np.zeros((1, 3)), np.ones((1, 3)))


@pytest.mark.parametrize(("n", "m"), [(40, 60), (5, 7), (2, 30)])
def test_fid_is_that_of_torchmetrics(n: int, m: int) -> None:
    a, b = vectors(n, 3), vectors(m, 4, shift=0.5)
    reference = FrechetInceptionDistance(feature=Identity()).set_dtype(torch.float64)
    reference.update(torch.tensor(a), real=True)
    reference.update(torch.tensor(b), real=False)
    # Where the covariances are singular, torchmetrics' eigenvalues near 0 cost it digits.
    tolerance = 1e-6
    assert fid(a, b) == pytest.approx(float(reference.compute()), rel=tolerance)


def test_fid_is_a_distance() -> None:
    a, b = vectors(6, 5), vectors(9, 6)
    assert fid(a, a) == pytest.approx(0.0, abs=1e-9)
    assert fid(a, b) == pytest.approx(fid(b, a), rel=1e-12)
    assert fid(a, a + 2.0) == pytest.approx(4.0 * DIMENSION, rel=1e-9)


@pytest.mark.filterwarnings("ignore:Metric `Kernel Inception Distance`")
def test_kid_is_that_of_torchmetrics() -> None:
    n = 20
    a, b = vectors(n, 7), vectors(n, 8, shift=0.3)
    reference = KernelInceptionDistance(feature=Identity(), subsets=1, subset_size=n)
    reference.update(torch.tensor(a), real=True)
    reference.update(torch.tensor(b), real=False)
    assert kid(a, b) == pytest.approx(float(reference.compute()[0]), rel=1e-6)


def test_kid_is_unbiased_for_few_vectors_and_fid_is_not() -> None:
    pairs = [(vectors(4, 2 * i), vectors(4, 2 * i + 1)) for i in range(400)]
    kids = np.array([kid(a, b) for a, b in pairs])
    assert abs(kids.mean()) < 3 * kids.std() / np.sqrt(len(kids))
    assert min(fid(a, b) for a, b in pairs) > 1.0


def test_sets_of_one_are_refused_and_rank_is_told() -> None:
    with pytest.raises(ValueError, match="n >= 2"):
        fid(vectors(1, 0), vectors(3, 0))
    with pytest.raises(ValueError, match="n >= 2"):
        kid(vectors(3, 0), vectors(1, 0))
    assert covariance_rank(5, 2048) == 4
    assert covariance_rank(5000, 2048) == 2048
