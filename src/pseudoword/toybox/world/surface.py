"""What a point of a scene looks like: material, colour and light, compiled."""

import math

from pseudoword.toybox.world.compiled import jit
from pseudoword.toybox.world.packed import (
    ANGLE,
    BODY_RGB,
    DETAIL,
    DETAIL_AT,
    DETAIL_SIZE,
    GROUND,
    HAS_HAT,
    HAS_NEIGHBOUR,
    HAT,
    HAT_RGB,
    KIND,
    NEIGHBOUR,
    NEIGHBOUR_RGB,
    PATTERN,
    PHASE,
    SCALE,
    SECOND_RGB,
    SETTING,
    SHAPE,
    SUN_STRENGTH,
    TRIM_RGB,
)
from pseudoword.toybox.world.settings import LIGHTS
from pseudoword.toybox.world.shapes import BODY, SECOND, TRIM, cylinder, toy_distance
from pseudoword.toybox.world.stage import (
    CENTRE,
    HAT_AT,
    HAT_RADIUS,
    HEIGHT,
    NEIGHBOUR_AT,
    NEIGHBOUR_RADIUS,
    REACH,
    SUN,
)


@jit
def nearest_object(code, number, stage, x, y, z):
    """(distance, material) of toy, hat and neighbour at a point."""
    d, m = toy_distance(code[KIND], x, y, z, number[SHAPE:])
    if code[HAS_HAT]:
        a, b, c = x - stage[HAT_AT], y - stage[HAT_AT + 1], z - stage[HAT_AT + 2]
        e = _hat_distance(a, b, c, stage[HAT_RADIUS])
        if e < d:
            d, m = e, HAT
    if code[HAS_NEIGHBOUR]:
        a, b, c = x - stage[NEIGHBOUR_AT], y - stage[NEIGHBOUR_AT + 1], z - stage[NEIGHBOUR_AT + 2]
        e = math.sqrt(a * a + b * b + c * c) - stage[NEIGHBOUR_RADIUS]
        if e < d:
            d, m = e, NEIGHBOUR
    return d, m


@jit
def _hat_distance(x, y, z, r):
    d = cylinder(x, y - 0.08 * r, z, r, 0.08 * r)
    return min(d, cylinder(x, y - 0.55 * r, z, 0.62 * r, 0.5 * r))


@jit
def normal(code, number, stage, x, y, z):
    """The unit normal of the objects' surface near a point: the gradient of the distance."""
    e = 0.008
    d0, _m = nearest_object(code, number, stage, x, y, z)
    d1, _m = nearest_object(code, number, stage, x + e, y, z)
    d2, _m = nearest_object(code, number, stage, x, y + e, z)
    d3, _m = nearest_object(code, number, stage, x, y, z + e)
    nx, ny, nz = d1 - d0, d2 - d0, d3 - d0
    k = 1 / max(math.sqrt(nx * nx + ny * ny + nz * nz), 1e-9)
    return nx * k, ny * k, nz * k


@jit
def paint(code, number, stage, m, x, y, z):
    """The colour of an object's own material at a point."""
    at = BODY_RGB
    if m == SECOND or (m == BODY and _is_second(code, number, x, y, z, stage[HEIGHT])):
        at = SECOND_RGB
    elif m == TRIM:
        at = TRIM_RGB
    elif m == HAT:
        at = HAT_RGB
    elif m == NEIGHBOUR:
        at = NEIGHBOUR_RGB
    return number[at], number[at + 1], number[at + 2]


