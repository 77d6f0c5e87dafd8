"""One study after another, a toy each, into one folder."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from pseudoword.locks import hold, share
from pseudoword.metrics.tables import read_table
from pseudoword.progress import Named, Reporter
from pseudoword.runs import read_json
from pseudoword.study import run_study
from pseudoword.toybox.photos import render_photo_set
from pseudoword.toystudy.plan import ToyPlan

if TYPE_CHECKING:
    import pandas as pd

PLACE = ["toy", "method", "seed", "prompt_id", "kind", "image_seed"]


def run_toys(plan: ToyPlan, reporter: Reporter) -> dict[int, Path]:
    """The studies that are not done yet; returns the study folder of every toy.

    Several processes of one command share the toys: each takes those that no other is at.
    """
    places = {toy: f"({i} of {len(plan.toys)})" for i, toy in enumerate(plan.toys, start=1)}

    def study(toy: int) -> None:
        settings = plan.settings(toy)
        name = f"toy {toy}, {settings.class_noun} {places[toy]}"
        # To the end, for rendering writes toy.json anew, and meanwhile nobody may study it.
        with hold(plan.photos(toy), reporter.note):
            render_photo_set(toy, plan.photos(toy))
            run_study([plan.photos(toy)], settings, plan.folder(toy), Named(reporter, name))

    share(plan.toys, study, reporter.note)
    return {toy: plan.folder(toy) for toy in plan.toys}


def read_scores(folders: Mapping[int, Path]) -> "pd.DataFrame":
    """A row a picture: the columns of PLACE, and one a metric."""
    import pandas as pd

    frames = []
    for toy, folder in folders.items():
        of = read_json(folder / "study.json")["identity"]
        frame = read_table(folder / "scores.parquet", of).assign(toy=toy)
        frames.append(frame.pivot(index=PLACE, columns="metric", values="value").reset_index())
    joined = pd.concat(frames, ignore_index=True)
    joined.columns.name = None
    return joined
