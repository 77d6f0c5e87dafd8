"""Whether a likeness metric can tell this concept from others of its class at all."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.optimize import brentq

from pseudoword.metrics.design import BASE, Design, Evidence
from pseudoword.metrics.stats import Array

PLACES = ("basic", "setting")
"""Kinds of prompts whose pictures show the thing as photos do: whole, unchanged, by itself."""
_Z = 1.96
_NIL, _ONE = 1e-9, 1 - 1e-9


def discrimination(design: Design, evidence: Evidence) -> dict[str, Any]:
    """How surely DINO tells the photos from the untouched model's pictures of the class.

    "value" is the chance that a photo is more like the other photos (like the held-out one where
    there is one) than such a picture is: 1 is always, 0.5 a coin. "tells" is whether that is beyond
    chance, and null where there is but one photo.
    """
    photos = np.asarray(evidence.ceiling["dino"], np.float64)
    shown = np.array([prompt.kind in PLACES for prompt in design.prompts])
    chosen = shown if shown.any() else np.ones_like(shown)
    pictures = design.cells[BASE]["dino"][:, chosen].ravel()
    counts = {"n_photos": len(photos), "n_pictures": len(pictures)}
    noun = evidence.class_noun
    if not len(photos):
        text = f"One photo does not tell whether DINO knows this {noun} from another."
        return {"value": None, "low": None, "high": None, **counts, "tells": None, "text": text}
    value = area_under_curve(photos, pictures)
    # Of the likenesses of k photos to each other no more than k - 1 are free of the others.
    cases = len(photos) if evidence.held_out else len(photos) - 1
    low, high = area_interval(value, cases, len(pictures))
    tells = low > 0.5
    often = (
        f"in {100 * value:.0f}\N{NO-BREAK SPACE}% of comparisons a photo of this {noun} is more "
    )
    often += f"like the others than the untouched model's picture of any {noun} is"
    text = (
        f"DINO can tell this {noun} from others: {often}."
        if tells
        else f"DINO cannot surely tell this {noun} from others: only {often}."
        if value < 1
        else f"Too few photos or pictures to know whether DINO tells this {noun} from others."
    )
    return {"value": value, "low": low, "high": high, **counts, "tells": tells, "text": text}


def area_under_curve(positive: Sequence[float] | Array, negative: Sequence[float] | Array) -> float:
    """The chance that one of `positive` (m,) exceeds one of `negative` (n,); a tie counts half."""
    difference = np.asarray(positive)[:, None] - np.asarray(negative)
    return float((np.sign(difference).mean() + 1) / 2)


def area_interval(value: float, m: int, n: int) -> tuple[float, float]:
    """The 95 % interval of an area under the curve from m positive and n negative cases.

    Newcombe's method 5 (Statistics in Medicine 25, 2006): the bounds are the areas that lie 1.96
    of their own standard errors (Hanley & McNeil 1982) away, so that 1 has an interval, too.
    """

    def error(area: float) -> float:
        both = (m + n) / 2 - 1
        factor = 1 + both * ((1 - area) / (2 - area) + area / (1 + area))
        return float(np.sqrt(area * (1 - area) * factor / (m * n)))

    # At 0 and 1 the error vanishes, which is no bound but a root as well.
    low = 0.0 if value == 0 else brentq(lambda a: value - a - _Z * error(a), 0.0, min(value, _ONE))
    high = 1.0 if value == 1 else brentq(lambda a: a - value - _Z * error(a), max(value, _NIL), 1.0)
    return float(low), float(high)
