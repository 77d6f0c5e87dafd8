"""Concept toys: particular toys that no caption can describe, their photos and their truth."""

from dataclasses import replace
from zlib import crc32

import numpy as np

from pseudoword.toybox.world.grammar import apply_edits, parse_prompt
from pseudoword.toybox.world.scene import RGB, SHAPE_PARAMETERS, Scene, Toy, sample_view
from pseudoword.toybox.world.vocabulary import CLASSES, COLOURS, DETAILS, PATTERNS, SETTINGS

_TOY, _PHOTO, _TRUTH = 201, 202, 203

_BETWEEN = (
    ("red", "orange"),
    ("orange", "yellow"),
    ("yellow", "green"),
    ("green", "cyan"),
    ("cyan", "blue"),
    ("blue", "purple"),
    ("purple", "pink"),
    ("pink", "orange"),
    ("green", "grey"),
    ("purple", "grey"),
    ("cyan", "white"),
)
"""Pairs of colours whose midpoint has no name in the vocabulary."""

_CLASS_STRIDE = 7
"""Coprime with the number of classes: neighbouring seeds give unlike classes, 16 give all."""


def concept_toy(seed: int) -> Toy:
    """Concept toy number `seed`: a hue between the named ones, extreme proportions and a detail."""
    rng = np.random.default_rng([_TOY, seed])
    first, other = _BETWEEN[int(rng.integers(len(_BETWEEN)))]
    body = jittered((np.array(COLOURS[first]) + np.array(COLOURS[other])) / 2, rng)
    shape = rng.choice((-1.0, 1.0), SHAPE_PARAMETERS) * rng.uniform(0.4, 1.0, SHAPE_PARAMETERS)
    return Toy(
        class_noun=CLASSES[seed * _CLASS_STRIDE % len(CLASSES)],
        colour_name=first,
        pattern_name=PATTERNS[int(rng.integers(len(PATTERNS)))],
        body=body,
        second=contrasting(rng, body),
        trim=contrasting(rng, body),
        shape=tuple(float(v) for v in shape),
        pattern_scale=float(rng.uniform(0.7, 0.8) if rng.random() < 0.5 else rng.uniform(1.3, 1.5)),
        pattern_angle=float(rng.choice((-1, 1)) * rng.uniform(15, 40)),
        pattern_phase=float(rng.random()),
        detail=DETAILS[int(rng.integers(len(DETAILS)))],
        detail_at=float(rng.uniform(-0.4, 0.4)),
        detail_size=float(rng.uniform(0.3, 0.5)),
    )


def photo_scenes(toy: Toy, count: int = 5, seed: int = 0) -> list[Scene]:
    """Photos of `toy` as its owner would take them: another setting and camera each.

    Settings repeat only where `count` exceeds their number.
    """
    rng = np.random.default_rng([_PHOTO, seed])
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
    asked = crc32(prompt.encode())
    scenes = []
    for index in range(count):
        rng = np.random.default_rng([_TRUTH, seed, toy_key(toy), asked, index])
        setting = str(rng.choice(list(SETTINGS)))
        scenes.append(apply_edits(_photo(rng, toy, setting), edits))
    return scenes


def toy_key(toy: Toy) -> int:
    """A number of the toy's own, for chance that is to differ between toys."""
    return crc32(repr(toy).encode())


def twin(toy: Toy, rng: np.random.Generator) -> Toy:
    """A near double: the same class, other proportions, colours and pattern placement."""
    other = concept_toy(int(rng.integers(1 << 31)))
    return replace(other, class_noun=toy.class_noun)


def _photo(rng: np.random.Generator, toy: Toy, setting: str) -> Scene:
    camera, light = sample_view(rng)
    return Scene(toy, setting, int(rng.integers(1 << 30)), camera, light)


def jittered(colour: np.ndarray, rng: np.random.Generator) -> RGB:
    moved = np.clip(colour + rng.uniform(-0.03, 0.03, 3), 0.02, 1.0)
    return (float(moved[0]), float(moved[1]), float(moved[2]))


def contrasting(rng: np.random.Generator, body: RGB, least: float = 0.5) -> RGB:
    """A vocabulary colour at least `least` away from `body` in RGB."""
    far = [c for c in COLOURS.values() if np.linalg.norm(np.subtract(c, body)) >= least]
    return jittered(np.array(far[int(rng.integers(len(far)))]), rng)
