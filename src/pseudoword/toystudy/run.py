"""One study after another, a toy each, into one folder."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pseudoword.progress import Reporter
from pseudoword.settings import StudySettings
from pseudoword.study import run_study
from pseudoword.toybox.photos import render_photo_set
from pseudoword.toybox.world.concepts import concept_toy

if TYPE_CHECKING:
    import pandas as pd

CONCEPTS = tuple(range(100, 110))
"""The toys of the study, of ten classes. Settings were chosen on others."""
PLACE = ["toy", "method", "seed", "prompt_id", "kind", "image_seed"]


@dataclass(frozen=True)
class Plan:
    """The same study of each of several toys."""

    out: Path
    toys: Sequence[int] = CONCEPTS
    seeds: int = 3
    pictures: int = 5
    model: str = "toybox"
    device: str = "auto"
    options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Settings by method, where they are to differ from the model's own."""

    def folder(self, toy: int) -> Path:
        return self.out / f"toy-{toy:03d}"

    def photos(self, toy: int) -> Path:
        return self.out / "photos" / f"toy-{toy:03d}"

    def settings(self, toy: int) -> StudySettings:
        """The methods' own settings, without an effort's factor on their steps."""
        return StudySettings(
            class_noun=concept_toy(toy).class_noun,
            model=self.model,
            device=self.device,
            seeds=self.seeds,
            effort="quick",
            pictures=self.pictures,
            options={method: dict(changes) for method, changes in self.options.items()},
        )


class _Named:
    """A reporter that says which toy is at work."""

    def __init__(self, reporter: Reporter, name: str) -> None:
        self.reporter = reporter
        self.name = name

    def update(self, task: str, done: int, total: int, detail: str = "") -> None:
        self.reporter.update(f"{self.name}: {task}", done, total, detail)

    def note(self, text: str) -> None:
        self.reporter.note(f"{self.name}: {text}")


def run_toys(plan: Plan, reporter: Reporter) -> dict[int, Path]:
    """The studies that are not done yet; returns the study folder of every toy."""
    folders = {}
    for index, toy in enumerate(plan.toys, start=1):
        settings = plan.settings(toy)
        render_photo_set(toy, plan.photos(toy))
        name = f"toy {toy}, {settings.class_noun} ({index} of {len(plan.toys)})"
        run_study([plan.photos(toy)], settings, plan.folder(toy), _Named(reporter, name))
        folders[toy] = plan.folder(toy)
    return folders


def read_scores(folders: Mapping[int, Path]) -> "pd.DataFrame":
    """A row a picture: the columns of PLACE, and one a metric."""
    import pandas as pd

    frames = []
    for toy, folder in folders.items():
        frame = pd.read_parquet(folder / "scores.parquet").assign(toy=toy)
        frames.append(frame.pivot(index=PLACE, columns="metric", values="value").reset_index())
    joined = pd.concat(frames, ignore_index=True)
    joined.columns.name = None
    return joined
