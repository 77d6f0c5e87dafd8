"""What the repeated study reports: each measure of a method on one toy, as one number."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from PIL import Image

from pseudoword.concept import Concept
from pseudoword.evaluate import Judges, open_picture
from pseudoword.metrics.design import BASE
from pseudoword.metrics.distances import cosine_matrix
from pseudoword.runs import picture_path, read_json, run_folder
from pseudoword.toystudy.sets import SETS, set_distances

if TYPE_CHECKING:
    import pandas as pd

Source = Literal["pictures", "runs", "results"]


@dataclass(frozen=True)
class Measure:
    """A column of the table: `metric` averaged over pictures ("basic", "edit" or "all" of them),
    over runs (distances of sets, equal in size), or as results.json has it."""

    title: str
    metric: str
    higher_is_better: bool
    prompts: Literal["basic", "edit", "all"] = "all"
    source: Source = "pictures"


AS_ORIGINAL: dict[str, Measure] = {
    "clip_image": Measure("CLIP image", "clip_i_train", True, "basic"),
    "clip_prompt": Measure("CLIP prompt", "clip_prompt", True, "edit"),
    "fid_image": Measure("FID image", "fid_basic", False, source="runs"),
    "fid_prompt": Measure("FID prompt", "fid_edit", False, source="runs"),
}
"""The original's four scores, each defined so that it measures what its name says."""

BETTER: dict[str, Measure] = {
    "dino": Measure("DINO, held-out photo", "dino", True),
    "clip_t": Measure("CLIP-T, edit prompts", "clip_t", True, "edit"),
    "kid_image": Measure("KID image", "kid_basic", False, source="runs"),
    "kid_prompt": Measure("KID prompt", "kid_edit", False, source="runs"),
    "right_toy_basic": Measure("right toy, plain prompt", "right_toy", True, "basic"),
    "right_toy": Measure("right toy, edit prompts", "right_toy", True, "edit"),
    "right_scene": Measure("right scene, edit prompts", "right_scene", True, "edit"),
    "right_both": Measure("both right, edit prompts", "right_both", True, "edit"),
    "doubles_beaten": Measure("near doubles beaten", "doubles_beaten", True),
    "truth_likeness": Measure("likeness to the truth", "truth_likeness", True),
    "kid_truth": Measure("KID to the truth", "kid_truth", False, source="results"),
}
"""Better founded: a held-out photo, the prompt's text, unbiased distances, and the truth."""

MEASURES = AS_ORIGINAL | BETTER


def values_by_toy(
    scores: "pd.DataFrame",
    runs: "pd.DataFrame",
    folders: Mapping[int, Path],
    arms: Sequence[str],
    measure: Measure,
) -> np.ndarray:
    """The measure as (toys, arms); NaN where it is not defined."""
    if measure.source == "results":
        results = [read_json(folder / "results.json") for folder in folders.values()]
        rows = [
            [_arm(found, arm)["scores"][measure.metric]["value"] for arm in arms]
            for found in results
        ]
        return np.array(rows, np.float64)
    frame = runs
    if measure.source == "pictures":
        basic = scores["kind"] == "basic"
        frame = scores[{"basic": basic, "edit": ~basic, "all": basic | True}[measure.prompts]]
    means = frame.groupby(["toy", "method"])[measure.metric].mean()
    return np.array([[means[toy, arm] for arm in arms] for toy in folders], np.float64)


def _arm(results: dict[str, Any], name: str) -> dict[str, Any]:
    arm: dict[str, Any] = results["base_model"] if name == BASE else results["methods"][name]
    return arm


def clip_prompt(
    rows: "pd.DataFrame", pictures: Sequence[Image.Image], judges: Judges
) -> np.ndarray:
    """The cosine of each picture of a toy with the untouched model's of the same prompt: (n,).

    The original compared with pictures that each tuned model drew without the concept's word, which
    is another reference for every method; here it is one for all. The untouched model's own
    pictures are compared with its others; NaN where there is but one.
    """
    vectors = judges.embed("clip", pictures)
    prompts = rows["prompt_id"].to_numpy()
    base = (rows["method"] == BASE).to_numpy()
    found = np.full(len(rows), np.nan)
    for prompt in np.unique(prompts):
        others = prompts == prompt
        reference = np.flatnonzero(others & base)
        cosines = cosine_matrix(vectors[others], vectors[reference])
        same = np.flatnonzero(others)[:, None] == reference
        counted = (~same).sum(axis=1)
        sums = np.where(same, 0.0, cosines).sum(axis=1)
        found[others] = np.divide(sums, counted, out=np.full(len(sums), np.nan), where=counted > 0)
    return found


def run_distances(
    rows: "pd.DataFrame", pictures: Sequence[Image.Image], concept: Concept, judges: Judges
) -> "pd.DataFrame":
    """A row a run of one toy (the columns of SETS), the untouched model among them."""
    import pandas as pd

    known = [Image.fromarray(photo.pixels) for photo in concept.photos]
    reference = judges.embed("inception", known)
    vectors = judges.embed("inception", pictures)
    basic = (rows["kind"] == "basic").to_numpy()
    base = (rows["method"] == BASE).to_numpy()
    found = []
    for (method, seed), group in rows.reset_index(drop=True).groupby(["method", "seed"]):
        at = group.index.to_numpy()
        untouched = None if method == BASE else vectors[base & ~basic]
        distances = set_distances(vectors[at], basic[at], reference, untouched)
        found.append({"toy": group["toy"].iloc[0], "method": method, "seed": seed, **distances})
    return pd.DataFrame(found, columns=["toy", "method", "seed", *SETS])


def read_pictures(rows: "pd.DataFrame", folder: Path) -> list[Image.Image]:
    """The pictures of rows of scores, in order, from the study in `folder`."""
    pictures = []
    for method, seed, prompt, image in zip(
        rows["method"], rows["seed"], rows["prompt_id"], rows["image_seed"], strict=True
    ):
        run = run_folder(folder, None if method == BASE else method, seed)
        pictures.append(open_picture(picture_path(run, prompt, image)))
    return pictures
