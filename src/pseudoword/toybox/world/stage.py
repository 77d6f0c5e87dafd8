"""A scene as the numbers that the renderer works on, with the camera fitted to the toy."""

import math
from typing import Any, NamedTuple, cast

import numpy as np

from pseudoword.toybox.world.compiled import entry_point
from pseudoword.toybox.world.scene import FRONT_AZIMUTH, Scene
from pseudoword.toybox.world.settings import LIGHTS, WATER
from pseudoword.toybox.world.shapes import Shape
from pseudoword.toybox.world.solid import Box, Four, hat_place, toy_distance
from pseudoword.toybox.world.vocabulary import (
    CLASSES,
    COLOURS,
    DETAILS,
    PATTERNS,
    SETTINGS,
)

_WIDE, _TALL = 1.6, 2.4
_COARSE, _FINE = 12, 3
_NEIGHBOUR_RADIUS = 0.34
_MOST_FILL = 0.93
"""The share of the picture that toy, hat and most of the neighbour may take together."""
_DRAUGHT = {"boat": 0.10}
_WATERLINE = 0.16
"""How deep toys stand in the water, in units; boats float higher."""
Three = tuple[float, float, float]


class Stage(NamedTuple):
    """Numbers for compiled code. Vectors are (x, y, z), y up, in the toy's units; angles radians.

    Tuples rather than arrays: the compiler keeps them in registers.
    """

    kind: int
    shape: Shape
    colours: np.ndarray
    """(6, 3): body, second, trim, hat, neighbour, detail."""
    ambient: Three
    sun: Three
    """The main light's colour."""
    light: Three
    """The unit vector towards the main light."""
    pattern: int
    detail: int
    paint: tuple[float, float, float, float, float, float]
    """Pattern scale, angle, phase; detail place, size; the azimuth of the class's front."""
    box: Box
    """The toy's x0, x1, y0, y1, z0, z1."""
    bounds: Box
    """The same with the hat."""
    hat: Four
    """Brim's x, y, z and radius; radius 0: no hat."""
    ball: Four
    """The neighbour's x, y, z and radius; radius 0: none."""
    eye: Three
    frame: tuple[Three, Three, Three]
    """The camera's unit vectors right, up, forward."""
    lens: Three
    """Focal length, shift right, shift up, in half sides of the picture."""
    setting: int
    seed: int
    yaw: tuple[float, float]
    """Cosine and sine of the azimuth from which the stage is seen straight on."""
    floor: float
    """The ground's height."""


