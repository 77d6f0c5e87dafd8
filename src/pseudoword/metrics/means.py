"""Mean scores of a study by metric, arm and prompt, over its trainings and pictures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pseudoword.metrics.stats import Array
from pseudoword.metrics.tables import read_scores


@dataclass(frozen=True)
class PromptMeans:
    """Means (M, A, P), NaN for none; the mappings give a metric's, arm's and prompt's place."""

    metrics: Mapping[str, int]
    arms: Mapping[str, int]
    prompts: Mapping[str, int]
    values: Array

    def known(self, metric: str) -> list[str]:
        """The prompts that any arm has the metric of; none where pictures do not have it."""
        if metric not in self.metrics:
            return []
        some = ~np.isnan(self.values[self.metrics[metric]]).all(axis=0)
        return [prompt for prompt, place in self.prompts.items() if some[place]]

    def of(self, metric: str, arm: str, prompts: Sequence[str]) -> Array:
        """One arm's means (P,) of the prompts."""
        places = [self.prompts[prompt] for prompt in prompts]
        found: Array = self.values[self.metrics[metric], self.arms[arm], places]
        return found


def prompt_means(
    file: Path, of: str, metrics: Sequence[str], arms: Sequence[str], prompts: Sequence[str]
) -> PromptMeans:
    """The means in a study's scores.parquet; the pictures, which may be many, are not kept.

    Raises UserError where the file is damaged, or `of` another study.
    """
    shape = (len(metrics), len(arms), len(prompts))
    sums, counts = np.zeros(np.prod(shape)), np.zeros(np.prod(shape))
    for rows in read_scores(file, of, {"metric": metrics, "method": arms, "prompt_id": prompts}):
        known = (rows.metric >= 0) & (rows.method >= 0) & (rows.prompt_id >= 0)
        known &= ~np.isnan(rows.value)
        cells = (rows.metric * len(arms) + rows.method) * len(prompts) + rows.prompt_id
        sums += np.bincount(cells[known], rows.value[known], sums.size)
        counts += np.bincount(cells[known], minlength=sums.size)
    with np.errstate(invalid="ignore"):
        values = (sums / counts).reshape(shape)
    return PromptMeans(_places(metrics), _places(arms), _places(prompts), values)


def _places(names: Sequence[str]) -> dict[str, int]:
    return {name: place for place, name in enumerate(names)}