@jit
def _is_second(code, number, x, y, z, height):
    """Whether a body point shows the second colour: pattern or detail, in object space."""
    kind = code[DETAIL]
    at, size = number[DETAIL_AT], number[DETAIL_SIZE]
    level = y / height
    if kind == 1 and abs(level - 0.5 - 0.6 * at) < 0.2 * size:
        return True
    if kind == 2 and level < 0.3 + 0.25 * at:
        return True
    if kind == 3:
        a, b, c = x - at, level - 0.5, z - 0.7
        if a * a + b * b * 4 + c * c * 0.3 < size * size:
            return True
    pattern = code[PATTERN]
    if pattern == 0:
        return False
    s = 2.3 / number[SCALE]
    co, si = math.cos(number[ANGLE]), math.sin(number[ANGLE])
    px, py, pz = (co * x - si * y) * s, (si * x + co * y) * s + number[PHASE], z * s
    if pattern == 1:
        return (py * 0.9) % 1.0 < 0.36
    if pattern == 2:
        fx, fy, fz = px % 1.0 - 0.5, py % 1.0 - 0.5, pz % 1.0 - 0.5
        return fx * fx + fy * fy + fz * fz < 0.16
    if (math.floor(px) + math.floor(py) + math.floor(pz)) % 2 == 1:
        return False
    # Checks leave a seam of the body's colour, so that it is the body's colour that prevails.
    return max(abs(px % 1.0 - 0.5), abs(py % 1.0 - 0.5), abs(pz % 1.0 - 0.5)) < 0.42


@jit
def key_light(code, number, stage, x, y, z, nx, ny, nz):
    """What a point gets of the sun's light: the cosine of its angle, less what is in shadow."""
    lx, ly, lz = stage[SUN], stage[SUN + 1], stage[SUN + 2]
    key = max(nx * lx + ny * ly + nz * lz, 0.0)
    # A ray to the light that misses the sphere around everything is free.
    px, py, pz = x - stage[CENTRE], y - stage[CENTRE + 1], z - stage[CENTRE + 2]
    q = px * lx + py * ly + pz * lz
    near = px * px + py * py + pz * pz - q * q < (stage[REACH] + 0.25) ** 2
    if key > 0 and near:
        key *= _unshadowed(code, number, stage, x + nx * 0.02, y + ny * 0.02, z + nz * 0.02)
    return key * number[SUN_STRENGTH] * 0.78


@jit
def _unshadowed(code, number, stage, x, y, z):
    """Share of the key light that reaches a point, soft (penumbra from the nearest miss)."""
    light, t = 1.0, 0.08
    for _ in range(22):
        a, b, c = x + stage[SUN] * t, y + stage[SUN + 1] * t, z + stage[SUN + 2] * t
        d, _m = nearest_object(code, number, stage, a, b, c)
        if d < 0.004:
            return 0.0
        light = min(light, 9.0 * d / t)
        t += max(d, 0.05)
        if t > 4.5:
            break
    return light


@jit
def lit(code, stage, m, rgb, key, y, nx, ny, nz, dx, dy, dz):
    """The colour `rgb` under key light, sky light and, on objects, gloss and a bright rim.

    (nx, ny, nz) is the surface's normal and (dx, dy, dz) the ray that sees it.
    """
    lights = LIGHTS[code[SETTING]]
    sky = 0.75 + 0.25 * ny
    gloss = rim = 0.0
    if m != GROUND:
        sky *= 0.8 + 0.2 * min(y / 0.4, 1.0)
        gx, gy, gz = stage[SUN] - dx, stage[SUN + 1] - dy, stage[SUN + 2] - dz
        k = 1 / math.sqrt(gx * gx + gy * gy + gz * gz)
        g = max((nx * gx + ny * gy + nz * gz) * k, 0.0)
        gloss = 0.22 * g**28 * min(key * 2, 1.0)
        f = 1.0 + (nx * dx + ny * dy + nz * dz)
        rim = 0.16 * f * f * f
    return (
        rgb[0] * (key * lights[0] + sky * lights[3]) + gloss + rim * lights[3],
        rgb[1] * (key * lights[1] + sky * lights[4]) + gloss + rim * lights[4],
        rgb[2] * (key * lights[2] + sky * lights[5]) + gloss + rim * lights[5],
    )
