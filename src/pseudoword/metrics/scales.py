"""Likeness and adherence of every method on the scale from floor to ceiling.

0 is the untouched model and 1 the photos for fidelity; 0 is a picture that ignores the prompt and 1
the untouched model for adherence. Both ends are measured in the same study.
"""

from dataclasses import dataclass

import numpy as np

from pseudoword.metrics.design import BASE, Design, Evidence
from pseudoword.metrics.stats import Array, weighted_means
from pseudoword.metrics.verdict import normalise, separates

CLOSER = (
    "Give more photos, closer up, in which little else is to be seen; or choose another encoder "
    "(--dino-encoder)."
)


@dataclass(frozen=True)
class Normalised:
    """Fidelity and adherence of each method in every resample; empty where `problem` says why."""

    fidelity: dict[str, Array]
    adherence: dict[str, Array]
    problem: str | None
    next_step: str | None


def normalise_study(design: Design, evidence: Evidence) -> Normalised:
    """Both scores of all methods in all resamples, or what keeps them from having a scale."""
    noun, sampled = evidence.class_noun, design.sampled
    methods = list(evidence.methods)
    fidelity: dict[str, Array] = {}
    adherence: dict[str, Array] = {}
    problem = next_step = None

    floor, photos_dino = design.means(BASE, "dino"), evidence.ceiling["dino"]
    ceiling = float(np.mean(photos_dino)) if len(photos_dino) else np.nan
    if not len(photos_dino):
        problem = (
            f"One photo does not tell how alike pictures of this {noun} can be, so likeness has "
            "no scale and no method can be called best."
        )
        next_step = f"Give at least three different photos of this {noun}, better four."
    elif separates(floor, np.full_like(floor, ceiling), sampled):
        fidelity = {m: normalise(design.means(m, "dino"), floor, ceiling) for m in methods}
    else:
        problem = (
            f"DINO cannot tell this {noun} from any {noun}: the photos are no more like each other "
            f"than the untouched model's pictures are like them, so no method can be called best."
        )
        next_step = CLOSER

    edit = ~design.basic
    if not edit.any():
        problem = problem or "There are no edit prompts, so adherence cannot be measured."
        next_step = next_step or "Run with prompts that put the concept into other settings."
        return Normalised(fidelity, adherence, problem, next_step)
    if edit.sum() == 1:
        # The luck of a method with one prompt would pass for its worth.
        problem = problem or (
            "One edit prompt does not tell how results vary from prompt to prompt, so no method "
            "can be called best."
        )
        next_step = next_step or "Ask for at least two edit prompts, better nine (--prompt)."

    def prompt_fidelity(cells: Array) -> Array:
        return weighted_means(cells.mean(axis=2), sampled, edit)

    photos = np.array([[[evidence.photos_clip_t[prompt.id]] for prompt in design.prompts]])
    zero, one = prompt_fidelity(photos), prompt_fidelity(design.cells[BASE]["clip_t"])
    if separates(zero, one, sampled):
        adherence = {
            m: normalise(prompt_fidelity(design.cells[m]["clip_t"]), zero, one) for m in methods
        }
    else:
        problem = problem or (
            "CLIP-T cannot tell whether these prompts are followed: the photos, which follow none, "
            "fit them as well as the untouched model's pictures do."
        )
        next_step = next_step or "Choose prompts that the model can draw, or another CLIP encoder."
    return Normalised(fidelity, adherence, problem, next_step)
