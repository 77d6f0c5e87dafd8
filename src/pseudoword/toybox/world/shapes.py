"""The sixteen classes as signed distance functions, each with five proportions q in [-1, 1].

The toy stands on y = 0 with its front to +z, or to +x where it has a nose (car, dog, duck, boat).
Every function takes a point and q, and gives (distance, material) with the materials below.
"""

import math

from pseudoword.toybox.world.compiled import compiled
from pseudoword.toybox.world.primitives import (
    blend,
    box,
    capsule,
    cylinder,
    ellipsoid,
    frustum,
    ring,
    sphere,
)

BODY, TRIM, DARK, PALE, HAT = 0, 1, 2, 3, 4
"""Materials: the patterned body, the trim colour, eyes, windows, the hat."""

Hit = tuple[float, int]
Shape = tuple[float, float, float, float, float]


@compiled
def ball(x: float, y: float, z: float, q: Shape) -> Hit:
    r, b = 0.75, 0.75 + 0.12 * q[0]
    d = ellipsoid(x, y - b, z, r, b, r)
    px, py, pz = x / r, (y - b) / b, z / r
    tilt = 0.9 + 0.5 * q[1]
    cap = py * math.cos(tilt) + (pz * 0.8 + px * 0.6 * q[3]) * math.sin(tilt)
    if cap > 0.94 - 0.09 * q[2]:
        return d, TRIM
    if q[4] > 0.2 and abs(cap) < 0.06 + 0.08 * q[4]:
        return d, TRIM
    return d, BODY


@compiled
def cube(x: float, y: float, z: float, q: Shape) -> Hit:
    a, b, c = 0.62 + 0.1 * q[0], 0.62 + 0.1 * q[1], 0.62 + 0.09 * q[4]
    d = box(x, y - b, z, a, b, c, 0.1 + 0.08 * q[2])
    if q[3] > -0.4:
        edge = 0.93 - 0.1 * (q[3] + 0.4)
        near = (
            int(abs(x) > a - c * (1 - edge))
            + int(abs(y - b) > b - c * (1 - edge))
            + int(abs(z) > c * edge)
        )
        if near >= 2:
            return d, TRIM
    elif math.sqrt(x * x + z * z) < 0.25 + 0.15 * q[4] and y > b:
        return d, TRIM
    return d, BODY


@compiled
def mug(x: float, y: float, z: float, q: Shape) -> Hit:
    h = 0.56 + 0.16 * q[0]
    low, high = 0.46 + 0.06 * q[1] - 0.1 * q[2], 0.46 + 0.06 * q[1] + 0.1 * q[2]
    d = frustum(x, y - h, z, low, high, h) - 0.03
    wall = 0.09
    inside = frustum(x, y - h - 0.15, z, low - wall, high - wall, h)
    m = BODY
    if -inside > d:
        d, m = -inside, PALE
    big, thick = 0.30 + 0.08 * q[3], 0.085 + 0.03 * q[4]
    reach = 0.5 * (low + high)
    e = ring((x - reach - 0.05) * 0.9, (y - h) * (0.85 if q[0] > 0 else 1.0), z, big, thick)
    e = max(e, reach - 0.03 - x)
    if e < d:
        d, m = e, TRIM
    return d, m


@compiled
def bottle(x: float, y: float, z: float, q: Shape) -> Hit:
    r, h = 0.36 + 0.08 * q[0], 0.46 + 0.12 * q[1]
    neck, long = 0.13 + 0.03 * q[3], 0.24 + 0.10 * q[2]
    d = cylinder(x, y - h, z, r, h, 0.08)
    slope = frustum(x, y - 2 * h - 0.08, z, r - 0.03, neck, 0.16)
    d = blend(d, slope, 0.1)
    top = 2 * h + 0.2 + long
    d = blend(d, cylinder(x, y - top + long, z, neck, long, 0.02), 0.06)
    m = BODY
    e = cylinder(x, y - top - 0.04, z, neck + 0.05, 0.09 + 0.03 * q[4], 0.03)
    if e < d:
        d, m = e, TRIM
    elif q[4] > 0.25 and abs(y - h) < 0.38 * h and z > 0 and abs(x) < 0.65 * r:
        m = PALE
    return d, m


