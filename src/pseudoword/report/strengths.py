"""What becomes of likeness and adherence where what was learnt counts less, or more."""

from collections.abc import Sequence
from dataclasses import dataclass

from pseudoword.report.data import Arm, Estimate, Metric, Study
from pseudoword.report.gallery import Picture, worded
from pseudoword.runs import picture_path, run_folder, strength_folder

COMPARED = ("dino", "clip_t", "right_toy", "right_scene")


@dataclass(frozen=True)
class StrengthRow:
    """One method at one strength: an estimate a metric, and a picture of an edit prompt."""

    strength: float
    estimates: Sequence[Estimate | None]
    picture: Picture


@dataclass(frozen=True)
class StrengthTable:
    """The strengths of one method, from weak to strong."""

    arm: Arm
    metrics: Sequence[Metric]
    rows: Sequence[StrengthRow]


def strength_tables(study: Study) -> list[StrengthTable]:
    """A table for each method that was drawn at several strengths."""
    metrics = [study.metrics[name] for name in COMPARED if name in study.metrics]
    tables = []
    for arm in study.methods:
        rows = [
            StrengthRow(
                row.strength,
                [row.scores.get(metric.name) for metric in metrics],
                _picture(study, arm, row.strength),
            )
            for row in study.strengths.get(arm.name, ())
        ]
        if rows:
            tables.append(StrengthTable(arm, metrics, rows))
    return tables


def _picture(study: Study, arm: Arm, strength: float) -> Picture:
    """The first picture of the first edit prompt, by the first training."""
    edits = [prompt for prompt in study.prompts if prompt.kind != "basic"]
    prompt = (edits or study.prompts)[0]
    seed, image_seed = study.seeds[0], study.image_seeds[0]
    run = run_folder(study.folder, arm.name, seed)
    folder = strength_folder(run, strength)
    by = f"{arm.title} at strength {strength:g}"
    file = picture_path(folder, prompt.id, image_seed)
    return Picture(file, by, worded(study, prompt), seed, image_seed, "")
