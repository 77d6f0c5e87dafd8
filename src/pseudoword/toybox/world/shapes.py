"""Signed distance functions of the sixteen toys, compiled.

Every toy stands on y = 0, y up, its front towards +z. A function takes a point and the shape
parameters (each in [-1, 1]) and returns (distance, material); materials are BODY (patterned),
SECOND and TRIM. Primitives follow the usual closed forms of implicit modelling.
"""

import math

from pseudoword.toybox.world.compiled import inlined, jit

BODY, SECOND, TRIM = 0, 1, 2


@jit
def sphere(x, y, z, r):
    return math.sqrt(x * x + y * y + z * z) - r


@jit
def ellipsoid(x, y, z, a, b, c):
    k0 = math.sqrt((x / a) ** 2 + (y / b) ** 2 + (z / c) ** 2)
    k1 = math.sqrt((x / a / a) ** 2 + (y / b / b) ** 2 + (z / c / c) ** 2)
    return k0 * (k0 - 1.0) / max(k1, 1e-6)


@jit
def box(x, y, z, a, b, c, r):
    dx, dy, dz = abs(x) - a + r, abs(y) - b + r, abs(z) - c + r
    ox, oy, oz = max(dx, 0.0), max(dy, 0.0), max(dz, 0.0)
    return math.sqrt(ox * ox + oy * oy + oz * oz) + min(max(dx, max(dy, dz)), 0.0) - r


@jit
def cylinder(x, y, z, r, h):
    """Along y, centred, half height h."""
    dx, dy = math.sqrt(x * x + z * z) - r, abs(y) - h
    ox, oy = max(dx, 0.0), max(dy, 0.0)
    return min(max(dx, dy), 0.0) + math.sqrt(ox * ox + oy * oy)


@jit
def frustum(x, y, z, r1, r2, h):
    """Along y, centred, radius r1 at the bottom and r2 at the top, half height h."""
    q = math.sqrt(x * x + z * z)
    t = min(max((y + h) / (2 * h), 0.0), 1.0)
    r = r1 + (r2 - r1) * t
    slope = (r1 - r2) / (2 * h)
    d = (q - r) / math.sqrt(1 + slope * slope)
    return max(d, abs(y) - h)


@jit
def torus(x, y, z, r, t):
    """In the x-y plane."""
    q = math.sqrt(x * x + y * y) - r
    return math.sqrt(q * q + z * z) - t


@jit
def capsule(x, y, z, ax, ay, az, bx, by, bz, r1, r2):
    px, py, pz = x - ax, y - ay, z - az
    dx, dy, dz = bx - ax, by - ay, bz - az
    h = min(max((px * dx + py * dy + pz * dz) / (dx * dx + dy * dy + dz * dz), 0.0), 1.0)
    qx, qy, qz = px - dx * h, py - dy * h, pz - dz * h
    return math.sqrt(qx * qx + qy * qy + qz * qz) - (r1 + (r2 - r1) * h)


@inlined
def nearer(d, m, e, n):
    if e < d:
        return e, n
    return d, m


@jit
def ball(x, y, z, s):
    r = 0.95
    d, m = ellipsoid(x, y - r, z, r, r * (1 + 0.08 * s[0]), r), BODY
    if s[1] > 0.0:
        d, m = nearer(d, m, torus(x, z, y - r, r * 0.99, 0.07 + 0.05 * s[1]), TRIM)
    return d, m


@jit
def cube(x, y, z, s):
    a, b, c = 0.8 * (1 + 0.2 * s[0]), 0.8 * (1 + 0.2 * s[1]), 0.8 * (1 + 0.15 * s[2])
    d, m = box(x, y - b, z, a, b, c, 0.06 + 0.05 * s[3]), BODY
    e = box(x, y - 2 * b, z, a * 0.45, 0.08 + 0.06 * s[4], c * 0.45, 0.02)
    return nearer(d, m, e, TRIM)


@jit
def mug(x, y, z, s):
    r, h = 0.66 + 0.12 * s[0], 0.8 + 0.15 * s[1]
    d = cylinder(x, y - h, z, r, h) - 0.02
    d = max(d, -cylinder(x, y - h - 0.15, z, r - 0.12, h))
    m = BODY
    q = 0.36 + 0.12 * s[2]
    e = torus(x - r - 0.05, (y - h) * (1 - 0.2 * s[3]), z, q, 0.1 + 0.03 * s[4])
    e = max(e, -(x - r + 0.06))
    d, m = nearer(d, m, e, TRIM)
    rim = torus(x, z, y - 2 * h, r - 0.05, 0.07)
    return nearer(d, m, rim, TRIM)


