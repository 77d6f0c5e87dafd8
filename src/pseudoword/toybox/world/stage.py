"""Where everything stands: hat, neighbour, camera and sun of a scene, compiled.

The camera backs off until toy, hat and neighbour fill the asked share of the frame.
"""

import math

import numpy as np

from pseudoword.toybox.world.compiled import jit
from pseudoword.toybox.world.packed import (
    AZIMUTH,
    ELEVATION,
    FILL,
    HAS_HAT,
    HAS_NEIGHBOUR,
    KIND,
    OFFSET_X,
    OFFSET_Y,
    SETTING,
    SHAPE,
    SIDE,
    SUN_AZIMUTH,
    SUN_ELEVATION,
)
from pseudoword.toybox.world.shapes import TRIM, toy_distance

FIELD_OF_VIEW = math.radians(32.0)
HALF = math.tan(FIELD_OF_VIEW / 2)
GRID = 18
DOG, WATER = 6, 11

# Places in a stage, a row of numbers. Vectors take three; the axes are the camera's own, `BACK`
# pointing from the toy to the camera; the sphere of radius `REACH` at `CENTRE` holds all objects.
(EYE, RIGHT, UP, BACK, SUN, CENTRE) = range(0, 18, 3)
(REACH, SEA_LEVEL, HEIGHT) = range(18, 21)
(HAT_AT, HAT_RADIUS, NEIGHBOUR_AT, NEIGHBOUR_RADIUS) = (21, 24, 25, 28)
LENGTH = 29


@jit
def set_stage(code, number):
    """The stage (LENGTH,) of a packed scene."""
    stage = np.zeros(LENGTH)
    points, hx, hy, hz = _surface_points(code[KIND], number[SHAPE:])
    _turn_camera(number, stage)
    box = _bounds(points, stage)
    stage[HEIGHT] = points[:, 1].max()
    toy_radius = max(box[1] - box[0], box[3] - box[2]) / 2
    if code[HAS_HAT]:
        _put_hat(hx, hy, hz, 0.42 * toy_radius, stage, box)
    if code[HAS_NEIGHBOUR]:
        _put_neighbour(number[SIDE], 0.40 * toy_radius, stage, box)
    _move_camera(number, stage, box)
    stage[REACH] = _reach(code, points, stage)
    stage[SEA_LEVEL] = 0.16 * stage[HEIGHT] if code[SETTING] == WATER else 0.0
    return stage


@jit
def _surface_points(kind, shape):
    """Grid points near the surface (m, 3) and the anchor for a hat: the highest of them."""
    points = np.empty((GRID**3, 3))
    count = 0
    top = -1.0
    hx, hz, tops = 0.0, 0.0, 0
    step = 4.4 / (GRID - 1)
    for i in range(GRID):
        for j in range(GRID):
            for k in range(GRID):
                x, y, z = -2.2 + step * i, (j + 0.5) * 3.8 / GRID, -2.2 + step * k
                d, m = toy_distance(kind, x, y, z, shape)
                if d < 0.09:
                    points[count] = x, y, z
                    count += 1
                    # A dog wears its hat on the head, not on the ears.
                    if m != TRIM or kind != DOG:
                        if y > top + 1e-9:
                            top, hx, hz, tops = y, 0.0, 0.0, 0
                        if y > top - 1e-9:
                            hx, hz, tops = hx + x, hz + z, tops + 1
    hx, hz = hx / max(tops, 1), hz / max(tops, 1)
    y = top + 0.45
    for _ in range(40):
        d, _m = toy_distance(kind, hx, y, hz, shape)
        if d < 0.01:
            break
        y -= d * 0.9
    return points[:count], hx, max(y, 0.3), hz


