"""The scores of every picture of a study: eight bytes each, since there may be many pictures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pseudoword.metrics.tables import read_scores

PictureKey = tuple[int, str, int]
"""Training seed, prompt id and image seed; what was not trained has the training seed -1."""


@dataclass(frozen=True)
class PictureScores:
    """Of each arm an array (S, P, I, M) over its seeds, prompts, image seeds and metrics.

    NaN where there is no score. The seeds of an arm are in `seeds`.
    """

    seeds: Mapping[str, tuple[int, ...]]
    prompts: tuple[str, ...]
    image_seeds: tuple[int, ...]
    metrics: tuple[str, ...]
    values: Mapping[str, NDArray[np.float64]]

    def of(self, arm: str, key: PictureKey) -> dict[str, float]:
        """A picture's scores by metric; empty where there is no such picture."""
        axes = (self.seeds[arm], self.prompts, self.image_seeds)
        if any(part not in axis for part, axis in zip(key, axes, strict=True)):
            return {}
        place = tuple(axis.index(part) for part, axis in zip(key, axes, strict=True))
        row = self.values[arm][place].tolist()
        return {name: one for name, one in zip(self.metrics, row, strict=True) if one == one}

    def ranked(self, arm: str, metric: str, prompts: Sequence[str]) -> NDArray[np.int64]:
        """Places (n, 3) of an arm's pictures of these prompts with the metric, the lowest first."""
        if metric not in self.metrics:
            return np.zeros((0, 3), np.int64)
        columns = [self.prompts.index(prompt) for prompt in prompts]
        values = self.values[arm][..., self.metrics.index(metric)][:, columns]
        order = np.argsort(values, axis=None, kind="stable")[: int((~np.isnan(values)).sum())]
        seeds, at, image_seeds = np.unravel_index(order, values.shape)
        places: NDArray[np.int64] = np.stack([seeds, np.array(columns)[at], image_seeds], axis=1)
        return places

    def keys(self, arm: str, places: NDArray[np.int64]) -> list[PictureKey]:
        """The pictures at some places (n, 3)."""
        return [
            (self.seeds[arm][seed], self.prompts[prompt], self.image_seeds[image_seed])
            for seed, prompt, image_seed in places.tolist()
        ]

    def pictures(self, arm: str, prompt: str) -> list[PictureKey]:
        """An arm's pictures of a prompt that have any score, by training seed."""
        values = self.values[arm][:, self.prompts.index(prompt)]
        places = np.argwhere(~np.isnan(values).all(axis=-1))
        found = [(self.seeds[arm][seed], prompt, self.image_seeds[at]) for seed, at in places]
        return sorted(found, key=lambda key: key[0])

    @property
    def count(self) -> int:
        """The pictures that have any score."""
        return sum(int((~np.isnan(v)).any(axis=-1).sum()) for v in self.values.values())

    @property
    def known(self) -> set[str]:
        """The metrics that any picture has."""
        some = [(~np.isnan(v)).any(axis=(0, 1, 2)) for v in self.values.values()]
        return {name for name, each in zip(self.metrics, np.any(some, axis=0), strict=True) if each}


def read_picture_scores(
    file: Path,
    of: str,
    seeds: Mapping[str, Sequence[int]],
    prompts: Sequence[str],
    image_seeds: Sequence[int],
    metrics: Sequence[str],
) -> PictureScores:
    """The scores in scores.parquet; `seeds` are those of each arm.

    Raises UserError where the file is damaged, or `of` another study.
    """
    arms = list(seeds)
    values = {
        arm: np.full((len(seeds[arm]), len(prompts), len(image_seeds), len(metrics)), np.nan)
        for arm in arms
    }
    for rows in read_scores(file, of, {"method": arms, "prompt_id": prompts, "metric": metrics}):
        image_seed = _places(rows.image_seed, image_seeds)
        known = (rows.prompt_id >= 0) & (rows.metric >= 0) & (image_seed >= 0)
        known &= np.isfinite(rows.value)
        for index, arm in enumerate(arms):
            mine = np.flatnonzero(known & (rows.method == index))
            seed = _places(rows.seed[mine], seeds[arm])
            mine, seed = mine[seed >= 0], seed[seed >= 0]
            at = (seed, rows.prompt_id[mine], image_seed[mine], rows.metric[mine])
            values[arm][at] = rows.value[mine]
    return PictureScores(
        {arm: tuple(each) for arm, each in seeds.items()},
        tuple(prompts),
        tuple(image_seeds),
        tuple(metrics),
        values,
    )


def _places(found: NDArray[np.int64], axis: Sequence[int]) -> NDArray[np.int64]:
    """Where in `axis` each number stands, -1 for nowhere."""
    numbers, at = np.unique(found, return_inverse=True)
    places = {number: place for place, number in enumerate(axis)}
    known = np.array([places.get(number, -1) for number in numbers.tolist()], np.int64)
    return known[at]
