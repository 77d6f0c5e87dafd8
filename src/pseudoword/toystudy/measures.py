"""What the repeated study reports: each measure of a method on one toy, as one number."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from pseudoword.evaluate import Judges
from pseudoword.metrics.design import BASE
from pseudoword.metrics.distances import cosine_matrix
from pseudoword.runs import read_json
from pseudoword.scoring import open_picture

if TYPE_CHECKING:
    import pandas as pd

Group = Literal["basic", "edit", "all"]


@dataclass(frozen=True)
class Measure:
    """A column of the table. `metric` is averaged over the pictures of `group`; with `whole`, it is
    a distance of whole sets, which results.json has."""

    title: str
    metric: str
    group: Group
    higher_is_better: bool
    whole: bool = False


AS_ORIGINAL: dict[str, Measure] = {
    "clip_image": Measure("CLIP image", "clip_i_train", "basic", True),
    "clip_prompt": Measure("CLIP prompt", "clip_prompt", "edit", True),
    "fid_image": Measure("FID image", "fid_basic", "basic", False, whole=True),
    "fid_prompt": Measure("FID prompt", "fid_edit", "edit", False, whole=True),
}
"""The original's four scores, each defined so that it measures what its name says."""

BETTER: dict[str, Measure] = {
    "dino": Measure("DINO, held-out photo", "dino", "all", True),
    "clip_t": Measure("CLIP-T, edit prompts", "clip_t", "edit", True),
    "kid_image": Measure("KID image", "kid_basic", "basic", False, whole=True),
    "kid_prompt": Measure("KID prompt", "kid_edit", "edit", False, whole=True),
    "right_toy_basic": Measure("right toy, plain prompt", "right_toy", "basic", True),
    "right_toy": Measure("right toy, edit prompts", "right_toy", "edit", True),
    "right_scene": Measure("right scene, edit prompts", "right_scene", "edit", True),
    "right_both": Measure("both right, edit prompts", "right_both", "edit", True),
    "truth_likeness": Measure("likeness to the truth", "truth_likeness", "all", True),
    "kid_truth": Measure("KID to the truth", "kid_truth", "all", False, whole=True),
}
"""Better founded: a held-out photo, the prompt's text, unbiased distances, and the truth."""

MEASURES = AS_ORIGINAL | BETTER


def values_by_toy(
    scores: "pd.DataFrame", folders: Mapping[int, Path], methods: Sequence[str], measure: Measure
) -> np.ndarray:
    """The measure as (toys, methods)."""
    if measure.whole:
        rows = []
        for folder in folders.values():
            results = read_json(folder / "results.json")
            rows.append([_arm(results, m)["scores"][measure.metric]["value"] for m in methods])
        return np.array(rows, np.float64)
    basic = scores["kind"] == "basic"
    chosen = {"basic": basic, "edit": ~basic, "all": basic | True}[measure.group]
    means = scores[chosen].groupby(["toy", "method"])[measure.metric].mean()
    return np.array([[means[toy, method] for method in methods] for toy in folders], np.float64)


def _arm(results: dict[str, Any], name: str) -> dict[str, Any]:
    arm: dict[str, Any] = results["base_model"] if name == BASE else results["methods"][name]
    return arm


def clip_prompt(scores: "pd.DataFrame", toy: int, folder: Path, judges: Judges) -> np.ndarray:
    """The cosine of each picture of a toy with the untouched model's of the same prompt: (n,).

    The original compared with pictures that each tuned model drew without the concept's word, which
    is another reference for every method; here it is one for all.
    """
    rows = scores[scores["toy"] == toy]
    vectors = judges.embed("clip", [open_picture(picture_file(folder, r)) for r in _each(rows)])
    prompts = rows["prompt_id"].to_numpy()
    base = (rows["method"] == BASE).to_numpy()
    found = np.empty(len(rows))
    for prompt in np.unique(prompts):
        here = prompts == prompt
        found[here] = cosine_matrix(vectors[here], vectors[here & base]).mean(axis=1)
    return found


def _each(rows: "pd.DataFrame") -> list[dict[str, Any]]:
    return [{str(k): v for k, v in row.items()} for row in rows.to_dict("records")]


def picture_file(folder: Path, row: Mapping[str, Any]) -> Path:
    """Where the study in `folder` keeps the picture of a row of scores."""
    run = "base-model" if row["method"] == BASE else f"{row['method']}-s{row['seed']}"
    return folder / "runs" / run / "images" / f"{row['prompt_id']}-{row['image_seed']}.png"
