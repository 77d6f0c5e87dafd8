"""Which pictures the report shows, and in what order."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pseudoword.report import logs
from pseudoword.report.data import Arm, Given, Prompt, Study
from pseudoword.report.pictures import Album
from pseudoword.report.words import number

TRUTH_TITLE = "Truth"
EXTREMES = 3
MOST_SEEDS = 10
"""Trainings of a method that the page shows pictures and curves of."""
MOST_PICTURES = 2000
"""Pictures in the grid: more would take long to make small, and nobody looks at so many."""
YES_OR_NO = ("right_toy", "right_scene", "right_both")


@dataclass(frozen=True)
class Picture:
    """One picture with what the reader is told of it; `seed` None where none was trained."""

    file: Path
    by: str
    prompt: str
    seed: int | None
    image_seed: int | None
    scores: str
    dino: float | None = None

    @property
    def made(self) -> str:
        """Seeds in words."""
        parts = [] if self.seed is None else [f"training seed {self.seed}"]
        parts += [] if self.image_seed is None else [f"picture seed {self.image_seed}"]
        return ", ".join(parts)


@dataclass(frozen=True)
class Cell:
    """The pictures of one prompt and one arm: by training seed, or under None where none is."""

    title: str
    index: int | None
    by_seed: Mapping[int | None, Sequence[Picture]]


@dataclass(frozen=True)
class Row:
    prompt: Prompt
    cells: Sequence[Cell]


@dataclass(frozen=True)
class Grid:
    """Prompts by arms. `hidden` says what was left out to keep the report small, or is empty."""

    rows: Sequence[Row]
    columns: Sequence[tuple[str, int | None, str]]
    seeds: Sequence[int]
    image_seeds: Sequence[int]
    hidden: str


@dataclass(frozen=True)
class Strip:
    """The weakest, the middle and the strongest pictures of a method."""

    arm: Arm
    groups: Sequence[tuple[str, Sequence[Picture]]]


def album_of(study: Study, more: Sequence[Path] = ()) -> Album:
    """All pictures that may be shown, those of `more` among them, under one budget."""
    files = [*more]
    files += [study.folder / photo["file"] for photo in study.record["photos"]]
    seeds, image_seeds = _affordable(study)
    for prompt, image_seed in product(study.prompts, image_seeds):
        if study.has_truth:
            files.append(study.truth_file(prompt, image_seed))
        for arm in (study.base, *study.given):
            files.append(study.picture_file(arm, -1, prompt.id, image_seed))
        for arm, seed in product(study.methods, seeds):
            files.append(study.picture_file(arm, seed, prompt.id, image_seed))
    return Album(files)


def photos(study: Study) -> list[tuple[Picture, bool]]:
    """The photos of the concept, each with whether it was held out."""
    return [(_photo(study, row), bool(row["held_out"])) for row in study.record["photos"]]


def photo_picture(study: Study, file: str) -> Picture:
    """The photo that study.json names "photos/...png"."""
    return next(_photo(study, row) for row in study.record["photos"] if row["file"] == file)


def _photo(study: Study, row: Mapping[str, Any]) -> Picture:
    size = f"{row['original_width']} x {row['original_height']} pixels"
    told = "; ".join([size, *row["notes"]])
    role = "Held-out photo" if row["held_out"] else "Training photo"
    return Picture(study.folder / row["file"], role, row["name"], None, None, told)


def grid(study: Study, album: Album) -> Grid:
    seeds, image_seeds = _affordable(study, album.share)
    arms = (*study.arms, *study.given)
    columns = [(arm.title, arm.index, _noun_phrase(study, arm)) for arm in arms]
    rows = []
    for prompt in study.prompts:
        cells = []
        for arm in arms:
            alone = arm.index is None or isinstance(arm, Given)
            trained: Sequence[int | None] = [None] if alone else seeds
            by_seed = {
                seed: [prompt_picture(study, arm, seed, prompt, each) for each in image_seeds]
                for seed in trained
            }
            cells.append(Cell(arm.title, arm.index, by_seed))
        if study.has_truth:
            true = [_truth(study, prompt, each) for each in image_seeds]
            cells.append(Cell(TRUTH_TITLE, None, {None: true}))
        rows.append(Row(prompt, cells))
    if study.has_truth:
        columns.append((TRUTH_TITLE, None, ""))
    return Grid(rows, columns, seeds, image_seeds, _hidden(study, seeds, image_seeds))


def subject(study: Study) -> Picture:
    """The photo that pictures are compared with by eye: the held-out one, else the first."""
    shown = photos(study)
    return next((photo for photo, held_out in shown if held_out), shown[0][0])


def typical(study: Study, arm: Arm) -> Picture | None:
    """The median picture by DINO of the basic prompts, or of all where there are none."""
    basic = [prompt for prompt in study.prompts if prompt.kind == "basic"]
    ids = [prompt.id for prompt in basic or study.prompts]
    ranked = study.image_scores.ranked(arm.name, "dino", ids)
    middle = len(ranked) // 2
    return next(iter(_shown(study, arm, ranked[middle : middle + 1])), None)


def strips(study: Study) -> list[Strip]:
    """Per method the worst, median and best pictures by DINO, over all prompts and seeds."""
    found, ids = [], [prompt.id for prompt in study.prompts]
    for arm in study.methods:
        ranked = study.image_scores.ranked(arm.name, "dino", ids)
        count = min(EXTREMES, len(ranked) // 3)
        if count:
            start = (len(ranked) - count) // 2
            groups = {
                "Weakest": ranked[:count],
                "Middle": ranked[start : start + count],
                "Strongest": ranked[-count:],
            }
            shown = [(title, _shown(study, arm, places)) for title, places in groups.items()]
            found.append(Strip(arm, shown))
    return found


def worded(study: Study, prompt: Prompt) -> str:
    """The prompt with the class noun in it."""
    return prompt.template.replace("{}", study.record["class_noun"])


def _shown(study: Study, arm: Arm, places: NDArray[np.int64]) -> list[Picture]:
    """A trained method's pictures at some of the places of `PictureScores.ranked`."""
    prompts = {prompt.id: prompt for prompt in study.prompts}
    return [
        prompt_picture(study, arm, seed, prompts[prompt_id], image_seed)
        for seed, prompt_id, image_seed in study.image_scores.keys(arm.name, places)
    ]