@compiled
def car(x: float, y: float, z: float, q: Shape) -> Hit:
    long, w, r = 0.92 + 0.12 * q[0], 0.42, 0.22 + 0.05 * q[1]
    floor, h = r * 0.7, 0.2
    d = box(x, y - floor - h, z, long, h, w, 0.1)
    m = BODY
    if x > long - 0.06 and abs(abs(z) - 0.26) < 0.09 and abs(y - floor - h - 0.04) < 0.08:
        m = PALE
    ch, cl = 0.22 + 0.07 * q[2], 0.46 + 0.14 * q[3]
    cx, cy = -0.12 - 0.15 * q[4], floor + 2 * h + ch - 0.05
    slant = 0.55 * max(y - cy + ch, 0.0)
    e = box(
        x - cx + 0.3 * slant,
        y - cy,
        z,
        cl - 0.35 * slant,
        ch,
        w - 0.05 - 0.1 * slant,
        0.07,
    )
    e *= 0.85
    if e < d:
        d, m = e, BODY
        tall = abs(y - cy - 0.01) < ch * 0.6
        side = abs(z) > w - 0.17 and 0.04 < abs(x - cx + 0.3 * slant) < cl * 0.78
        end = abs(z) < w - 0.14 and abs(x - cx) > cl * 0.6
        if tall and (side or end):
            m = DARK
    for sx in (-1.0, 1.0):
        wx, wz = x - sx * long * 0.58, abs(z) - w
        e = cylinder(wx, wz, y - r, r, 0.09, 0.03)
        if e < d:
            d, m = e, TRIM if math.sqrt(wx * wx + (y - r) ** 2) < 0.62 * r else DARK
    return d, m


@compiled
def house(x: float, y: float, z: float, q: Shape) -> Hit:
    w, dep, h = 0.55 + 0.1 * q[0], 0.5, 0.48 + 0.12 * q[1]
    d = box(x, y - h, z, w, h, dep, 0.02)
    m = BODY
    if z > dep - 0.05:
        if abs(x + 0.05) < 0.13 and y < 0.46:
            m = DARK if q[4] < 0 else TRIM
        elif abs(abs(x + 0.05) - 0.34) < 0.09 and abs(y - h * 1.15) < 0.12:
            m = PALE
    elif x > w - 0.05 and abs(abs(z) - 0.22) < 0.1 and abs(y - h * 1.1) < 0.13:
        m = PALE
    pitch = 0.62 + 0.2 * q[2]
    rise = (dep + 0.14) * pitch
    cosine = 1.0 / math.sqrt(1.0 + pitch * pitch)
    top = 2 * h + rise - 0.1
    slope = (y - top + abs(z) * pitch) * cosine
    gable = max(slope, abs(x) - w + 0.03, 2 * h - 0.1 - y)
    if gable < d:
        d, m = gable, BODY
    e = max(abs(slope) - 0.06, abs(x) - w - 0.08, abs(z) - dep - 0.10)
    if e < d:
        d, m = e, TRIM
    e = box(x - (0.3 if q[3] > 0 else -0.3), y - top + 0.05, z + 0.22, 0.09, 0.3, 0.09, 0.01)
    if abs(q[3]) > 0.25 and e < d:
        d, m = e, DARK
    return d, m


@compiled
def dog(x: float, y: float, z: float, q: Shape) -> Hit:
    long, leg = 0.44 + 0.12 * q[0], 0.34 + 0.13 * q[1]
    back = leg + 0.22
    d = capsule(x, y, z, -long, back, 0.0, long, back + 0.03, 0.0, 0.24, 0.27)
    az = abs(z)
    for sx in (-1.0, 1.0):
        lx = sx * (long - 0.02)
        leg_d = capsule(x, y, az, lx, back, 0.15, lx + 0.03, 0.08, 0.16, 0.11, 0.09)
        d = blend(d, leg_d, 0.06)
    tail = 0.35 + 0.2 * q[4]
    e = capsule(
        x,
        y,
        z,
        -long - 0.15,
        back + 0.1,
        0.0,
        -long - 0.38,
        back + tail,
        0.0,
        0.07,
        0.05,
    )
    d = blend(d, e, 0.05)
    r = 0.29 + 0.06 * q[2]
    hx, hy = long + 0.24, back + 0.3 + 0.5 * r
    d = blend(d, capsule(x, y, z, long, back, 0.0, hx, hy, 0.0, 0.2, 0.16), 0.1)
    d = blend(d, sphere(x - hx, y - hy, z, r), 0.05)
    e = capsule(
        x,
        y,
        z,
        hx + 0.5 * r,
        hy - 0.25 * r,
        0.0,
        hx + r + 0.16,
        hy - 0.32 * r,
        0.0,
        0.15,
        0.11,
    )
    d = blend(d, e, 0.05)
    m = BODY
    if q[3] > 0:
        e = ellipsoid(x - hx + 0.05, y - hy + 0.06, az - r, 0.13, 0.22 + 0.14 * q[3], 0.08)
    else:
        e = capsule(
            x, y, az, hx - 0.05, hy + 0.6 * r, 0.14, hx - 0.1, hy + r + 0.2 - 0.12 * q[3], 0.22,
            0.12, 0.03,
        )  # fmt: skip
    if e < d:
        d, m = e, TRIM
    e = sphere(x - hx - r - 0.24, y - hy + 0.2 * r, z, 0.085)
    if e < d:
        d, m = e, DARK
    e = sphere(x - hx - 0.78 * r, y - hy - 0.4 * r, az - 0.42 * r, 0.06)
    if e < d:
        d, m = e, DARK
    return d, m