@entry_point
def surface_points(kind: int, shape: Shape) -> np.ndarray:
    """Points (n, 3) within about 0.05 of the toy's surface: cells of a grid, coarse then fine."""
    step = 2 * _WIDE / _COARSE
    small = step / _FINE
    rows = int(_TALL / step) + 1
    found = np.empty((_COARSE * _COARSE * rows * _FINE**3, 3))
    n = 0
    for i in range(_COARSE):
        x = -_WIDE + (i + 0.5) * step
        for j in range(rows):
            y = (j + 0.5) * step
            for k in range(_COARSE):
                z = -_WIDE + (k + 0.5) * step
                if abs(toy_distance(kind, x, y, z, shape)[0]) > 0.9 * step:
                    continue
                for a in range(_FINE**3):
                    fx = x + (a % _FINE - 1) * small
                    fy = y + (a // _FINE % _FINE - 1) * small
                    fz = z + (a // _FINE**2 - 1) * small
                    if abs(toy_distance(kind, fx, fy, fz, shape)[0]) < 0.5 * small:
                        found[n] = fx, fy, fz
                        n += 1
    return found[:n]


@entry_point
def _hat_height(kind: int, shape: Shape, x: float, z: float) -> float:
    """The height of the toy's surface below a point in the air."""
    y = _TALL
    for _ in range(100):
        d = toy_distance(kind, x, y, z, shape)[0]
        y -= 0.9 * d
        if d < 0.002 or y < 0:
            break
    return y


def build_stage(scene: Scene) -> Stage:
    """Everything that the renderer needs to know about `scene`."""
    toy, view = scene.toy, scene.camera
    kind, shape = CLASSES.index(toy.class_noun), cast(Shape, tuple(toy.shape))
    points = surface_points(kind, shape)
    right, up, forward = _axes(view.azimuth, view.elevation)
    everything, hat, ball = [points], np.zeros(4), np.zeros(4)
    box = bounds = np.stack([points.min(0) - 0.06, points.max(0) + 0.06], 1)
    if scene.hat is not None:
        hat = _put_hat(kind, shape)
        outline = hat[:3] + hat[3] * _HAT_OUTLINE
        everything.append(outline)
        low = np.minimum(box[:, 0], outline.min(0) - 0.06)
        bounds = np.stack([low, np.maximum(box[:, 1], outline.max(0) + 0.06)], 1)
    if scene.neighbour is not None:
        ball = _put_neighbour(points, right, forward, scene.neighbour_side)
        everything.append(ball[:3] + 0.8 * ball[3] * np.stack([right, -right, up, -up]))
    frame = np.stack([right, up, forward])
    eye, lens = _fit_camera(scene, points, np.concatenate(everything), frame)
    setting = list(SETTINGS).index(scene.setting)
    named = [COLOURS[name or "black"] for name in (scene.hat, scene.neighbour)]
    yaw = math.radians(view.azimuth) + (scene.setting_seed % 61 - 30) / 120
    return Stage(
        kind=kind,
        shape=shape,
        colours=np.array([toy.body, toy.second, toy.trim, *named, toy.detail_rgb]),
        ambient=_plain(LIGHTS[setting, :3]),
        sun=_plain(LIGHTS[setting, 3:] * scene.light.strength),
        light=_plain(_towards(view.azimuth + scene.light.azimuth, scene.light.elevation)),
        pattern=PATTERNS.index(toy.pattern),
        detail=DETAILS.index(toy.detail),
        paint=(
            toy.pattern_scale,
            toy.pattern_angle,
            toy.pattern_phase,
            toy.detail_place,
            toy.detail_size,
            math.radians(FRONT_AZIMUTH[toy.class_noun]),
        ),
        box=_plain(box),
        bounds=_plain(bounds),
        hat=_plain(hat),
        ball=_plain(ball),
        eye=_plain(eye),
        frame=(_plain(right), _plain(up), _plain(forward)),
        lens=lens,
        setting=setting,
        seed=scene.setting_seed,
        yaw=(math.cos(yaw), math.sin(yaw)),
        floor=_DRAUGHT.get(toy.class_noun, _WATERLINE) if setting == WATER else 0.0,
    )


def _plain(values: np.ndarray) -> Any:
    return tuple(values.ravel().tolist())


def _towards(azimuth: float, elevation: float) -> np.ndarray:
    a, e = math.radians(azimuth), math.radians(elevation)
    return np.array([math.sin(a) * math.cos(e), math.sin(e), math.cos(a) * math.cos(e)])


def _axes(azimuth: float, elevation: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    forward = -_towards(azimuth, elevation)
    a = math.radians(azimuth)
    right = np.array([math.cos(a), 0.0, -math.sin(a)])
    return right, np.cross(right, forward), forward


_HAT_OUTLINE = np.array(
    [(math.sin(a), 0.0, math.cos(a)) for a in np.linspace(0, 2 * math.pi, 8, endpoint=False)]
    + [(0.56 * math.sin(a), 1.25, 0.56 * math.cos(a)) for a in np.linspace(0, 6, 8)]
)


def _put_hat(kind: int, shape: Shape) -> np.ndarray:
    x, z, radius, depth = hat_place(kind, shape)
    return np.array([x, _hat_height(kind, shape, x, z) - depth, z, radius])


def _put_neighbour(
    points: np.ndarray, right: np.ndarray, forward: np.ndarray, side: int
) -> np.ndarray:
    r = _NEIGHBOUR_RADIUS
    ahead = np.array([forward[0], 0.0, forward[2]])
    ahead /= np.linalg.norm(ahead)
    reach = (side * (points @ right)).max()
    place = side * (reach + 0.95 * r) * right - 0.15 * ahead
    return np.array([place[0], r, place[2], r])


def _fit_camera(
    scene: Scene, toy: np.ndarray, everything: np.ndarray, frame: np.ndarray
) -> tuple[np.ndarray, Three]:
    """Eye and lens of Stage: far enough for the camera's `fill`, shifted so that all is centred."""
    focal = 1 / math.tan(math.radians(scene.camera.fov) / 2)
    middle = (everything.min(0) + everything.max(0)) / 2
    near_toy, near_all = (toy - middle) @ frame.T, (everything - middle) @ frame.T
    distance = 4.0
    for _ in range(4):
        of_toy = np.ptp(_project(near_toy, distance, focal), 0).max()
        of_all = np.ptp(_project(near_all, distance, focal), 0).max()
        distance *= max(of_toy / scene.camera.fill, of_all / _MOST_FILL) / 2
    seen = _project(near_all, distance, focal)
    centre = (seen.min(0) + seen.max(0)) / 2
    room = 1 - np.ptp(seen, 0) / 2
    shift = centre - np.clip(2 * np.array(scene.camera.offset), -room, room)
    return middle - distance * frame[2], (focal, float(shift[0]), float(shift[1]))


def _project(points: np.ndarray, distance: float, focal: float) -> np.ndarray:
    return focal * points[:, :2] / (points[:, 2:] + distance)
