"""Distances of feature sets against their definitions and against torchmetrics."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torchmetrics.functional.pairwise import pairwise_cosine_similarity
from torchmetrics.image.fid import FrechetInceptionDistance
from torchmetrics.image.kid import KernelInceptionDistance

from pseudoword.metrics.distances import (
    cmmd,
    cosine_matrix,
    covariance_rank,
    directional_cosine,
    fid,
    kid,
    leave_one_out_cosine,
    mean_cosine_to,
    scd,
)

DIMENSION = 16


class Identity(torch.nn.Module):
    """Features that are their own input, for torchmetrics."""

    num_features = DIMENSION

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return features


def vectors(n: int, seed: int, shift: float = 0.0) -> np.ndarray:
    return np.random.default_rng([17, seed]).normal(shift, 1.0, (n, DIMENSION))


def test_cosines_are_those_of_torchmetrics() -> None:
    a, b = vectors(5, 0), vectors(3, 1)
    expected = pairwise_cosine_similarity(torch.tensor(a), torch.tensor(b))
    assert cosine_matrix(a, b) == pytest.approx(expected.numpy(), rel=1e-6, abs=1e-12)
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


def test_scd_is_its_definition() -> None:
    """The biased form less the spread of both means: LyCORIS, equation 23."""
    a, b = (v / np.linalg.norm(v, axis=1, keepdims=True) for v in (vectors(5, 9), vectors(7, 10)))
    spread = [np.mean(np.sum((v - v.mean(axis=0)) ** 2, axis=1)) for v in (a, b)]
    naive = np.sum((a.mean(axis=0) - b.mean(axis=0)) ** 2)
    assert 1 - cosine_matrix(a, b).mean() == pytest.approx((naive + sum(spread)) / 2)
    expected = naive - spread[0] / (len(a) - 1) - spread[1] / (len(b) - 1)
    assert scd(a, b) == pytest.approx(expected, rel=1e-9)
    assert scd(3.0 * a, b) == pytest.approx(expected, rel=1e-9)


def test_cmmd_is_its_definition() -> None:
    a, b = vectors(5, 11), vectors(4, 12, shift=0.5)

    def k(x: np.ndarray, y: np.ndarray) -> float:
        gap = x / np.linalg.norm(x) - y / np.linalg.norm(y)
        return float(np.exp(-(gap @ gap) / 200.0))

    def within(rows: np.ndarray) -> float:
        pairs = [(i, j) for i in range(len(rows)) for j in range(len(rows)) if i != j]
        return float(np.mean([k(rows[i], rows[j]) for i, j in pairs]))

    between = np.mean([k(x, y) for x in a for y in b])
    assert cmmd(a, b) == pytest.approx(1000 * (within(a) + within(b) - 2 * between), rel=1e-6)


def test_cmmd_is_nearly_ten_times_scd() -> None:
    a, b = vectors(30, 13), vectors(30, 14, shift=1.0)
    assert cmmd(a, b) == pytest.approx(10 * scd(a, b), rel=0.02)


@pytest.mark.parametrize("distance", [kid, scd, cmmd])
def test_squared_mmds_are_unbiased(distance: Callable[[np.ndarray, np.ndarray], float]) -> None:
    found = np.array(
        [distance(vectors(5, 2 * i, 0.4), vectors(3, 2 * i + 1, 0.4)) for i in range(1500)]
    )
    assert abs(found.mean()) < 3 * found.std() / np.sqrt(len(found))
    assert found.min() < 0 < found.max()


def test_the_same_prompts_on_both_sides_lower_a_distance() -> None:
    """Two pictures of one set are less often of one prompt than two of different sets are."""
    found = []
    for i in range(200):
        prompts = np.repeat(vectors(6, 3 * i), 2, axis=0)
        found.append(scd(prompts + vectors(12, 3 * i + 1), prompts + vectors(12, 3 * i + 2)))
    assert np.mean(found) < -3 * np.std(found) / np.sqrt(len(found))


def test_directions_are_compared_from_the_plain_picture() -> None:
    plain, step = vectors(3, 20), vectors(3, 21)
    plain /= np.linalg.norm(plain, axis=1, keepdims=True)
    texts = plain + 0.1 * step
    texts /= np.linalg.norm(texts, axis=1, keepdims=True)
    # Pictures that move as the texts do, against them, and not at all.
    assert directional_cosine(5 * texts, plain, texts, plain) == pytest.approx(np.ones(3))
    assert directional_cosine(plain, texts, texts, plain) == pytest.approx(-np.ones(3))
    assert directional_cosine(plain, 2 * plain, texts, plain) == pytest.approx(np.zeros(3))
    assert directional_cosine(texts, plain, 3 * plain, plain) == pytest.approx(np.zeros(3))
    other = vectors(3, 22)
    expected = torch.nn.functional.cosine_similarity(
        torch.nn.functional.normalize(torch.tensor(other)) - torch.tensor(plain),
        torch.tensor(texts - plain),
    )
    found = directional_cosine(other, plain, texts, plain)
    assert found == pytest.approx(expected.numpy(), rel=1e-6)


def test_sets_of_one_are_refused_and_rank_is_told() -> None:
    with pytest.raises(ValueError, match="n >= 2"):
        fid(vectors(1, 0), vectors(3, 0))
    with pytest.raises(ValueError, match="n >= 2"):
        kid(vectors(3, 0), vectors(1, 0))
    assert covariance_rank(5, 2048) == 4
    assert covariance_rank(5000, 2048) == 2048
