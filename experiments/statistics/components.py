"""The variance components of the repeated study, which the realistic profile is made of.

    python experiments/statistics/components.py

Prints, on the floor-ceiling scale, standard deviations of the luck of a training, a prompt, a cell
and a picture of one method (from paired differences, so that what methods share drops out), and
how likeness and adherence go together in each.
"""

import json
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pseudoword.metrics.stats import Array

if TYPE_CHECKING:
    import pandas as pd

SCORES = Path(__file__).parent.parent.parent / "docs" / "study" / "scores.parquet"
METHODS = ("dreambooth", "lora", "textual-inversion")
METRICS = ("dino", "clip_t")
LENGTH = {"dino": 0.81 - 0.03, "clip_t": 0.58 - 0.09}
"""From floor to ceiling, means of the ten toys: the untouched model's DINO and the photos'; the
photos' CLIP-T with the edit prompts and the untouched model's."""
EFFECTS = ("seed", "prompt", "cell", "picture")


def cells(frame: "pd.DataFrame", method: str, metric: str) -> Array:
    """Edit prompts' pictures on the scale: (toys, seeds, prompts, pictures)."""
    rows = frame[(frame["method"] == method) & (frame["kind"] != "basic")]
    rows = rows.sort_values(["toy", "seed", "prompt_id", "image_seed"])
    shape = [rows[key].nunique() for key in ("toy", "seed", "prompt_id", "image_seed")]
    values: Array = rows[metric].to_numpy(np.float64).reshape(shape) / LENGTH[metric]
    return values


def components(x: Array, y: Array) -> Array:
    """(Co)variances (4,) of EFFECTS in two balanced layouts, the mean over toys.

    From expected mean squares, or products: Searle et al., Variance Components, 1992, chapter 4.
    """
    _, n_seeds, n_prompts, n_pictures = x.shape

    def parts(values: Array) -> tuple[Array, Array, Array, Array]:
        cell = values.mean(axis=3)
        mean = cell.mean(axis=(1, 2), keepdims=True)
        seed, prompt = cell.mean(axis=2, keepdims=True), cell.mean(axis=1, keepdims=True)
        return seed - mean, prompt - mean, cell - seed - prompt + mean, values - cell[..., None]

    (sx, px, cx, ex), (sy, py, cy, ey) = parts(x), parts(y)
    toys = len(x)
    by_seed = n_prompts * (sx * sy).sum() / toys / (n_seeds - 1)
    by_prompt = n_seeds * (px * py).sum() / toys / (n_prompts - 1)
    by_cell = (cx * cy).sum() / toys / ((n_seeds - 1) * (n_prompts - 1))
    picture = (ex * ey).sum() / toys / (n_seeds * n_prompts * (n_pictures - 1))
    return np.array(
        [
            (by_seed - by_cell) / n_prompts,
            (by_prompt - by_cell) / n_seeds,
            by_cell - picture / n_pictures,
            picture,
        ]
    )


def estimate() -> dict[str, Any]:
    """{"dino": {effect: deviation}, "clip_t": .., "correlation": {effect: r}} of one method."""
    import pandas as pd

    frame = pd.read_parquet(SCORES)
    found = []
    for a, b in combinations(METHODS, 2):
        dino, clip_t = (cells(frame, a, k) - cells(frame, b, k) for k in METRICS)
        pairs = ((dino, dino), (clip_t, clip_t), (dino, clip_t))
        found.append([components(x, y) for x, y in pairs])
    # Half of a difference's variance is one method's.
    dino_variance, clip_t_variance, shared = np.mean(found, axis=0) / 2
    correlation = shared / np.sqrt(dino_variance * clip_t_variance)
    return {
        "dino": dict(zip(EFFECTS, np.sqrt(dino_variance).tolist(), strict=True)),
        "clip_t": dict(zip(EFFECTS, np.sqrt(clip_t_variance).tolist(), strict=True)),
        "correlation": dict(zip(EFFECTS, correlation.tolist(), strict=True)),
    }


if __name__ == "__main__":
    print(json.dumps(estimate(), indent=1))
