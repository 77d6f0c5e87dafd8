"""A scene as plain data, and how random scenes are drawn."""

import dataclasses
import math
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from pseudoword.toybox.world.vocabulary import (
    CLASSES,
    COLOURS,
    DETAILS,
    PATTERNS,
    RGB,
    SETTINGS,
    STYLES,
)

SHAPE_PARAMETERS = 5

FRONT_AZIMUTH: dict[str, float] = {
    "ball": 0.0,
    "cube": 30.0,
    "mug": 5.0,
    "bottle": 0.0,
    "car": 20.0,
    "house": 30.0,
    "dog": 20.0,
    "duck": 20.0,
    "chair": 30.0,
    "robot": 0.0,
    "mushroom": 0.0,
    "lamp": 0.0,
    "teapot": 0.0,
    "tree": 0.0,
    "boat": 10.0,
    "snowman": 0.0,
}
"""Degrees from +z towards +x from which each class is best recognised."""
AZIMUTH_RANGE = 50.0
"""Degrees by which a sampled camera may stand aside of the best view."""

_SAMPLE_SPACE, _DETAIL_SPACE = 101, 102


@dataclass(frozen=True)
class Toy:
    """One particular toy.

    Colours are RGB in [0, 1]; `shape` holds SHAPE_PARAMETERS proportions in [-1, 1].
    `colour` and `pattern` are what a caption would say; `colour` is None where no word fits.
    """

    class_noun: str
    colour: str | None
    pattern: str
    body: RGB
    second: RGB
    """The other colour of the pattern."""
    trim: RGB
    """Wheels, roof, handle, beak and the like."""
    shape: tuple[float, ...]
    pattern_scale: float
    """Periods over one unit of length; a toy measures about 1.5 units."""
    pattern_angle: float
    """Radians; at 0 stripes are level."""
    pattern_phase: float
    """Periods, in [0, 1)."""
    detail: str
    """One of DETAILS."""
    detail_rgb: RGB
    detail_place: float
    """In [0, 1] along the axis that the detail uses (height for bands)."""
    detail_size: float
    """In [0, 1]."""


@dataclass(frozen=True)
class Camera:
    """Where the picture is taken from; the distance follows from `fill` when it is rendered."""

    azimuth: float
    """Degrees from the toy's +z axis towards +x."""
    elevation: float
    """Degrees above the ground."""
    fill: float
    """The toy's larger side in the picture, as a share of the picture's side."""
    offset: tuple[float, float]
    """Where the middle of the toy lies, right and up, as a share of the picture's side."""
    fov: float
    """Full angle of view in degrees."""


@dataclass(frozen=True)
class Light:
    """The main light. `azimuth` is relative to the camera (degrees, positive to the right)."""

    azimuth: float
    elevation: float
    strength: float
    """A factor on the setting's own light, about 1."""


@dataclass(frozen=True)
class Scene:
    """All that a picture shows. Edit with `dataclasses.replace`."""

    toy: Toy
    setting: str
    setting_seed: int
    camera: Camera
    light: Light
    hat: str | None
    """The hat's colour."""
    neighbour: str | None
    """The neighbour ball's colour."""
    neighbour_side: int
    """-1: left of the toy in the picture, 1: right."""
    style: str

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> "Scene":
        """The inverse of `to_dict`, also after a trip through JSON."""
        camera = {**data["camera"], "offset": tuple(data["camera"]["offset"])}
        return cls(
            **{
                **data,
                "toy": toy_from_dict(data["toy"]),
                "camera": Camera(**camera),
                "light": Light(**data["light"]),
            }
        )


def toy_from_dict(data: dict[str, Any]) -> Toy:
    """The inverse of `dataclasses.asdict`, also after a trip through JSON."""
    plain: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in data.items()}
    return Toy(**plain)


