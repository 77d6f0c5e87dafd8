"""What training did to everything else: the same prompts and noise before and after it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pseudoword.report.data import Arm, DriftPrompt, Study
from pseudoword.report.gallery import Picture
from pseudoword.runs import drift_path

CLASS_ROWS = 3
OTHER_ROWS = 3


@dataclass(frozen=True)
class LeakRow:
    """One prompt and one noise; a picture an arm, of its first training."""

    prompt: DriftPrompt
    pictures: Sequence[Picture]


@dataclass(frozen=True)
class Leak:
    """The class noun's rows first, then those of other things."""

    arms: Sequence[Arm]
    rows: Sequence[LeakRow]


def leak(study: Study) -> Leak | None:
    """The first pictures of each kind of prompt; None where none were drawn."""
    pairs = [(prompt, seed) for seed in study.drift_seeds for prompt in study.drift_prompts]
    shown = [pair for pair in pairs if pair[0].kind == "class"][:CLASS_ROWS]
    shown += [pair for pair in pairs if pair[0].kind != "class"][:OTHER_ROWS]
    if not shown:
        return None
    rows = [
        LeakRow(prompt, [_picture(study, arm, prompt, seed) for arm in study.arms])
        for prompt, seed in shown
    ]
    return Leak(study.arms, rows)


def leak_files(study: Study) -> list[Path]:
    """The pictures that the panel shows."""
    found = leak(study)
    return [] if found is None else [each.file for row in found.rows for each in row.pictures]


def _picture(study: Study, arm: Arm, prompt: DriftPrompt, image_seed: int) -> Picture:
    seed = None if arm.index is None else study.seeds[0]
    run = study.run_folder(arm, study.seeds[0])
    file = drift_path(run, prompt.id, image_seed)
    return Picture(file, arm.title, prompt.text, seed, image_seed, "")
