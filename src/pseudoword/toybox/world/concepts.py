"""Concept toys: particular toys that no caption can describe, their photos and their truth."""

import numpy as np

from pseudoword.toybox.world.caption import apply_edits, parse_prompt
from pseudoword.toybox.world.scene import (
    SHAPE_PARAMETERS,
    Scene,
    Toy,
    as_rgb,
    contrasting,
    jitter,
    sample_camera,
    sample_detail,
    sample_light,
)
from pseudoword.toybox.world.vocabulary import (
    CLASSES,
    COLOURS,
    PATTERNS,
    RGB,
    SETTINGS,
    STYLES,
)

_TOY_SPACE, _PHOTO_SPACE, _TRUTH_SPACE = 201, 202, 203

_BETWEEN: tuple[tuple[str, str], ...] = (
    ("red", "orange"),
    ("orange", "yellow"),
    ("yellow", "green"),
    ("green", "cyan"),
    ("cyan", "blue"),
    ("blue", "purple"),
    ("purple", "pink"),
    ("pink", "orange"),
    ("brown", "orange"),
    ("green", "grey"),
    ("purple", "grey"),
    ("cyan", "white"),
)
"""Pairs of colours whose midpoint has no name in the vocabulary."""

_CLASS_STRIDE = 7
"""Coprime with the number of classes: neighbouring seeds give unlike classes, 16 give all."""


def concept_toy(seed: int) -> Toy:
    """Concept toy number `seed`, with hues between the named ones and a detail without words."""
    rng = np.random.default_rng([_TOY_SPACE, seed])
    body = _unnamed_colour(rng)
    shape = rng.choice((-1.0, 1.0), SHAPE_PARAMETERS) * rng.uniform(0.45, 1.0, SHAPE_PARAMETERS)
    pattern = PATTERNS[int(rng.integers(len(PATTERNS)))]
    return Toy(
        class_noun=CLASSES[seed * _CLASS_STRIDE % len(CLASSES)],
        colour=None,
        pattern=pattern,
        body=body,
        second=contrasting(rng, body, 0.6),
        trim=contrasting(rng, body, 0.5),
        shape=tuple(float(v) for v in shape),
        pattern_scale=float(rng.choice((rng.uniform(1.5, 2.0), rng.uniform(3.6, 4.2)))),
        pattern_angle=float(rng.choice((-1, 1)) * rng.uniform(0.6, 1.3)),
        pattern_phase=rng.random(),
        **sample_detail(rng, body, share=1.0 if pattern == PATTERNS[0] else 0.6),
    )


def photo_scenes(toy: Toy, count: int = 5, seed: int = 0) -> list[Scene]:
    """Photos of `toy` as its owner would take them: other settings and other cameras each.

    Settings repeat only where `count` exceeds their number.
    """
    rng = np.random.default_rng([_PHOTO_SPACE, seed])
    settings: list[str] = []
    while len(settings) < count:
        settings += [str(name) for name in rng.permutation(list(SETTINGS))]
    return [_photo(rng, toy, setting) for setting in settings[:count]]


def true_scenes(toy: Toy, prompt: str, count: int, seed: int) -> list[Scene]:
    """`count` scenes that show exactly `toy` in just what `prompt` asks for.

    What the prompt leaves open (camera, light, perhaps the setting) varies; a style that it does
    not name is the photo. Raises ValueError as `parse_prompt` does.
    """
    edits = parse_prompt(prompt, toy.class_noun)
    rng = np.random.default_rng([_TRUTH_SPACE, seed])
    names = list(SETTINGS)
    scenes = (_photo(rng, toy, names[int(rng.integers(len(names)))]) for _ in range(count))
    return [apply_edits(scene, edits) for scene in scenes]


def _photo(rng: np.random.Generator, toy: Toy, setting: str) -> Scene:
    return Scene(
        toy=toy,
        setting=setting,
        setting_seed=int(rng.integers(1 << 20)),
        camera=sample_camera(rng, toy.class_noun),
        light=sample_light(rng),
        hat=None,
        neighbour=None,
        neighbour_side=int(rng.integers(2)) * 2 - 1,
        style=STYLES[0],
    )


def _unnamed_colour(rng: np.random.Generator) -> RGB:
    first, other = _BETWEEN[int(rng.integers(len(_BETWEEN)))]
    middle = (np.asarray(COLOURS[first]) + np.asarray(COLOURS[other])) / 2
    return jitter(rng, as_rgb(middle), spread=0.4)
