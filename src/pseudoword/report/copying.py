"""Were the photos learnt by heart? Pictures beside the photos that they are nearest to."""

from collections.abc import Sequence
from dataclasses import dataclass

from pseudoword.report.data import BASE, Arm, Estimate, Study
from pseudoword.report.gallery import Picture, photo_picture, prompt_picture

SHOWN = 3
"""Pairs an arm."""


@dataclass(frozen=True)
class Pair:
    """A picture, the training photo nearest to it, their cosine, and whether that is a copy's."""

    made: Picture
    photo: Picture
    value: float
    over: bool

    @property
    def pictures(self) -> tuple[Picture, Picture]:
        return self.made, self.photo


@dataclass(frozen=True)
class Panel:
    """One arm's nearest pairs, the nearest first; `copied` is the share of all its pictures."""

    arm: Arm
    limit: float | None
    pairs: Sequence[Pair]
    copied: Estimate | None


def copying_panels(study: Study) -> list[Panel]:
    """A panel an arm, the untouched model's first."""
    prompts = {prompt.id: prompt for prompt in study.prompts}
    panels = []
    for arm in study.arms:
        found = study.copying.get(arm.name)
        if found is None or not found.pairs:
            continue
        pairs = []
        for copy in sorted(found.pairs, key=lambda copy: -copy.value)[:SHOWN]:
            seed = None if arm.name == BASE else copy.seed
            made = prompt_picture(study, arm, seed, prompts[copy.prompt_id], copy.image_seed)
            over = found.limit is not None and copy.value > found.limit
            pairs.append(Pair(made, photo_picture(study, copy.photo), copy.value, over))
        panels.append(Panel(arm, found.limit, pairs, arm.scores.get("copied")))
    return panels