def prompt_picture(
    study: Study, arm: Arm, seed: int | None, prompt: Prompt, image_seed: int
) -> Picture:
    """A picture of a prompt of the study; `seed` is None where none was trained."""
    run = -1 if seed is None else seed
    scores = study.image_scores.of(arm.name, (run, prompt.id, image_seed))
    told = "; ".join(
        f"{metric.title} {_told(name, scores[name])}"
        for name, metric in study.metrics.items()
        if name in scores
    )
    return Picture(
        study.picture_file(arm, run, prompt.id, image_seed),
        arm.title,
        worded(study, prompt),
        seed,
        image_seed,
        told,
        scores.get("dino"),
    )


def _told(metric: str, value: float) -> str:
    """A picture's score; what is right or wrong of one picture is no number."""
    return ("yes" if value else "no") if metric in YES_OR_NO else number(value)


def _truth(study: Study, prompt: Prompt, image_seed: int) -> Picture:
    file = study.truth_file(prompt, image_seed)
    return Picture(file, TRUTH_TITLE, worded(study, prompt), None, image_seed, "")


def _noun_phrase(study: Study, arm: Arm) -> str:
    if isinstance(arm, Given):
        return arm.phrase
    if arm.index is None:
        return str(study.record["class_noun"])
    return logs.noun_phrase(study.run_folder(arm, run.seed) for run in arm.runs)


def _affordable(study: Study, share: float = 1.0) -> tuple[list[int], list[int]]:
    """The training seeds and picture seeds whose pictures fit: picture seeds are dropped first.

    `share` is how much of what would be shown by number fits by size.
    """
    seeds, image_seeds = list(study.seeds[:MOST_SEEDS]), list(study.image_seeds)
    fixed = 1 + len(study.given) + study.has_truth

    def count() -> int:
        return (len(study.methods) * len(seeds) + fixed) * len(image_seeds)

    for portion in (1.0, share):
        most = min(portion * count(), MOST_PICTURES / max(1, len(study.prompts)))
        while count() > most and (len(image_seeds) > 1 or len(seeds) > 1):
            (image_seeds if len(image_seeds) > 1 else seeds).pop()
    return seeds, image_seeds


def _hidden(study: Study, seeds: Sequence[int], image_seeds: Sequence[int]) -> str:
    parts = []
    if len(image_seeds) < len(study.image_seeds):
        parts.append(f"{len(image_seeds)} of {len(study.image_seeds)} pictures a cell")
    if len(seeds) < len(study.seeds):
        parts.append(f"{len(seeds)} of {len(study.seeds)} training seeds")
    if not parts:
        return ""
    return f"To keep this page small it shows {' and '.join(parts)}; the folder has them all."
