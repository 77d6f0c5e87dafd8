"""What is painted on a toy's body: the pattern, and details that no caption can say."""

import math

from pseudoword.toybox.world.compiled import compiled
from pseudoword.toybox.world.solid import Box

ROUND = (True, False, True, True, False, False, False, False, False, False, True, True, True, True,
         False, True)  # fmt: skip
"""Per class of CLASSES: whether patterns run around the y axis rather than along flat faces."""

_RADIUS = 0.55
"""Units of length that one radian around a round toy counts as."""


@compiled
def surface_point(
    around: bool, x: float, y: float, z: float, nx: float, ny: float, nz: float
) -> tuple[float, float]:
    """Pattern coordinates (u, v) in units of length at a point with a normal; v is up."""
    ax, ay, az = abs(nx), abs(ny), abs(nz)
    if around:
        if ay > 0.92:
            return x, z
        return math.atan2(x, z) * _RADIUS, y
    if ay > ax and ay > az:
        return x, z
    if ax > az:
        return z, y
    return x, y


@compiled
def step_up(edge: float, width: float, value: float) -> float:
    """0 below `edge`, 1 above, with a soft flank of `width` around it."""
    t = min(max((value - edge) / width + 0.5, 0.0), 1.0)
    return t * t * (3.0 - 2.0 * t)


@compiled
def pattern_weight(
    pattern: int, u: float, v: float, scale: float, angle: float, phase: float
) -> float:
    """The share of the second colour at (u, v), in [0, 1]; `pattern` indexes PATTERNS."""
    if pattern == 0:
        return 0.0
    c, s = math.cos(angle), math.sin(angle)
    if pattern == 1:
        wave = math.sin(2 * math.pi * ((v * c + u * s) * scale + phase))
        return step_up(0.0, 0.5, wave)
    if pattern == 2:
        # Rows of spots, every other row set half a step aside.
        a = (u * c - v * s) * scale * 0.95 + phase
        b = (u * s + v * c) * scale * 1.1 + phase
        row = math.floor(b)
        a += 0.5 * (row % 2)
        da, db = (a - math.floor(a) - 0.5) / 0.95, (b - row - 0.5) / 1.1
        return 1.0 - step_up(0.33, 0.1, math.sqrt(da * da + db * db))
    a = math.sin(math.pi * ((u * c * 0.99 - v * s) * scale * 1.15 + phase))
    b = math.sin(math.pi * ((u * s + v * c) * scale * 1.15 + phase))
    return step_up(0.0, 0.3, a * b * 2.0)


@compiled
def detail_weight(
    detail: int, x: float, y: float, z: float, facing: float, place: float, size: float,
    box: Box, azimuth: float,
) -> float:  # fmt: skip
    """The share of the detail's colour at a point, in [0, 1]; `detail` indexes DETAILS.

    `box` is the toy's (x0, x1, y0, y1, z0, z1); `azimuth` (radians) is its front; `facing` is the
    cosine between the surface's normal and that front.
    """
    if detail == 0:
        return 0.0
    tall = box[3] - box[2]
    height = (y - box[2]) / tall
    right = math.cos(azimuth) * (x - 0.5 * (box[0] + box[1])) - math.sin(azimuth) * (
        z - 0.5 * (box[4] + box[5])
    )
    soft = 0.04
    if detail == 1:
        return 1.0 - step_up(0.09 + 0.07 * size, soft, abs(height - place))
    if detail == 2:
        return 1.0 - step_up(0.05 + 0.02 * size, soft, abs(abs(height - place) - 0.15))
    if detail == 3:
        return step_up(place, soft, height)
    if detail == 4:
        return step_up((place - 0.5) * tall, soft * tall, right)
    if detail == 5:
        across = right / tall - 0.3 * (size - 0.5)
        up = height - place
        distance = math.sqrt(across * across + up * up)
        return (1.0 - step_up(0.17 + 0.07 * size, soft, distance)) * step_up(0.0, 0.1, facing)
    slant = (right * 0.7 + (y - box[2] - place * tall) * (1.0 if size > 0.5 else -1.0)) / tall
    return 1.0 - step_up(0.1, soft, abs(slant))
