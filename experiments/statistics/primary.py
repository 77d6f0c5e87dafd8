"""Which primary metric ranks best: forms of likeness x adherence against the truth.

    python experiments/statistics/primary.py

Reads docs/study/scores.parquet, renders the ten toys' photos for the ends of the scale, and writes
docs/statistics/primary.json: the share of pairs that each form ranks as the truth does, with 95 %
intervals over the toys, of methods (three a toy) and of single trainings and the untouched model.
"""

import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from pages import write_page

from pseudoword.concept import load_concept
from pseudoword.evaluate import photo_ceiling, photos_clip_t
from pseudoword.metrics.agreement import pairs_right
from pseudoword.metrics.design import BASE
from pseudoword.metrics.stats import Array, from_sample
from pseudoword.prompts import SUITES
from pseudoword.runs import write_json
from pseudoword.toybox.photos import SIZE, render_photo_set
from pseudoword.toystudy.plan import ToyPlan

if TYPE_CHECKING:
    import pandas as pd

DOCS = Path(__file__).parent.parent.parent / "docs"
TRUTHS = ("right_both", "truth_likeness")


@dataclass(frozen=True)
class Scaled:
    """A method's or training's pictures (S, P, I) of the edit prompts on the scale, and its means.

    `fidelity` is of all prompts, as in a study.
    """

    fidelity: float
    adherence: float
    likeness: Array
    obedience: Array


def _positive(x: Array) -> Array:
    return np.maximum(x, 0.0)


def _capped(x: Array) -> Array:
    return np.clip(x, 0.0, 1.0)


FORMS: dict[str, Callable[[Scaled], float]] = {
    "product of means (chosen)": lambda s: max(s.fidelity, 0) * max(s.adherence, 0),
    "adherence at most 1": lambda s: max(s.fidelity, 0) * min(max(s.adherence, 0), 1),
    "both at most 1": lambda s: min(max(s.fidelity, 0), 1) * min(max(s.adherence, 0), 1),
    "the smaller of the two": lambda s: min(s.fidelity, s.adherence),
    "picture by picture": lambda s: float((_positive(s.likeness) * _positive(s.obedience)).mean()),
    "picture by picture, both at most 1": lambda s: float(
        (_capped(s.likeness) * _capped(s.obedience)).mean()
    ),
    "picture by picture, geometric mean": lambda s: float(
        np.sqrt(_capped(s.likeness) * _capped(s.obedience)).mean()
    ),
    "likeness alone (DINO)": lambda s: s.fidelity,
    "adherence alone (CLIP-T)": lambda s: s.adherence,
}


def cube(rows: "pd.DataFrame", metric: str) -> Array:
    """A metric as (S, P, I)."""
    rows = rows.sort_values(["seed", "prompt_id", "image_seed"])
    shape = [rows[key].nunique() for key in ("seed", "prompt_id", "image_seed")]
    values: Array = rows[metric].to_numpy(np.float64).reshape(shape)
    return values


def ends(plan: ToyPlan, toy: int) -> tuple[float, Array]:
    """The photos' likeness to each other, and their CLIP-T with each prompt (P,)."""
    render_photo_set(toy, plan.photos(toy))
    judges = plan.judges(toy, ("clip", "dino"))
    concept = load_concept([plan.photos(toy)], plan.settings(toy).class_noun, SIZE)
    ignoring = photos_clip_t(judges, concept, SUITES["toybox"])
    ceiling = float(photo_ceiling(judges, concept)["dino"].mean())
    return ceiling, np.array([ignoring[prompt.id] for prompt in SUITES["toybox"]])


def scaled(
    dino: Array, clip_t: Array, base: Mapping[str, Array], ceiling: float, zero: Array
) -> Scaled:
    edit = slice(1, None)
    floor = base["dino"].mean()
    length = base["clip_t"][:, edit].mean() - zero[edit].mean()
    likeness = (dino - floor) / (ceiling - floor)
    obedience = (clip_t[:, edit] - zero[edit][None, :, None]) / length
    return Scaled(float(likeness.mean()), float(obedience.mean()), likeness[:, edit], obedience)


def main() -> int:
    import pandas as pd

    frame = pd.read_parquet(DOCS / "study" / "scores.parquet")
    right: dict[str, dict[str, list[float]]] = {form: {} for form in FORMS}
    with tempfile.TemporaryDirectory() as folder:
        plan = ToyPlan(Path(folder))
        for toy, rows in frame.groupby("toy"):
            ceiling, zero = ends(plan, int(toy))
            for unit, arms in _arms(rows).items():
                base = {k: cube(rows[rows["method"] == BASE], k) for k in ("dino", "clip_t")}
                found = [
                    scaled(cube(arm, "dino"), cube(arm, "clip_t"), base, ceiling, zero)
                    for arm in arms
                ]
                for truth in TRUTHS:
                    true = [cube(arm, truth)[:, 1:].mean() for arm in arms]
                    for form, score in FORMS.items():
                        share = pairs_right([score(arm) for arm in found], true)
                        right[form].setdefault(f"{unit}, {truth}", []).append(share)
            print(f"toy {toy}", file=sys.stderr)
    result = {
        form: {
            name: vars(from_sample(np.array([v for v in shares if np.isfinite(v)])))
            for name, shares in by_truth.items()
        }
        for form, by_truth in right.items()
    }
    write_json(DOCS / "statistics" / "primary.json", result)
    write_page(DOCS)
    return 0


def _arms(rows: "pd.DataFrame") -> "dict[str, list[pd.DataFrame]]":
    """The rows of each method, and those of each training and of the untouched model."""
    methods = [group for name, group in rows.groupby("method") if name != BASE]
    runs = [group for _, group in rows.groupby(["method", "seed"])]
    return {"methods": methods, "trainings": runs}


if __name__ == "__main__":
    sys.exit(main())
