"""What a study measured, and the same as arrays of training seeds x prompts x image seeds."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from pseudoword.errors import UserError
from pseudoword.metrics.drift import Drift
from pseudoword.metrics.metric import Role
from pseudoword.metrics.of_pictures import PICTURES, WITHIN
from pseudoword.metrics.stats import Array, Interval, Resamples, interval, resamples, weighted_means

if TYPE_CHECKING:
    import pandas as pd

BASE = "base_model"
ANY_SEED = -1
"""The image seed of what is said of several pictures together."""
TRUTH_METRICS = ("right_toy", "right_scene", "right_both", "doubles_beaten", "truth_likeness")
IMAGE_METRICS = (*PICTURES, *TRUTH_METRICS)
PARTIAL_METRICS = ("clip_dir",)
"""Metrics that not every prompt has."""


@dataclass(frozen=True)
class Prompt:
    """A prompt of the study, as study.json lists it."""

    id: str
    template: str
    kind: str


@dataclass(frozen=True)
class MethodInfo:
    """What is known of a method beside its scores: its title, costs and last loss by seed."""

    title: str
    cost: Mapping[str, float | None]
    losses: Mapping[int, float | None]


@dataclass(frozen=True)
class SetFeatures:
    """Features of one encoder, for distances of sets.

    `images` maps a method (and "base_model") to a frame with the columns seed, prompt_id and
    image_seed and, row by row, to vectors (n, d). `photos` is (k, d). `edit` maps the id of every
    prompt that is not basic to the vectors (k, d) of what it asks for: true renders ("truth") or
    the untouched model's own pictures ("base_model"), as `edit_source` says.
    """

    images: Mapping[str, tuple["pd.DataFrame", np.ndarray]]
    photos: np.ndarray
    edit: Mapping[str, np.ndarray]
    edit_source: Literal["truth", "base_model"]


@dataclass(frozen=True)
class Evidence:
    """All that a study measured.

    `scores` is scores.parquet: one row an image and metric. `ceiling` maps dino and clip_i to the
    similarities (n,) of photos to other photos, never to themselves, and the oracle's metrics to
    what true renders score. The photos' are to one photo that was `held_out`; without one they are
    each photo's to all others, so that every pair of photos is in two of them. `photos_clip_t` maps
    a prompt id to the mean CLIP-T of the photos against that prompt: what a picture scores that
    ignores it. `features` are by the encoder's
    role; `truth` of the oracle, with `edit` for every prompt, where the concept is a toy. `within`
    has a row a training, prompt and metric of pictures of one prompt among themselves. `drift` is
    of prompts without the concept; `copying` is what results.json says of it.
    """

    scores: "pd.DataFrame"
    prompts: Sequence[Prompt]
    class_noun: str
    methods: Mapping[str, MethodInfo]
    encoders: Mapping[str, str]
    ceiling: Mapping[str, np.ndarray]
    photos_clip_t: Mapping[str, float]
    features: Mapping[Role, SetFeatures] = field(default_factory=dict)
    truth: SetFeatures | None = None
    within: "pd.DataFrame | None" = None
    drift: Drift | None = None
    copying: Mapping[str, Any] = field(default_factory=dict)
    held_out: bool = True


@dataclass(frozen=True)
class Design:
    """The study as arrays: per method and metric the cells (S, P, I), and the resamples.

    Metrics of pictures among themselves have one value a training and prompt: (S, P, 1). NaN stands
    for the prompts that a metric is not defined for.
    """

    methods: list[str]
    seeds: list[int]
    prompts: Sequence[Prompt]
    image_seeds: list[int]
    cells: Mapping[str, Mapping[str, Array]]
    basic: np.ndarray
    sampled: Resamples

    @staticmethod
    def of(evidence: Evidence, draws: int, seed: int) -> "Design":
        frame = evidence.scores
        seeds = sorted(int(s) for s in set(frame.loc[frame["method"] != BASE, "seed"]))
        image_seeds = sorted(int(s) for s in set(frame["image_seed"]))
        ids = [prompt.id for prompt in evidence.prompts]
        methods = [*evidence.methods, BASE]
        tables = [(frame, IMAGE_METRICS, image_seeds)]
        if evidence.within is not None:
            tables.append((evidence.within, tuple(WITHIN), [ANY_SEED]))
        cells: dict[str, dict[str, Array]] = {method: {} for method in methods}
        for table, names, pictures in tables:
            for metric in (name for name in names if name in set(table["metric"])):
                rows = table[table["metric"] == metric]
                known = set(rows["prompt_id"]) if metric in PARTIAL_METRICS else set(ids)
                for method in methods:
                    cells[method][metric] = _cells(
                        rows[rows["method"] == method],
                        [-1] if method == BASE else seeds,
                        ids,
                        pictures,
                        known,
                        f"{method}'s {metric}",
                    )
        basic = np.array([prompt.kind == "basic" for prompt in evidence.prompts])
        sampled = resamples(len(seeds), basic.astype(np.int64), draws, seed)
        return Design(methods, seeds, evidence.prompts, image_seeds, cells, basic, sampled)

    def means(self, method: str, metric: str) -> Array:
        """The metric's mean over pictures in every resample: (r,); of the prompts that have it."""
        known = self.known(metric)
        values = self.cells[method][metric].mean(axis=2)
        return weighted_means(np.where(known, values, 0.0), self.sampled, known)

    def known(self, metric: str) -> np.ndarray:
        """The prompts that have the metric: (P,), all but for `PARTIAL_METRICS`."""
        return np.asarray(np.isfinite(self.cells[BASE][metric]).all(axis=(0, 2)))

    def count(self, method: str, metric: str) -> int:
        """How many values the metric has."""
        return int(np.isfinite(self.cells[method][metric]).sum())

    def seeds_of(self, method: str) -> list[int]:
        """The training seeds; the untouched model has the one seed -1."""
        return [-1] if method == BASE else self.seeds

    def interval(self, method: str, values: Array, chosen: np.ndarray, n: int) -> Interval:
        """The interval of a method's score over the prompts `chosen` (P,).

        None where it has one seed and one prompt, however many seeds the other methods have.
        """
        if len(self.seeds_of(method)) == 1 and chosen.sum() == 1:
            return Interval(float(values[0]), None, None, n)
        return interval(values, self.sampled, n)


def _cells(
    rows: "pd.DataFrame",
    seeds: list[int],
    prompts: list[str],
    image_seeds: list[int],
    known: Collection[str],
    what: str,
) -> Array:
    """The values as (S, P, I), every cell of the `known` prompts filled exactly once."""
    index = ["seed", "prompt_id", "image_seed"]
    if rows.duplicated(index).any():
        raise ValueError(f"{what} has two values for one picture")
    series = rows.set_index(index)["value"]
    wanted = [(s, p, i) for s in seeds for p in prompts if p in known for i in image_seeds]
    missing = next((key for key in wanted if key not in series.index), None)
    if missing is not None:
        raise UserError(
            f"{what} is missing for seed {missing[0]}, prompt {missing[1]}, picture {missing[2]}.\n"
            "Run the same study again: it adds what is not there."
        )
    values = series.loc[wanted].to_numpy(dtype=np.float64)
    if not np.isfinite(values).all():
        raise ValueError(f"{what} holds a value that is not a number")
    cells: Array = np.full((len(seeds), len(prompts), len(image_seeds)), np.nan)
    chosen = np.array([prompt in known for prompt in prompts])
    cells[:, chosen] = values.reshape(len(seeds), int(chosen.sum()), len(image_seeds))
    return cells