@jit
def bottle(x, y, z, s):
    r, h = 0.5 + 0.1 * s[0], 0.7 + 0.12 * s[1]
    n = 0.17 + 0.05 * s[2]
    d, m = cylinder(x, y - h, z, r, h), BODY
    sh = 0.2 + 0.08 * s[3]
    d, m = nearer(d, m, frustum(x, y - 2 * h - sh, z, r, n, sh), BODY)
    top = 2 * h + 2 * sh
    nl = 0.2 + 0.08 * s[4]
    d, m = nearer(d, m, cylinder(x, y - top - nl, z, n, nl), SECOND)
    d, m = nearer(d, m, cylinder(x, y - top - 2 * nl, z, n + 0.06, 0.13), TRIM)
    return d, m


@jit
def car(x, y, z, s):
    length, w, h = 1.25 + 0.15 * s[0], 0.58 + 0.08 * s[1], 0.3 + 0.05 * s[2]
    r = 0.3 + 0.06 * s[3]
    base = r + 0.05
    d, m = box(x, y - base - h, z, length, h, w, 0.1), BODY
    cl = 0.62 + 0.15 * s[4]
    e = box(x + 0.15 + 0.2 * s[5], y - base - 2 * h - 0.25, z, cl, 0.34, w * 0.85, 0.12)
    d, m = nearer(d, m, e, SECOND)
    qx = abs(x) - length * 0.62
    e = cylinder(qx, z * 0 + abs(z) - w, y - r, r, 0.12)
    return nearer(d, m, e, TRIM)


@jit
def house(x, y, z, s):
    w, h, c = 0.78 + 0.12 * s[0], 0.55 + 0.14 * s[1], 0.7 + 0.1 * s[2]
    d, m = box(x, y - h, z, w, h, c, 0.02), BODY
    rh = 0.55 + 0.2 * s[3]
    over = 0.16
    t = y - 2 * h
    slope = (w + over) / rh
    e = max((abs(x) + t * slope - (w + over)) / math.sqrt(1 + slope * slope), abs(z) - c - over)
    e = max(e, -t)
    d, m = nearer(d, m, e, TRIM)
    e = box(x + 0.25 * s[4], y - 0.36, z - c, 0.18, 0.38, 0.05, 0.01)
    d, m = nearer(d, m, e, SECOND)
    e = box(x - w * 0.55, y - 2 * h - rh * 0.6, z, 0.13, 0.4, 0.13, 0.01)
    return nearer(d, m, e, SECOND)


@jit
def dog(x, y, z, s):
    leg = 0.5 + 0.14 * s[0]
    r = 0.36 + 0.07 * s[1]
    length = 0.6 + 0.12 * s[2]
    by = leg + r * 0.8
    d, m = capsule(x, y, z, -length, by, 0.0, length, by + 0.05, 0.0, r, r * 1.05), BODY
    hr = 0.38 + 0.07 * s[3]
    hx, hy = length + 0.3, by + 0.52
    d, m = nearer(d, m, sphere(x - hx, y - hy, z, hr), BODY)
    d, m = nearer(
        d, m, capsule(x, y, z, hx, hy - 0.08, 0.0, hx + 0.5, hy - 0.14, 0.0, 0.2, 0.15), SECOND
    )
    ear = 0.32 + 0.12 * s[4]
    az = abs(z)
    e = capsule(
        x,
        y,
        az,
        hx - 0.08,
        hy + 0.26,
        0.26,
        hx - 0.16,
        hy + 0.26 - ear * s[5],
        0.3 + ear * 0.6,
        0.13,
        0.09,
    )
    d, m = nearer(d, m, e, TRIM)
    e = capsule(abs(x) - length * 0.8, y, az, 0.0, leg, r * 0.6, 0.0, 0.1, r * 0.65, 0.14, 0.12)
    d, m = nearer(d, m, e, BODY)
    e = capsule(x, y, z, -length - 0.25, by + 0.15, 0.0, -length - 0.6, by + 0.6, 0.0, 0.1, 0.07)
    return nearer(d, m, e, TRIM)


