"""A scene as the numbers that the renderer works on, with the camera fitted to the toy."""

import math
from typing import NamedTuple

import numpy as np
from numba import njit

from pseudoword.toybox.world.scene import FRONT_AZIMUTH, Scene
from pseudoword.toybox.world.settings import LIGHTS, WATER
from pseudoword.toybox.world.shapes import hat_distance, hat_place, toy_distance
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
_SUNK = {"boat": 0.10}
_WATERLINE = 0.16
"""How deep toys stand in the water, in units; boats float higher."""
_FRONT = np.radians([FRONT_AZIMUTH[name] for name in CLASSES])


class Stage(NamedTuple):
    """Arrays and numbers for compiled code. Vectors are (x, y, z), y up, in the toy's units."""

    kind: int
    shape: np.ndarray
    colours: np.ndarray
    """(7, 3): body, second, trim, hat, neighbour, detail, and the main light."""
    ambient: np.ndarray
    pattern: int
    detail: int
    paint: np.ndarray
    """Pattern scale, angle, phase; detail place, size; the front's azimuth (radians)."""
    box: np.ndarray
    """The toy's x0, x1, y0, y1, z0, z1."""
    hat: np.ndarray
    """Brim's x, y, z and radius; radius 0: no hat."""
    ball: np.ndarray
    """The neighbour's x, y, z and radius; radius 0: none."""
    camera: np.ndarray
    """(5, 3): position, right, up, forward, and (focal length, shift right, shift up)."""
    light: np.ndarray
    """Unit vector towards the main light."""
    setting: int
    seed: int
    yaw: float
    """The azimuth (radians) from which the stage is seen straight on."""
    floor: float
    """The ground's height."""


@njit(cache=True, nogil=True)
def surface_points(kind: int, shape: np.ndarray) -> np.ndarray:
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


@njit(cache=True, nogil=True)
def _hat_height(kind: int, shape: np.ndarray, x: float, z: float) -> float:
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
    toy = scene.toy
    kind, shape = CLASSES.index(toy.class_noun), np.array(toy.shape)
    points = surface_points(kind, shape)
    low, high = points.min(0) - 0.06, points.max(0) + 0.06
    right, up, forward = _axes(scene.camera.azimuth, scene.camera.elevation)
    everything, hat, ball = [points], np.zeros(4), np.zeros(4)
    if scene.hat is not None:
        hat = _put_hat(kind, shape)
        everything.append(hat[:3] + hat[3] * _HAT_OUTLINE)
    if scene.neighbour is not None:
        ball = _put_neighbour(points, right, forward, scene.neighbour_side)
        everything.append(ball[:3] + 0.5 * ball[3] * np.stack([right, -right, up, -up]))
    camera = _fit_camera(scene, points, np.concatenate(everything), right, up, forward)
    setting = list(SETTINGS).index(scene.setting)
    ambient, sun = LIGHTS[setting, :3], LIGHTS[setting, 3:] * scene.light.strength
    plain = np.zeros(3)
    colours = np.array(
        [
            toy.body,
            toy.second,
            toy.trim,
            plain if scene.hat is None else COLOURS[scene.hat],
            plain if scene.neighbour is None else COLOURS[scene.neighbour],
            toy.detail_rgb,
            sun,
        ]
    )
    paint = np.array(
        [
            toy.pattern_scale,
            toy.pattern_angle,
            toy.pattern_phase,
            toy.detail_place,
            toy.detail_size,
            _FRONT[kind],
        ]
    )
    wobble = (scene.setting_seed % 61 - 30) / 120
    return Stage(
        kind=kind,
        shape=shape,
        colours=colours,
        ambient=ambient,
        pattern=PATTERNS.index(toy.pattern),
        detail=DETAILS.index(toy.detail),
        paint=paint,
        box=np.stack([low, high], 1).ravel(),
        hat=hat,
        ball=ball,
        camera=camera,
        light=_towards(scene.camera.azimuth + scene.light.azimuth, scene.light.elevation),
        setting=setting,
        seed=scene.setting_seed,
        yaw=math.radians(scene.camera.azimuth) + wobble,
        floor=_SUNK.get(toy.class_noun, _WATERLINE) if setting == WATER else 0.0,
    )


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


def _put_hat(kind: int, shape: np.ndarray) -> np.ndarray:
    x, z, radius, depth = hat_place(kind, shape)
    return np.array([x, _hat_height(kind, shape, x, z) - depth, z, radius])


def _put_neighbour(
    points: np.ndarray, right: np.ndarray, forward: np.ndarray, side: int
) -> np.ndarray:
    r = _NEIGHBOUR_RADIUS
    ahead = np.array([forward[0], 0.0, forward[2]])
    ahead /= np.linalg.norm(ahead)
    low = points[points[:, 1] < 2.2 * r]
    reach = (side * (low @ right)).max()
    place = side * (reach + 1.05 * r) * right - 0.15 * ahead
    return np.array([place[0], r, place[2], r])


def _fit_camera(
    scene: Scene,
    toy: np.ndarray,
    everything: np.ndarray,
    right: np.ndarray,
    up: np.ndarray,
    forward: np.ndarray,
) -> np.ndarray:
    """The camera's rows of Stage: far enough for `fill`, shifted so that all is centred."""
    focal = 1 / math.tan(math.radians(scene.camera.fov) / 2)
    middle = (everything.min(0) + everything.max(0)) / 2
    frame = np.stack([right, up, forward], 1)
    near_toy, near_all = (toy - middle) @ frame, (everything - middle) @ frame
    distance = 4.0
    for _ in range(4):
        of_toy, of_all = (_spans(p, distance, focal) for p in (near_toy, near_all))
        wanted = max(np.ptp(of_toy, 0).max() / scene.camera.fill, np.ptp(of_all, 0).max() / _MOST_FILL)
        distance *= wanted / 2
    projected = _spans(near_all, distance, focal)
    centre = (projected.min(0) + projected.max(0)) / 2
    room = 1 - np.ptp(projected, 0) / 2
    shift = centre - np.clip(2 * np.array(scene.camera.offset), -room, room)
    return np.stack(
        [middle - distance * forward, right, up, forward, np.array([focal, shift[0], shift[1]])]
    )


def _spans(points: np.ndarray, distance: float, focal: float) -> np.ndarray:
    return focal * points[:, :2] / (points[:, 2:] + distance)