@jit
def _turn_camera(number, stage):
    """The camera's axes, and the way to the sun, which turns with the camera."""
    sa, ca = math.sin(number[AZIMUTH]), math.cos(number[AZIMUTH])
    se, ce = math.sin(number[ELEVATION]), math.cos(number[ELEVATION])
    stage[RIGHT : RIGHT + 3] = (ca, 0.0, -sa)
    stage[UP : UP + 3] = (-sa * se, ce, -ca * se)
    stage[BACK : BACK + 3] = (sa * ce, se, ca * ce)
    azimuth = number[AZIMUTH] + number[SUN_AZIMUTH]
    level = math.cos(number[SUN_ELEVATION])
    height = math.sin(number[SUN_ELEVATION])
    stage[SUN : SUN + 3] = (math.sin(azimuth) * level, height, math.cos(azimuth) * level)


@jit
def _bounds(points, stage):
    """(left, right, bottom, top, nearest) of the points along the camera's axes."""
    box = np.array([1e9, -1e9, 1e9, -1e9, -1e9])
    for point in points:
        u, v, w = _along(stage, RIGHT, point), _along(stage, UP, point), _along(stage, BACK, point)
        box[0], box[1] = min(box[0], u), max(box[1], u)
        box[2], box[3] = min(box[2], v), max(box[3], v)
        box[4] = max(box[4], w)
    return box


@jit
def _along(stage, axis, point):
    return stage[axis] * point[0] + stage[axis + 1] * point[1] + stage[axis + 2] * point[2]


@jit
def _put_hat(x, y, z, radius, stage, box):
    stage[HAT_AT : HAT_AT + 3] = (x, y, z)
    stage[HAT_RADIUS] = radius
    top = stage[UP] * x + stage[UP + 1] * (y + 1.05 * radius) + stage[UP + 2] * z
    box[3] = max(box[3], top)


@jit
def _put_neighbour(side, radius, stage, box):
    """A ball on the ground beside the toy, a little nearer to the camera."""
    u = box[1] + 0.95 * radius if side > 0 else box[0] - 0.95 * radius
    stage[NEIGHBOUR_AT] = stage[RIGHT] * u + stage[BACK] * 0.3
    stage[NEIGHBOUR_AT + 1] = radius
    stage[NEIGHBOUR_AT + 2] = stage[RIGHT + 2] * u + stage[BACK + 2] * 0.3
    stage[NEIGHBOUR_RADIUS] = radius
    if side > 0:
        box[1] += 1.3 * radius
    else:
        box[0] -= 1.3 * radius


@jit
def _move_camera(number, stage, box):
    """The centre of the bounding box sits in the middle of the frame but for the offset."""
    across, upward = (box[0] + box[1]) / 2, (box[2] + box[3]) / 2
    radius = max(box[1] - box[0], box[3] - box[2]) / 2
    distance = radius / (number[FILL] * HALF) + box[4] * 0.5
    for axis in range(3):
        right, up, back = stage[RIGHT + axis], stage[UP + axis], stage[BACK + axis]
        stage[CENTRE + axis] = right * across + up * upward
        aside = right * number[OFFSET_X] + up * number[OFFSET_Y]
        stage[EYE + axis] = stage[CENTRE + axis] + (back - aside * 2 * HALF) * distance
    # A low camera never goes under the ground.
    stage[EYE + 1] = max(stage[EYE + 1], 0.25)


@jit
def _reach(code, points, stage):
    """The radius of the sphere around all objects."""
    reach = 0.0
    for point in points:
        reach = max(reach, _distance(stage, point))
    if code[HAS_HAT]:
        hat = _distance(stage, stage[HAT_AT : HAT_AT + 3])
        reach = max(reach, hat + 1.3 * stage[HAT_RADIUS])
    if code[HAS_NEIGHBOUR]:
        neighbour = _distance(stage, stage[NEIGHBOUR_AT : NEIGHBOUR_AT + 3])
        reach = max(reach, neighbour + stage[NEIGHBOUR_RADIUS])
    return reach + 0.12


@jit
def _distance(stage, point):
    x, y, z = point[0] - stage[CENTRE], point[1] - stage[CENTRE + 1], point[2] - stage[CENTRE + 2]
    return math.sqrt(x * x + y * y + z * z)