@jit
def duck(x, y, z, s):
    a, b, c = 0.85 + 0.1 * s[0], 0.55 + 0.08 * s[1], 0.6 + 0.06 * s[2]
    d, m = ellipsoid(x, y - b, z, a, b, c), BODY
    hr = 0.4 + 0.07 * s[3]
    hx, hy = 0.5, 2 * b + hr * 0.7
    d, m = nearer(d, m, sphere(x - hx, y - hy, z, hr), BODY)
    bl = 0.34 + 0.12 * s[4]
    e = ellipsoid(x - hx - hr - bl * 0.5, y - hy + 0.06, z, bl, 0.11, 0.22)
    d, m = nearer(d, m, e, TRIM)
    e = capsule(x, y, z, -a * 0.8, b * 1.2, 0.0, -a - 0.25, b * 1.9, 0.0, 0.24, 0.06)
    d, m = nearer(d, m, e, BODY)
    e = ellipsoid(x + 0.12, y - b * 1.1, abs(z) - c * 0.9, 0.45, 0.26, 0.14)
    return nearer(d, m, e, SECOND)


@jit
def chair(x, y, z, s):
    w, leg = 0.6 + 0.1 * s[0], 0.62 + 0.14 * s[1]
    t = 0.1 + 0.03 * s[2]
    d, m = box(x, y - leg - t, z, w, t, w, 0.03), BODY
    bh = 0.62 + 0.18 * s[3]
    e = box(x, y - leg - 2 * t - bh, z + w - 0.09, w, bh, 0.1, 0.04)
    d, m = nearer(d, m, e, BODY)
    lr = 0.09 + 0.025 * s[4]
    e = cylinder(abs(x) - w + 0.12, y - leg * 0.5, abs(z) - w + 0.12, lr, leg * 0.5)
    return nearer(d, m, e, TRIM)


@jit
def robot(x, y, z, s):
    leg = 0.34 + 0.1 * s[0]
    w, h, c = 0.5 + 0.08 * s[1], 0.45 + 0.08 * s[2], 0.34
    d, m = box(x, y - 2 * leg - h, z, w, h, c, 0.04), BODY
    hw = 0.34 + 0.07 * s[3]
    hy = 2 * leg + 2 * h + 0.1 + hw * 0.8
    d, m = nearer(d, m, box(x, y - hy, z, hw, hw * 0.8, 0.3, 0.04), BODY)
    ax = abs(x)
    d, m = nearer(d, m, sphere(ax - hw * 0.45, y - hy - 0.04, z - 0.3, 0.11), SECOND)
    d, m = nearer(d, m, cylinder(ax - w * 0.5, y - leg, z, 0.15, leg), TRIM)
    e = capsule(
        ax,
        y,
        z,
        w + 0.08,
        2 * leg + 2 * h - 0.1,
        0.0,
        w + 0.25 + 0.1 * s[4],
        2 * leg + 0.2,
        0.15,
        0.12,
        0.12,
    )
    d, m = nearer(d, m, e, TRIM)
    e = capsule(x, y, z, 0.0, hy + hw * 0.8, 0.0, 0.0, hy + hw * 0.8 + 0.28, 0.0, 0.04, 0.09)
    return nearer(d, m, e, TRIM)


@jit
def mushroom(x, y, z, s):
    h, r = 0.45 + 0.12 * s[0], 0.26 + 0.07 * s[1]
    d, m = frustum(x, y - h, z, r * 1.25, r, h), TRIM
    a, b = 0.95 + 0.12 * s[2], 0.7 + 0.18 * s[3]
    e = max(ellipsoid(x, y - 2 * h + 0.05, z, a, b, a), -(y - 2 * h + 0.05))
    return nearer(d, m, e, BODY)


@jit
def lamp(x, y, z, s):
    d, m = cylinder(x, y - 0.08, z, 0.45 + 0.1 * s[0], 0.08), TRIM
    h = 0.6 + 0.12 * s[1]
    d, m = nearer(d, m, cylinder(x, y - h, z, 0.09 + 0.04 * s[5], h), TRIM)
    r1, r2, sh = 0.82 + 0.12 * s[2], 0.36 + 0.12 * s[3], 0.42 + 0.1 * s[4]
    d, m = nearer(d, m, frustum(x, y - 2 * h - sh + 0.15, z, r1, r2, sh), BODY)
    return d, m