@compiled
def duck(x: float, y: float, z: float, q: Shape) -> Hit:
    long, h = 0.66 + 0.1 * q[0], 0.38 + 0.06 * q[1]
    d = ellipsoid(x, y - h, z, long, h, 0.44)
    tail = capsule(x, y, z, -0.5 * long, h, 0.0, -long - 0.16, h + 0.38, 0.0, 0.24, 0.05)
    d = blend(d, tail, 0.15)
    r, neck = 0.31 + 0.06 * q[2], 0.22 + 0.15 * q[3]
    hx, hy = 0.62 * long, 2 * h + neck
    d = blend(d, capsule(x, y, z, 0.5 * long, h, 0.0, hx, hy, 0.0, 0.24, 0.18), 0.12)
    d = blend(d, sphere(x - hx, y - hy, z, r), 0.06)
    m = BODY
    e = ellipsoid(x - hx - r - 0.1, y - hy + 0.07, z, 0.24 + 0.06 * q[4], 0.075, 0.17)
    if e < d:
        d, m = e, TRIM
    e = sphere(x - hx - 0.72 * r, y - hy - 0.38 * r, abs(z) - 0.55 * r, 0.065)
    if e < d:
        d, m = e, DARK
    e = ellipsoid(
        x + 0.12,
        y - h - 0.06,
        abs(z) - 0.42,
        0.36 + 0.06 * q[4],
        0.19 + 0.05 * q[1],
        0.07,
    )
    if e < d:
        d, m = e, TRIM
    return d, m


@compiled
def chair(x: float, y: float, z: float, q: Shape) -> Hit:
    w, seat = 0.45 + 0.08 * q[1], 0.52 + 0.1 * q[4]
    back, leg = 0.44 + 0.14 * q[0], 0.06 + 0.02 * q[2]
    d = box(x, y - seat, z, w, 0.075, 0.45, 0.03)
    bz, by = z + 0.40, y - seat - back
    e = box(x, by, bz, w, back, 0.065, 0.03)
    if q[3] > 0.0:
        gap = box(abs(x) - 0.24, by, bz, 0.11, back - 0.14, 0.2, 0.0)
        e = max(e, -gap)
    d = min(d, e)
    m = BODY
    e = box(
        abs(x) - w + leg + 0.01,
        y - 0.5 * seat,
        abs(z) - 0.38,
        leg,
        0.5 * seat,
        leg,
        0.01,
    )
    if e < d:
        d, m = e, TRIM
    if q[3] < -0.4:
        e = box(abs(x) - w - 0.03, y - seat - 0.26, z, 0.06, 0.05, 0.42, 0.03)
        e = min(e, box(abs(x) - w - 0.03, y - seat - 0.1, z - 0.34, 0.05, 0.16, 0.05, 0.01))
        if e < d:
            d, m = e, TRIM
    return d, m


