"""Diversity, copying and drift against their definitions and against torchmetrics."""

import numpy as np
import pytest
import torch
from torchmetrics.functional.pairwise import pairwise_cosine_similarity
from torchmetrics.image.mifid import _compute_cosine_distance

from pseudoword.metrics.diversity import embedding_diversity, perceptual_diversity, vendi
from pseudoword.metrics.drift import Drift, same_seed_drift
from pseudoword.metrics.memorisation import (
    PAIRS,
    PAIRS_OF_ONE_PHOTO,
    copied,
    copy_limit,
    nearest_cosine,
    nearest_pairs,
)


def vectors(n: int, seed: int, d: int = 8) -> np.ndarray:
    return np.random.default_rng([19, seed]).normal(0.4, 1.0, (n, d))


def test_diversity_is_a_mean_over_pairs_of_different_pictures() -> None:
    rows = vectors(5, 0)
    cosines = pairwise_cosine_similarity(torch.tensor(rows), zero_diagonal=True).numpy()
    assert embedding_diversity(rows) == pytest.approx(1 - cosines.sum() / 20, rel=1e-6)
    pairs = [(i, j) for i in range(5) for j in range(5) if i < j]
    expected = np.mean([np.sum((rows[i] - rows[j]) ** 2) for i, j in pairs])
    assert perceptual_diversity(rows) == pytest.approx(expected, rel=1e-9)


def test_pictures_that_are_all_the_same_have_no_diversity() -> None:
    rows = np.repeat(vectors(1, 1), 6, axis=0)
    assert embedding_diversity(rows) == pytest.approx(0, abs=1e-12)
    assert perceptual_diversity(rows) == pytest.approx(0, abs=1e-12)
    assert vendi(rows) == pytest.approx(1)
    for diversity in (embedding_diversity, perceptual_diversity):
        with pytest.raises(ValueError, match="at least two"):
            diversity(rows[:1])


def test_diversity_does_not_depend_on_the_number_of_pictures_but_vendi_does() -> None:
    groups = [vectors(12, seed) for seed in range(300)]
    few = np.array([embedding_diversity(rows[:3]) for rows in groups])
    many = np.array([embedding_diversity(rows) for rows in groups])
    gap = few - many
    assert abs(gap.mean()) < 3 * gap.std() / np.sqrt(len(gap))
    assert vendi(groups[0]) > vendi(groups[0][:3]) + 1


def test_vendi_counts_different_pictures() -> None:
    apart = np.eye(4, 8)
    assert vendi(apart) == pytest.approx(4)
    assert vendi(np.repeat(apart, 3, axis=0)) == pytest.approx(4)
    rows = vectors(6, 2)
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    # The same eigenvalues, of the d x d matrix instead of the n x n one.
    shares = np.linalg.svd(unit / np.sqrt(6), compute_uv=False) ** 2
    assert vendi(rows) == pytest.approx(np.prod(shares**-shares), rel=1e-9)


def test_nearest_is_the_other_way_round_than_torchmetrics() -> None:
    """MIFID's distance takes its first argument's nearest in the second; 1 switches off its cap."""
    pictures, photos = np.abs(vectors(7, 3)), np.abs(vectors(4, 4))
    distance = _compute_cosine_distance(torch.tensor(pictures), torch.tensor(photos), 1.0)
    expected = 1 - float(distance)
    assert nearest_cosine(pictures, photos).mean() == pytest.approx(expected, rel=1e-6)
    reverse = _compute_cosine_distance(torch.tensor(photos), torch.tensor(pictures), 1.0)
    assert float(reverse) != pytest.approx(float(distance), rel=1e-3)


def test_a_copy_is_nearer_than_photos_are_to_each_other() -> None:
    photos = vectors(4, 5)
    limit = copy_limit(photos)
    assert limit is not None
    cosines = pairwise_cosine_similarity(torch.tensor(photos), zero_diagonal=False).numpy()
    assert limit == pytest.approx(np.sort(cosines.ravel())[-5])
    pictures = np.concatenate([photos[:1] * 2, -photos[1:2], photos[:2].sum(axis=0)[None]])
    assert copied(nearest_cosine(pictures, photos), limit).tolist()[:2] == [1, 0]
    # No photo is a copy of the others.
    others = [nearest_cosine(photos[[i]], np.delete(photos, i, 0))[0] for i in range(4)]
    assert copied(np.array(others), limit).sum() == 0
    assert copy_limit(photos[:1]) is None


def test_the_nearest_pairs_are_not_all_of_one_photo() -> None:
    cosines = np.random.default_rng(6).uniform(0, 0.5, (40, 3))
    cosines[:10, 0] += 0.5
    pairs = nearest_pairs(cosines)
    values = [cosines[pair] for pair in pairs]
    assert values == sorted(values, reverse=True)
    assert values[0] == cosines.max() and len(pairs) == PAIRS
    for photo in range(3):
        assert sum(found == photo for _, found in pairs) <= PAIRS_OF_ONE_PHOTO
    assert len({picture for picture, _ in pairs}) == PAIRS
    assert len(nearest_pairs(cosines[:, :1])) == PAIRS_OF_ONE_PHOTO


def test_drift_is_half_the_cosine_distance_of_the_same_seed() -> None:
    untouched, tuned = vectors(4, 7), vectors(4, 8)
    expected = torch.nn.functional.cosine_similarity(torch.tensor(untouched), torch.tensor(tuned))
    assert same_seed_drift(untouched, tuned) == pytest.approx((1 - expected.numpy()) / 2)
    assert same_seed_drift(untouched, 3 * untouched) == pytest.approx(np.zeros(4), abs=1e-12)
    assert same_seed_drift(untouched, -untouched) == pytest.approx(np.ones(4))


def test_scores_of_drift_keep_kinds_apart() -> None:
    rng = np.random.default_rng(9)
    cells, class_cells = rng.random((3, 4, 2)), rng.random((3, 1, 2))
    drift = Drift(
        kinds=["class", "other", "other", "other"],
        pres={"lora": class_cells, "base_model": class_cells[:1]},
        drift={"lora": cells},
    )
    scores = drift.scores("lora")
    assert scores["drift"]["value"] == pytest.approx(cells.mean()) and scores["drift"]["n"] == 24
    assert scores["drift"]["kinds"]["class"] == pytest.approx(cells[:, :1].mean())
    assert scores["drift"]["kinds"]["other"] == pytest.approx(cells[:, 1:].mean())
    assert scores["drift"]["low"] < scores["drift"]["value"] < scores["drift"]["high"]
    assert scores["pres"]["low"] < class_cells.mean() < scores["pres"]["high"]
    base = drift.scores("base_model")
    assert set(base) == {"pres"} and base["pres"]["low"] is None
    assert drift.scores("given-other") == {}