@jit
def teapot(x, y, z, s):
    a, b = 0.78 + 0.08 * s[0], 0.62 + 0.1 * s[1]
    d, m = ellipsoid(x, y - b, z, a, b, a), BODY
    d, m = nearer(d, m, cylinder(x, y - 2 * b + 0.04, z, 0.34, 0.06), SECOND)
    d, m = nearer(d, m, sphere(x, y - 2 * b - 0.14, z, 0.13 + 0.03 * s[2]), TRIM)
    sl = 0.5 + 0.12 * s[3]
    e = capsule(x, y, z, a * 0.7, b * 0.8, 0.0, a + sl, b * 1.75, 0.0, 0.2, 0.1)
    d, m = nearer(d, m, e, BODY)
    q = 0.36 + 0.08 * s[4]
    e = max(torus(x + a + 0.08, y - b * 1.1, z, q, 0.09), x + a - 0.12)
    return nearer(d, m, e, TRIM)


@jit
def tree(x, y, z, s):
    t = 0.34 + 0.1 * s[0]
    d, m = cylinder(x, y - t, z, 0.19 + 0.06 * s[1], t), TRIM
    r, h = 0.92 + 0.14 * s[2], 0.36 + 0.06 * s[3]
    y0 = 2 * t - 0.05
    for i in range(3):
        k = 1.0 - (0.24 + 0.05 * s[4]) * i
        d, m = nearer(d, m, frustum(x, y - y0 - h, z, r * k, 0.06, h), BODY)
        y0 += h * 1.15
    return d, m


@jit
def boat(x, y, z, s):
    length, h, w = 1.1 + 0.15 * s[0], 0.3 + 0.06 * s[1], 0.5 + 0.08 * s[2]
    d = max(ellipsoid(x, y - 2 * h, z, length, 2 * h, w), y - 2 * h)
    d = max(d, -ellipsoid(x, y - 2 * h, z, length - 0.12, 1.6 * h, w - 0.1))
    m = BODY
    mh = 0.75 + 0.15 * s[3]
    mx = 0.15 * s[5]
    d, m = nearer(d, m, cylinder(x - mx, y - h - mh, z, 0.06, mh), TRIM)
    sw = 0.7 + 0.15 * s[4]
    ty = y - 2 * h - 0.2
    top = 2 * mh - h - 0.2
    # Along z the sail bulges a little, so that it never vanishes edge on.
    e = max(max(mx + 0.06 - x, -ty), (x - mx - sw) * top + ty * sw)
    e = max(e / math.sqrt(top * top + sw * sw) if e > 0 else e, abs(z) - 0.06)
    return nearer(d, m, e, SECOND)


@jit
def snowman(x, y, z, s):
    r1, r2, r3 = 0.62 + 0.07 * s[0], 0.46 + 0.06 * s[1], 0.34 + 0.05 * s[2]
    y1 = r1 * 0.92
    y2 = y1 + r1 * 0.75 + r2 * 0.75
    y3 = y2 + r2 * 0.75 + r3 * 0.75
    d, m = sphere(x, y - y1, z, r1), BODY
    d, m = nearer(d, m, sphere(x, y - y2, z, r2), BODY)
    d, m = nearer(d, m, sphere(x, y - y3, z, r3), BODY)
    nl = 0.3 + 0.1 * s[3]
    d, m = nearer(d, m, capsule(x, y, z, 0.0, y3, r3, 0.0, y3 - 0.03, r3 + nl, 0.09, 0.03), TRIM)
    d, m = nearer(d, m, sphere(abs(x) - 0.14, y - y3 - 0.1, z - r3 * 0.9, 0.07), SECOND)
    e = capsule(
        abs(x), y, z, r2 * 0.9, y2 + 0.1, 0.0, r2 + 0.5, y2 + 0.25 + 0.3 * s[4], 0.05, 0.07, 0.05
    )
    return nearer(d, m, e, TRIM)


@jit
def toy_distance(kind, x, y, z, s):
    """(distance, material) of the toy of class number `kind` at a point."""
    if kind == 0:
        return ball(x, y, z, s)
    if kind == 1:
        return cube(x, y, z, s)
    if kind == 2:
        return mug(x, y, z, s)
    if kind == 3:
        return bottle(x, y, z, s)
    if kind == 4:
        return car(x, y, z, s)
    if kind == 5:
        return house(x, y, z, s)
    if kind == 6:
        return dog(x, y, z, s)
    if kind == 7:
        return duck(x, y, z, s)
    if kind == 8:
        return chair(x, y, z, s)
    if kind == 9:
        return robot(x, y, z, s)
    if kind == 10:
        return mushroom(x, y, z, s)
    if kind == 11:
        return lamp(x, y, z, s)
    if kind == 12:
        return teapot(x, y, z, s)
    if kind == 13:
        return tree(x, y, z, s)
    if kind == 14:
        return boat(x, y, z, s)
    return snowman(x, y, z, s)