@compiled
def robot(x: float, y: float, z: float, q: Shape) -> Hit:
    w, h, leg = 0.36 + 0.09 * q[1], 0.34 + 0.08 * q[2], 0.17 + 0.08 * q[3]
    ax = abs(x)
    by = 2 * leg + h
    d = box(x, y - by, z, w, h, 0.28, 0.05)
    m = BODY
    if z > 0.25 and ax < 0.5 * w and abs(y - by - 0.04) < 0.3 * h:
        m = TRIM
    hw, hh = 0.28 + 0.08 * q[0], 0.24 + 0.05 * q[0]
    hy = by + h + hh + 0.07
    e = box(x, y - hy, z, hw, hh, 0.25, 0.05)
    if e < d:
        d, m = e, BODY
        if z > 0.21:
            ex, ey = ax - 0.5 * hw, y - hy - 0.05
            eye = math.sqrt(ex * ex + ey * ey)
            if eye < 0.11:
                m = DARK if eye < 0.055 else PALE
            elif abs(y - hy + 0.13) < 0.035 and ax < 0.6 * hw:
                m = DARK
    e = cylinder(x, y - hy + hh + 0.06, z, 0.12, 0.06, 0.0)
    arm = 0.085 + 0.03 * q[4]
    e = min(e, capsule(
        ax, y, z, w + 0.08, by + h - 0.14, 0.0, w + 0.2, by - h * 0.6, 0.12, arm, arm
    ))  # fmt: skip
    e = min(e, box(ax - 0.55 * w, y - leg, z - 0.02, 0.125, leg, 0.17, 0.02))
    e = min(e, cylinder(x, y - hy - hh - 0.1, z, 0.03, 0.12, 0.0))
    e = min(e, sphere(x, y - hy - hh - 0.24, z, 0.085))
    if e < d:
        d, m = e, TRIM
    return d, m


@compiled
def mushroom(x: float, y: float, z: float, q: Shape) -> Hit:
    stem, r = 0.36 + 0.12 * q[2], 0.19 + 0.06 * q[3]
    d = frustum(x, y - stem, z, r * (1.15 + 0.3 * q[4]), r, stem)
    m = TRIM
    w, h = 0.7 + 0.14 * q[0], 0.5 + 0.17 * q[1]
    cy = y - 2 * stem + 0.08
    e = ellipsoid(x, cy, z, w, h, w)
    under = ellipsoid(x, cy + 0.1, z, w * 1.15, 0.18, w * 1.15)
    e = max(e, -cy - 0.04, -under)
    if e < d:
        d, m = e, BODY
        if cy < 0.10 and math.sqrt(x * x + z * z) < 0.88 * w:
            m = PALE
    return d, m


@compiled
def lamp(x: float, y: float, z: float, q: Shape) -> Hit:
    h, low = 0.33 + 0.08 * q[1], 0.56 + 0.09 * q[4]
    high = low * (0.55 + 0.25 * q[0])
    pole, foot = 0.36 + 0.1 * q[2], 0.34 + 0.06 * q[3]
    cy = y - 2 * pole - h + 0.06
    d = frustum(x, cy, z, low, high, h)
    inner = frustum(x, cy + 0.06, z, low - 0.03, high - 0.05, h)
    m = BODY
    if -inner > d:
        d, m = -inner, PALE
    e = cylinder(x, y - 0.05, z, foot, 0.06, 0.03)
    if q[3] > 0:
        e = min(e, ellipsoid(x, y - 0.3, z, 0.2, 0.25, 0.2))
    e = min(e, cylinder(x, y - pole, z, 0.055, pole + h, 0.0))
    if e < d:
        d, m = e, TRIM
    return d, m


@compiled
def teapot(x: float, y: float, z: float, q: Shape) -> Hit:
    r, b = 0.58, 0.46 + 0.1 * q[0]
    d = ellipsoid(x, y - b, z, r, b, r)
    long, lift = 0.38 + 0.1 * q[1], 0.16 + 0.12 * q[4]
    px, py = r + 0.5 * long, b + 0.02
    e = capsule(x, y, z, 0.4 * r, 0.6 * b, 0.0, px, py, 0.0, 0.16, 0.1)
    e = min(e, capsule(x, y, z, px, py, 0.0, r + long, b + lift + 0.18, 0.0, 0.1, 0.07))
    d = blend(d, e, 0.08)
    m = BODY
    big = 0.28 + 0.08 * q[2]
    e = ring(x + r + 0.06, (y - b - 0.02) * 0.92, z, big, 0.075)
    e = max(e, x + 0.8 * r)
    e = min(e, sphere(x, y - 2 * b - 0.11, z, 0.11 + 0.035 * q[3]))
    e = min(e, cylinder(x, y - 0.02, z, 0.3, 0.05, 0.02))
    if e < d:
        d, m = e, TRIM
    lid = ellipsoid(x, y - 2 * b + 0.05, z, 0.3, 0.1, 0.3)
    if lid < d:
        d, m = lid, BODY
    return d, m