def sample_scene(seed: int) -> Scene:
    """The random scene number `seed`: all attributes are drawn independently of each other."""
    rng = np.random.default_rng([_SAMPLE_SPACE, seed])
    toy = _sample_toy(rng, seed)
    setting = _choose(rng, tuple(SETTINGS))
    colours = tuple(COLOURS)
    hat = _choose(rng, colours)
    neighbour = _choose(rng, colours)
    style = _choose(rng, STYLES[1:])
    has_hat, has_neighbour, has_style = rng.random(3) < (0.15, 0.15, 0.3)
    return Scene(
        toy=toy,
        setting=setting,
        setting_seed=int(rng.integers(1 << 20)),
        camera=sample_camera(rng, toy.class_noun),
        light=sample_light(rng),
        hat=hat if has_hat else None,
        neighbour=neighbour if has_neighbour else None,
        neighbour_side=int(rng.integers(2)) * 2 - 1,
        style=style if has_style else STYLES[0],
    )


def sample_camera(rng: np.random.Generator, class_noun: str) -> Camera:
    """A view of a toy of this class from which it can be recognised."""
    return Camera(
        azimuth=FRONT_AZIMUTH[class_noun] + rng.uniform(-AZIMUTH_RANGE, AZIMUTH_RANGE),
        elevation=8 + 27 * rng.beta(1.3, 2.2),
        fill=rng.uniform(0.55, 0.72),
        offset=(rng.uniform(-0.06, 0.06), rng.uniform(-0.07, 0.03)),
        fov=rng.uniform(34, 46),
    )


def sample_light(rng: np.random.Generator) -> Light:
    """A light from the camera's side of the toy, left or right."""
    return Light(
        azimuth=float(rng.choice((-1, 1)) * rng.uniform(20, 70)),
        elevation=rng.uniform(35, 65),
        strength=rng.uniform(0.88, 1.1),
    )


def jitter(rng: np.random.Generator, rgb: RGB, spread: float = 1.0) -> RGB:
    """A colour near `rgb`: brightness and each component vary, the name still fits."""
    factor = 1 + spread * rng.uniform(-0.13, 0.1)
    moved = np.asarray(rgb) * factor + spread * rng.uniform(-0.035, 0.045, 3)
    return as_rgb(moved)


def as_rgb(values: np.ndarray) -> RGB:
    """Three components, clipped to [0, 1]."""
    return cast(RGB, tuple(float(v) for v in np.clip(values, 0.0, 1.0)))


def contrasting(rng: np.random.Generator, rgb: RGB, least: float = 0.5) -> RGB:
    """A jittered vocabulary colour at a Euclidean distance of at least `least` from `rgb`."""
    far = [c for c in COLOURS.values() if math.dist(c, rgb) >= least]
    return jitter(rng, far[int(rng.integers(len(far)))])


def _sample_toy(rng: np.random.Generator, seed: int) -> Toy:
    colour = _choose(rng, tuple(COLOURS))
    body = jitter(rng, COLOURS[colour])
    patterned = rng.random() >= 0.45
    pattern = _choose(rng, PATTERNS[1:])
    return Toy(
        class_noun=_choose(rng, CLASSES),
        colour=colour,
        pattern=pattern if patterned else PATTERNS[0],
        body=body,
        second=contrasting(rng, body),
        trim=contrasting(rng, body, 0.35),
        shape=tuple(float(v) for v in rng.uniform(-1, 1, SHAPE_PARAMETERS)),
        pattern_scale=rng.uniform(2.3, 3.8),
        pattern_angle=rng.uniform(-0.6, 0.6),
        pattern_phase=rng.random(),
        **sample_detail(np.random.default_rng([_DETAIL_SPACE, seed]), body, share=0.18),
    )


def sample_detail(rng: np.random.Generator, body: RGB, share: float) -> dict[str, Any]:
    """The detail fields of a Toy; with probability `share` there is one."""
    kind = _choose(rng, DETAILS[1:])
    return {
        "detail": kind if rng.random() < share else DETAILS[0],
        "detail_rgb": contrasting(rng, body, 0.55),
        "detail_place": rng.uniform(0.3, 0.7),
        "detail_size": rng.random(),
    }


def _choose(rng: np.random.Generator, options: tuple[str, ...]) -> str:
    return options[int(rng.integers(len(options)))]
