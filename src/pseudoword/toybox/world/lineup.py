"""Line-ups: a toy among near doubles, each of which differs from it in one respect."""

from dataclasses import replace

import numpy as np

from pseudoword.toybox.world.concepts import contrasting, jittered
from pseudoword.toybox.world.scene import RGB, Toy
from pseudoword.toybox.world.vocabulary import COLOURS, PATTERNS

LINEUP = 100
"""Toys in a line-up, the right one included."""
RESPECTS = ("pattern", "proportions", "colour", "hue")
_LINEUP = 204
_SECOND_PARTS = frozenset(
    ("bottle", "car", "house", "dog", "duck", "robot", "teapot", "boat", "snowman")
)
"""Classes with a part in the second colour, whatever the pattern."""


def lineup(toy: Toy, count: int = LINEUP, seed: int = 0) -> list[Toy]:
    """`count` toys of which the first is `toy`; the others are near doubles, all respects alike."""
    rng = np.random.default_rng([_LINEUP, seed])
    others = [near_double(toy, RESPECTS[i % len(RESPECTS)], rng) for i in range(count - 1)]
    return [toy, *others]


def near_double(toy: Toy, respect: str, rng: np.random.Generator) -> Toy:
    """`toy` but for its pattern, its proportions, its second colour or the hue of its body."""
    if respect == "pattern":
        return _other_pattern(toy, rng)
    if respect == "hue":
        return replace(toy, body=contrasting(rng, toy.body))
    if respect == "proportions":
        # To the other side of the middle, so that each number differs by 0.4 at least.
        sides = np.where(np.array(toy.shape) > 0, -1.0, 1.0)
        numbers = sides * rng.uniform(0.4, 1.0, len(sides))
        return replace(toy, shape=tuple(float(v) for v in numbers))
    # A detail alone may fall where the body is not.
    if toy.pattern_name != "plain" or toy.class_noun in _SECOND_PARTS:
        return replace(toy, second=_other_colour(toy, toy.second, rng))
    if toy.class_noun != "ball" or toy.shape[1] > 0:
        return replace(toy, trim=_other_colour(toy, toy.trim, rng))
    # A plain ball without a ring shows one colour only.
    return near_double(toy, "hue", rng)


def _other_pattern(toy: Toy, rng: np.random.Generator) -> Toy:
    """Another kind of pattern; or the same, but small for large and leaning the other way."""
    placed = replace(
        toy,
        pattern_scale=float(
            rng.uniform(1.3, 1.5) if toy.pattern_scale < 1 else rng.uniform(0.7, 0.8)
        ),
        pattern_angle=float((-1 if toy.pattern_angle > 0 else 1) * rng.uniform(15, 40)),
        pattern_phase=float(rng.random()),
    )
    if toy.pattern_name != "plain" and rng.random() < 0.5:
        return placed
    names = [name for name in PATTERNS if name != toy.pattern_name]
    return replace(placed, pattern_name=names[int(rng.integers(len(names)))])


def _other_colour(toy: Toy, present: RGB, rng: np.random.Generator, least: float = 0.45) -> RGB:
    """A named colour that is neither near the body's nor near the present one."""
    far = [
        colour
        for colour in COLOURS.values()
        if min(np.linalg.norm(np.subtract(colour, c)) for c in (toy.body, present)) >= least
    ]
    return jittered(np.array(far[int(rng.integers(len(far)))]), rng)