@compiled
def tree(x: float, y: float, z: float, q: Shape) -> Hit:
    trunk, r = 0.17 + 0.07 * q[3], 0.12 + 0.04 * q[4]
    d = cylinder(x, y - trunk - 0.05, z, r, trunk + 0.05, 0.0)
    m = TRIM
    n = 2 + int(q[0] > -0.35) + int(q[0] > 0.35)
    w, h = 0.58 + 0.12 * q[1], (1.15 + 0.2 * q[2])
    tier = h / (n + 0.35)
    for i in range(n):
        wide = w * (1.0 - 0.62 * i / n)
        low = 2 * trunk + i * tier
        half = 0.5 * tier * 1.35
        e = frustum(x, y - low - half, z, wide - 0.02, wide * 0.16, half) - 0.02
        if e < d:
            d, m = e, BODY
    return d, m


@compiled
def boat(x: float, y: float, z: float, q: Shape) -> Hit:
    long, h, w = 0.82 + 0.12 * q[0], 0.36 + 0.07 * q[3], 0.34
    flare = 0.72 + 0.28 * min(max(y / h, 0.0), 1.0)
    bow = ellipsoid(x / flare, 0.0, z / flare, long, 1.0, w)
    d = max(bow * 0.7, -y, y - h)
    inside = ellipsoid(x, 0.0, z, long - 0.12, 1.0, w - 0.08)
    d = max(d, -max(inside * 0.7, 0.16 - y))
    m = BODY
    if h * 0.68 < y < h + 0.02:
        m = TRIM
    mast = 0.64 + 0.14 * q[1]
    e = cylinder(x - 0.02, y - h * 0.4 - mast, z, 0.04, mast, 0.0)
    if e < d:
        d, m = e, TRIM
    foot, top = h + 0.14, h * 0.4 + 2 * mast - 0.06
    tall = top - foot
    aft = 0.62 + 0.14 * q[2]
    # The mainsail: a triangle behind the mast, between its foot and the line to the mast's top.
    slope = (tall * (-(x + 0.06)) + aft * (y - top)) / math.sqrt(tall * tall + aft * aft)
    e = max(slope, x + 0.05, foot - y, abs(z) - 0.035)
    if q[4] > -0.3:
        fore = long - 0.12
        low = top - 0.22
        span = low - foot
        slope = (span * (x - 0.1) + fore * (y - low)) / math.sqrt(span * span + fore * fore)
        e = min(e, max(slope, 0.1 - x, foot - y, abs(z) - 0.035))
    if e < d:
        d, m = e, BODY
    return d, m


@compiled
def snowman(x: float, y: float, z: float, q: Shape) -> Hit:
    low, mid, top = 0.47 + 0.07 * q[2], 0.35 + 0.05 * q[1], 0.26 + 0.05 * q[0]
    my = 1.84 * low + 0.72 * mid
    ty = my + 0.78 * mid + 0.78 * top
    d = sphere(x, y - 0.94 * low, z, low)
    d = min(d, sphere(x, y - my, z, mid), sphere(x, y - ty, z, top))
    m = BODY
    nose = 0.2 + 0.1 * q[3]
    e = capsule(x, y, z, 0.0, ty, top - 0.05, 0.0, ty - 0.02, top + nose, 0.065, 0.015)
    ax = abs(x)
    reach = mid + 0.3 + 0.1 * q[4]
    e = min(e, capsule(
        ax, y, z, mid - 0.05, my + 0.05, 0.0, reach, my + 0.26, 0.08, 0.045, 0.035
    ))  # fmt: skip
    neck = my + 0.78 * mid + 0.06
    scarf = math.sqrt((math.sqrt(x * x + z * z) - 0.72 * top) ** 2 + (y - neck) ** 2) - 0.085
    e = min(e, scarf)
    if e < d:
        d, m = e, TRIM
    e = sphere(ax - 0.38 * top, y - ty - 0.3 * top, z - 0.84 * top, 0.055)
    e = min(e, sphere(x, y - my - 0.1, z - mid + 0.01, 0.06))
    e = min(e, sphere(x, y - my + 0.14, z - mid * 0.95, 0.06))
    if e < d:
        d, m = e, DARK
    return d, m
