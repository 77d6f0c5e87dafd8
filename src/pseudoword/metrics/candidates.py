"""Which checkpoint, at which strength? The scores of candidates on validation prompts.

They are the verdict's: fidelity on the scale from the untouched model to the photos, adherence on
that from a picture that ignores the prompt to the untouched model, and their product. But likeness
is that to the *training* photos, so that the held-out photo stays unseen until the end;
docs/metrics.md tells that it ranks checkpoints at least as well.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pseudoword.metrics.stats import (
    Array,
    Resamples,
    from_sample,
    interval,
    resamples,
    spread,
    weighted_means,
)
from pseudoword.metrics.verdict import normalise, overall_score


@dataclass(frozen=True)
class Cells:
    """DINO to the training photos and CLIP-T of validation pictures, (S, P, I) each."""

    dino: Array
    clip_t: Array


@dataclass(frozen=True)
class Scale:
    """Where fidelity and adherence are 0 and 1, in every resample (r,); `edit` (P,) marks prompts.

    `ceiling` is the training photos' likeness to each other.
    """

    floor: Array
    ceiling: float
    least: Array
    most: Array
    edit: np.ndarray
    sampled: Resamples


@dataclass(frozen=True)
class Candidate:
    """A checkpoint at a strength; scores are one a resample (r,), over `n` pictures."""

    step: int
    strength: float
    fidelity: Array
    adherence: Array
    n: int

    @property
    def overall(self) -> Array:
        return overall_score(self.fidelity, self.adherence)


def find_scale(
    untouched: Cells, photos_clip_t: Array, ceiling: Array, edit: np.ndarray, n_seeds: int
) -> Scale | str:
    """The scale of candidates that were trained `n_seeds` times, or why there is none.

    `untouched` holds the cells (1, P, I) of the untouched model, `photos_clip_t` (P,) what the
    training photos score for each prompt, `ceiling` (n,) their likeness to each other. A scale must
    keep its direction whichever prompt is left out. That is less than the verdict asks of its own:
    four prompts cannot show more, and a choice claims less.
    """
    sampled = resamples(n_seeds, (~edit).astype(np.int64), draws=0)
    floor = weighted_means(untouched.dino.mean(axis=2), sampled)
    one = float(ceiling.mean())
    if not (floor < one).all():
        return "DINO cannot tell the concept from others of its class"
    least = weighted_means(photos_clip_t[None], sampled, edit)
    most = weighted_means(untouched.clip_t.mean(axis=2), sampled, edit)
    if not (least < most).all():
        return "CLIP-T cannot tell whether the validation prompts are followed"
    return Scale(floor, one, least, most, edit, sampled)


def place(scale: Scale, step: int, strength: float, cells: Cells) -> Candidate:
    """A candidate on the scale, by its cells (S, P, I)."""
    dino = weighted_means(cells.dino.mean(axis=2), scale.sampled)
    clip_t = weighted_means(cells.clip_t.mean(axis=2), scale.sampled, scale.edit)
    fidelity = normalise(dino, scale.floor, scale.ceiling)
    adherence = normalise(clip_t, scale.least, scale.most)
    return Candidate(step, strength, fidelity, adherence, cells.dino.size)


def choose(candidates: Sequence[Candidate], sampled: Resamples) -> Candidate:
    """The first, in order of preference, that is not shown to be worse than the best.

    That is: its overall score falls short of the highest by no more than the standard error of
    their paired difference (the rule of one standard error of Breiman et al., Classification and
    Regression Trees, 1984, section 3.4.3). Where nothing is replicated nothing can be shown.
    """
    if not sampled.groups:
        return candidates[0]
    best = max(candidates, key=lambda candidate: candidate.overall[0])
    for candidate in candidates:
        short = best.overall - candidate.overall
        if short[0] <= spread(short, sampled).standard_error:
            return candidate
    raise ValueError("no candidate falls short of itself")


def candidate_row(candidate: Candidate, sampled: Resamples, chosen: bool) -> dict[str, Any]:
    """What results.json says of a candidate."""

    def estimate(values: Array) -> dict[str, float | None]:
        found = interval(values, sampled, candidate.n)
        return {"value": found.value, "low": found.low, "high": found.high}

    return {
        "step": candidate.step,
        "strength": candidate.strength,
        "fidelity": estimate(candidate.fidelity),
        "adherence": estimate(candidate.adherence),
        "overall": estimate(candidate.overall),
        "chosen": chosen,
    }


def loss_ratio(tuned: Array, untouched: Array) -> dict[str, float | None] | None:
    """How the loss of the same samples changed: 1 is the untouched model's; None without samples.

    `tuned` is (S, n), `untouched` (n,). The differences are paired by sample, since losses of one
    noise level vary little and those of different ones much; the interval is over samples.
    """
    if not untouched.size:
        return None
    change = (tuned.mean(axis=0) - untouched) / untouched.mean()
    found = from_sample(1.0 + change)
    return {"value": found.value, "low": found.low, "high": found.high}


def unscored_row(step: int) -> dict[str, Any]:
    """The same of the end of training where there is no scale."""
    nothing = {"value": None, "low": None, "high": None}
    scores = {name: nothing for name in ("fidelity", "adherence", "overall")}
    return {"step": step, "strength": 1.0, **scores, "chosen": True}
