"""The original study repeated: ten concepts, three methods, and how sure each conclusion is."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pseudoword.concept import load_concept
from pseudoword.locks import hold
from pseudoword.metrics.across import across
from pseudoword.metrics.design import BASE
from pseudoword.metrics.stats import from_sample
from pseudoword.progress import Reporter
from pseudoword.runs import atomic_path, write_json
from pseudoword.toybox.photos import SIZE
from pseudoword.toystudy.conclusions import judge_claims
from pseudoword.toystudy.measures import (
    MEASURES,
    Measure,
    clip_prompt,
    read_pictures,
    run_distances,
    values_by_toy,
)
from pseudoword.toystudy.plan import ToyPlan
from pseudoword.toystudy.run import read_scores, run_toys

if TYPE_CHECKING:
    import pandas as pd


def repeat_study(plan: ToyPlan, reporter: Reporter) -> dict[str, Any]:
    """All studies, then the figures over toys; OUT/summary.json and OUT/scores.parquet hold them.

    What is done already is not done again. Returns the content of summary.json.
    """
    folders = run_toys(plan, reporter)
    # Each toy was held by whoever studied it; the figures are of all.
    with hold(plan.out, reporter.note):
        return _compare(plan, folders, reporter)


def _compare(plan: ToyPlan, folders: Mapping[int, Path], reporter: Reporter) -> dict[str, Any]:
    """Measures the pictures of all toys and writes the figures."""
    import pandas as pd

    methods = plan.settings(plan.toys[0]).methods
    scores = read_scores(folders)
    scores["clip_prompt"] = np.nan
    runs = []
    for toy, folder in folders.items():
        rows = scores[scores["toy"] == toy]
        pictures = read_pictures(rows, folder)
        judges = plan.judges(toy, ("clip", "inception"))
        scores.loc[rows.index, "clip_prompt"] = clip_prompt(rows, pictures, judges)
        concept = load_concept([plan.photos(toy)], plan.settings(toy).class_noun, SIZE)
        runs.append(run_distances(rows, pictures, concept, judges))
        reporter.update("toys compared", len(runs), len(folders))
    distances = pd.concat(runs, ignore_index=True)
    arms = [*methods, BASE]
    measures = {
        key: over_toys(values_by_toy(scores, distances, folders, arms, measure), measure, methods)
        for key, measure in MEASURES.items()
    }
    found = {
        "toys": list(folders),
        "seeds": plan.seeds,
        "pictures": plan.pictures,
        "measures": measures,
        "conclusions": judge_claims(measures),
    }
    write_json(plan.out / "summary.json", found, sealed=True)
    write_scores(scores, plan.out / "scores.parquet")
    return found


def over_toys(values: np.ndarray, measure: Measure, methods: list[str]) -> dict[str, Any]:
    """Means of `values` (toys, methods and the untouched model) and paired differences.

    The toy is the unit: intervals are Student's t over toys, p values Holm's over the pairs. What
    is not defined for every toy (a distance of a single picture) is left out.
    """
    columns = dict(zip([*methods, BASE], values.T, strict=True))
    known = {name: column for name, column in columns.items() if np.isfinite(column).all()}
    compared = {name: known[name] for name in methods if name in known}
    found = across(compared, None, measure.higher_is_better, draws=1) if compared else {}
    return {
        "title": measure.title,
        "higher_is_better": measure.higher_is_better,
        "scores": {
            name: vars(from_sample(known[name])) if name in known else None for name in columns
        },
        "differences": found.get("differences", []),
    }


def write_scores(scores: "pd.DataFrame", path: Path) -> None:
    """The per-picture scores as one small parquet file."""
    compact = scores.astype({c: np.float32 for c in scores if scores[c].dtype == np.float64})
    with atomic_path(path) as temporary:
        compact.to_parquet(temporary, index=False, compression="zstd")
