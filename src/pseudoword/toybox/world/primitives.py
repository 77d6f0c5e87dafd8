"""Signed distances of simple bodies (Hart 1996, "Sphere tracing"); the unit is the toy's unit.

Each takes the point relative to the body's own origin. Distances are exact or lower bounds except
for the ellipsoid, which is estimated to first order.
"""

import math

from pseudoword.toybox.world.compiled import compiled


@compiled
def sphere(x: float, y: float, z: float, r: float) -> float:
    return math.sqrt(x * x + y * y + z * z) - r


@compiled
def ellipsoid(x: float, y: float, z: float, a: float, b: float, c: float) -> float:
    k = math.sqrt((x / a) ** 2 + (y / b) ** 2 + (z / c) ** 2)
    slope = math.sqrt((x / (a * a)) ** 2 + (y / (b * b)) ** 2 + (z / (c * c)) ** 2)
    if slope < 1e-9:
        return -min(a, b, c)
    return k * (k - 1.0) / slope


@compiled
def box(x: float, y: float, z: float, a: float, b: float, c: float, rounding: float) -> float:
    """Half sides a, b, c, edges rounded within them."""
    dx = abs(x) - a + rounding
    dy = abs(y) - b + rounding
    dz = abs(z) - c + rounding
    ex, ey, ez = max(dx, 0.0), max(dy, 0.0), max(dz, 0.0)
    return math.sqrt(ex * ex + ey * ey + ez * ez) + min(max(dx, dy, dz), 0.0) - rounding


@compiled
def cylinder(x: float, y: float, z: float, r: float, h: float, rounding: float) -> float:
    """Along y, half height h."""
    dr = math.sqrt(x * x + z * z) - r + rounding
    dy = abs(y) - h + rounding
    er, ey = max(dr, 0.0), max(dy, 0.0)
    return math.sqrt(er * er + ey * ey) + min(max(dr, dy), 0.0) - rounding


@compiled
def frustum(x: float, y: float, z: float, low: float, high: float, h: float) -> float:
    """A cone along y cut at half height h: radius `low` at -h and `high` at h."""
    q = math.sqrt(x * x + z * z)
    k2x, k2y = high - low, 2.0 * h
    limit = low if y < 0.0 else high
    ax, ay = q - min(q, limit), abs(y) - h
    t = ((high - q) * k2x + (h - y) * k2y) / (k2x * k2x + k2y * k2y)
    t = min(max(t, 0.0), 1.0)
    bx, by = q - high + k2x * t, y - h + k2y * t
    sign = -1.0 if bx < 0.0 and ay < 0.0 else 1.0
    return sign * math.sqrt(min(ax * ax + ay * ay, bx * bx + by * by))


@compiled
def capsule(
    x: float, y: float, z: float,
    ax: float, ay: float, az: float,
    bx: float, by: float, bz: float,
    ra: float, rb: float,
) -> float:  # fmt: skip
    """From a to b, the radius going from ra to rb."""
    dx, dy, dz = bx - ax, by - ay, bz - az
    t = ((x - ax) * dx + (y - ay) * dy + (z - az) * dz) / (dx * dx + dy * dy + dz * dz)
    t = min(max(t, 0.0), 1.0)
    ex, ey, ez = x - ax - t * dx, y - ay - t * dy, z - az - t * dz
    return math.sqrt(ex * ex + ey * ey + ez * ez) - (ra + t * (rb - ra))


@compiled
def ring(x: float, y: float, z: float, major: float, minor: float) -> float:
    """A torus about the z axis."""
    q = math.sqrt(x * x + y * y) - major
    return math.sqrt(q * q + z * z) - minor


@compiled
def blend(a: float, b: float, k: float) -> float:
    """A union with a soft seam of width k (Quilez, polynomial smooth minimum)."""
    h = max(k - abs(a - b), 0.0) / k
    return min(a, b) - h * h * k * 0.25
