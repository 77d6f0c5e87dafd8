"""A scene as plain data: the same seed gives the same scene, and any part can be replaced."""

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from pseudoword.toybox.world.vocabulary import CLASSES, COLOURS, DETAILS, PATTERNS, SETTINGS

RGB = tuple[float, float, float]
SHAPE_PARAMETERS = 6


@dataclass(frozen=True)
class Toy:
    """One particular toy. Colours are linear-looking RGB in [0, 1]; `shape` values in [-1, 1]."""

    class_noun: str
    colour_name: str
    pattern_name: str
    body: RGB
    second: RGB
    trim: RGB
    shape: tuple[float, ...]
    pattern_scale: float = 1.0
    pattern_angle: float = 0.0
    pattern_phase: float = 0.0
    detail: str = "none"
    detail_at: float = 0.0
    detail_size: float = 0.5


@dataclass(frozen=True)
class Camera:
    """Angles in degrees; `fill` is the share of the frame that the toy's bounding sphere takes;
    offsets are shares of the frame."""

    azimuth: float
    elevation: float
    fill: float
    offset_x: float
    offset_y: float


@dataclass(frozen=True)
class Light:
    """Direction of the key light, angles in degrees, and its strength (1 = usual)."""

    azimuth: float
    elevation: float
    strength: float


@dataclass(frozen=True)
class Scene:
    """A toy in a setting; `hat` and `neighbour` are colour names or None."""

    toy: Toy
    setting: str
    setting_seed: int
    camera: Camera
    light: Light
    style: str = "photo"
    hat: str | None = None
    neighbour: str | None = None
    neighbour_side: float = 1.0

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON data."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> "Scene":
        """The inverse of `to_dict`."""
        rest = {k: v for k, v in data.items() if k not in ("toy", "camera", "light")}
        return cls(
            toy=toy_from_dict(data["toy"]),
            camera=Camera(**data["camera"]),
            light=Light(**data["light"]),
            **rest,
        )


def toy_from_dict(data: dict[str, Any]) -> Toy:
    """A toy from `dataclasses.asdict` or JSON (lists become tuples again).

    Raises ValueError, TypeError or AttributeError where `data` is no toy of this world.
    """
    values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in data.items()}
    toy = Toy(**values)
    for name, known in (
        (toy.class_noun, CLASSES),
        (toy.colour_name, COLOURS),
        (toy.pattern_name, PATTERNS),
        (toy.detail, DETAILS),
    ):
        if name not in known:
            raise ValueError(f"{name!r} is no word of the toybox world")
    if len(toy.shape) != SHAPE_PARAMETERS or {len(toy.body), len(toy.second), len(toy.trim)} != {3}:
        raise ValueError("a toy has six shape parameters and colours of three numbers")
    numbers = [*toy.shape, *toy.body, *toy.second, *toy.trim, toy.pattern_scale]
    numbers += [toy.pattern_angle, toy.pattern_phase, toy.detail_at, toy.detail_size]
    if not all(math.isfinite(number) for number in numbers):
        raise ValueError("a toy's numbers are finite")
    return toy


def jitter_colour(rng: np.random.Generator, name: str, amount: float = 0.06) -> RGB:
    """The named colour, each channel moved by at most `amount`."""
    moved = np.clip(np.array(COLOURS[name]) + rng.uniform(-amount, amount, 3), 0.02, 1.0)
    return (float(moved[0]), float(moved[1]), float(moved[2]))


def sample_toy(rng: np.random.Generator) -> Toy:
    """A random toy whose body colour and pattern a caption can say, and much that it cannot."""
    names = list(COLOURS)
    colour, second, trim = (str(rng.choice(names)) for _ in range(3))
    while second == colour:
        second = str(rng.choice(names))
    pattern = PATTERNS[0] if rng.random() < 0.4 else str(rng.choice(PATTERNS[1:]))
    detailed = rng.random() < 0.2
    return Toy(
        class_noun=str(rng.choice(CLASSES)),
        colour_name=colour,
        pattern_name=pattern,
        body=jitter_colour(rng, colour),
        second=jitter_colour(rng, second),
        trim=jitter_colour(rng, trim),
        shape=tuple(float(v) for v in rng.uniform(-1, 1, SHAPE_PARAMETERS)),
        pattern_scale=float(rng.uniform(0.8, 1.25)),
        pattern_angle=float(rng.uniform(-25, 25)),
        pattern_phase=float(rng.uniform(0, 1)),
        detail=str(rng.choice(DETAILS[1:])) if detailed else "none",
        detail_at=float(rng.uniform(-0.4, 0.4)),
        detail_size=float(rng.uniform(0.2, 0.5)),
    )


def sample_view(rng: np.random.Generator) -> tuple[Camera, Light]:
    """A random camera and light."""
    camera = Camera(
        azimuth=float(rng.uniform(-50, 50)),
        elevation=float(rng.uniform(4, 19)),
        fill=float(rng.uniform(0.66, 0.86)),
        offset_x=float(rng.uniform(-0.06, 0.06)),
        offset_y=float(rng.uniform(-0.07, 0.02)),
    )
    light = Light(
        azimuth=float(rng.uniform(-70, 70)),
        elevation=float(rng.uniform(35, 65)),
        strength=float(rng.uniform(0.85, 1.1)),
    )
    return camera, light


def sample_scene(seed: int) -> Scene:
    """The scene of a seed: all attributes independent of each other."""
    rng = np.random.default_rng([7, seed])
    toy = sample_toy(rng)
    camera, light = sample_view(rng)
    names = list(COLOURS)
    hat = str(rng.choice(names)) if rng.random() < 0.15 else None
    neighbour = str(rng.choice(names)) if rng.random() < 0.15 else None
    style = "photo" if rng.random() < 0.73 else str(rng.choice(["sketch", "oil", "pixel"]))
    return Scene(
        toy=toy,
        setting=str(rng.choice(list(SETTINGS))),
        setting_seed=int(rng.integers(1 << 30)),
        camera=camera,
        light=light,
        style=style,
        hat=hat,
        neighbour=neighbour,
        neighbour_side=1.0 if rng.random() < 0.5 else -1.0,
    )
