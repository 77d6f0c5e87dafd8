"""Sky, ground and light of the twelve settings, compiled."""

import math

import numpy as np

from pseudoword.toybox.world.compiled import jit

SETTING_NAMES = (
    "snow", "beach", "desert", "grass", "jungle", "night",
    "city", "kitchen", "rug", "floor", "moon", "water",
)  # fmt: skip

# key light colour (3), ambient light colour (3): night and moon stay bright enough to read colours
LIGHTS = np.array(
    [
        [0.95, 0.95, 1.00, 0.42, 0.44, 0.50],
        [1.05, 1.00, 0.90, 0.38, 0.38, 0.40],
        [1.10, 0.98, 0.82, 0.38, 0.35, 0.32],
        [1.00, 1.00, 0.92, 0.38, 0.40, 0.38],
        [0.85, 0.95, 0.75, 0.34, 0.40, 0.34],
        [0.70, 0.72, 0.85, 0.32, 0.33, 0.42],
        [0.95, 0.95, 0.98, 0.38, 0.38, 0.40],
        [1.00, 0.97, 0.90, 0.44, 0.43, 0.40],
        [1.00, 0.94, 0.86, 0.42, 0.40, 0.38],
        [1.00, 0.95, 0.86, 0.42, 0.40, 0.37],
        [1.15, 1.15, 1.15, 0.24, 0.24, 0.25],
        [1.00, 1.02, 1.02, 0.40, 0.42, 0.45],
    ]
)


@jit
def hash2(x, y, seed):
    """A value in [0, 1) for an integer lattice point."""
    h = (int(x) * 374761393 + int(y) * 668265263 + seed * 1274126177) & 0x7FFFFFFF
    h = ((h ^ (h >> 13)) * 1103515245) & 0x7FFFFFFF
    return ((h ^ (h >> 16)) & 0xFFFFFF) / 16777216.0


@jit
def noise(x, y, seed):
    """Smooth value noise in [0, 1]."""
    ix, iy = math.floor(x), math.floor(y)
    fx, fy = x - ix, y - iy
    fx, fy = fx * fx * (3 - 2 * fx), fy * fy * (3 - 2 * fy)
    a, b = hash2(ix, iy, seed), hash2(ix + 1, iy, seed)
    c, d = hash2(ix, iy + 1, seed), hash2(ix + 1, iy + 1, seed)
    return a + (b - a) * fx + (c - a) * fy + (a - b - c + d) * fx * fy


@jit
def mix(a, b, t):
    return a[0] + (b[0] - a[0]) * t, a[1] + (b[1] - a[1]) * t, a[2] + (b[2] - a[2]) * t


@jit
def ground(kind, x, z, far, seed):
    """Ground colour at a point; `far` in [0, 1] fades fine pattern towards the horizon."""
    n = noise(x * 1.3, z * 1.3, seed)
    if kind == 0:
        return mix((0.86, 0.89, 0.96), (0.97, 0.98, 1.0), n)
    if kind == 1:
        return mix((0.88, 0.78, 0.54), (0.95, 0.87, 0.65), n)
    if kind == 2:
        w = 0.5 + 0.5 * math.sin(3.2 * z + 2.5 * noise(x * 0.6, z * 0.6, seed))
        return mix((0.80, 0.50, 0.24), (0.92, 0.64, 0.33), w * (1 - far) + 0.5 * far)
    if kind == 3:
        b = noise(x * 5.0, z * 5.0, seed)
        return mix((0.22, 0.52, 0.14), (0.40, 0.70, 0.24), b * (1 - far) + 0.5 * far)
    if kind == 4:
        b = noise(x * 2.2, z * 2.2, seed)
        return mix((0.06, 0.20, 0.07), (0.14, 0.36, 0.12), b)
    if kind == 5:
        return mix((0.09, 0.10, 0.22), (0.13, 0.14, 0.28), n)
    if kind == 6:
        line = 1.0 if abs(x - 1.9) < 0.09 and (z * 0.7) % 1.0 < 0.6 else 0.0
        g = mix((0.36, 0.36, 0.38), (0.44, 0.44, 0.46), n)
        return mix(g, (0.9, 0.88, 0.7), line * (1 - far))
    if kind == 7:
        c = (math.floor(x * 1.25) + math.floor(z * 1.25)) % 2
        c = c * (1 - far) + 0.5 * far
        return mix((0.86, 0.86, 0.84), (0.55, 0.62, 0.66), c)
    if kind == 8:
        q = max(abs(x), abs(z * 0.9))
        if q > 2.3:
            return (0.62, 0.50, 0.38)
        if q > 2.0:
            return (0.86, 0.72, 0.36)
        w = 0.5 + 0.5 * math.sin(x * 5.0) * math.sin(z * 5.0)
        return mix((0.56, 0.10, 0.20), (0.42, 0.08, 0.34), w * (1 - far) + 0.5 * far)
    if kind == 9:
        row = math.floor(z * 1.6)
        gap = 1.0 if (z * 1.6) % 1.0 < 0.1 else 0.0
        t = hash2(row, math.floor(x * 0.5 + hash2(row, 3, seed) * 7), seed)
        g = mix((0.56, 0.34, 0.16), (0.70, 0.45, 0.23), t)
        return mix(g, (0.30, 0.17, 0.08), gap * (1 - far))
    if kind == 10:
        c = noise(x * 1.7 + 9, z * 1.7, seed)
        k = 0.30 if c > 0.68 else 0.46 + 0.12 * n
        return (k, k, k * 1.01)
    w = 0.5 + 0.5 * math.sin(4.0 * z + 3.0 * noise(x * 0.9, z * 0.9, seed))
    w = w * (1 - far) + 0.5 * far
    return mix((0.04, 0.26, 0.56), (0.16, 0.48, 0.78), w)


@jit
def sky(kind, u, v, seed):
    """Colour beyond the ground: `u` across the frame, `v` up from the horizon (frame units)."""
    t = min(max(v * 1.3, 0.0), 1.0)
    if kind == 0:
        return mix((0.90, 0.92, 0.96), (0.62, 0.70, 0.82), t)
    if kind == 1:
        if v < 0.09:
            return (0.10, 0.45, 0.72)
        return mix((0.66, 0.88, 0.98), (0.25, 0.66, 0.95), t)
    if kind == 2:
        if v < 0.12 * (0.5 + noise(u * 3, 1.0, seed)):
            return (0.72, 0.42, 0.20)
        return mix((0.99, 0.86, 0.62), (0.95, 0.66, 0.42), t)
    if kind == 3:
        if v < 0.10 * (0.4 + noise(u * 4, 2.0, seed)):
            return (0.25, 0.45, 0.22)
        return mix((0.80, 0.92, 0.99), (0.42, 0.68, 0.96), t)
    if kind == 4:
        leaf = noise(u * 9.0, v * 9.0, seed)
        k = 1.0 if leaf > 0.52 else 0.0
        return mix(
            (0.04, 0.12, 0.05), (0.16, 0.42, 0.14), k * (0.6 + 0.4 * noise(u * 20, v * 20, seed))
        )
    if kind == 5:
        du, dv = u - 0.30, v - 0.36
        if du * du + dv * dv < 0.006:
            return (0.95, 0.94, 0.80)
        star = hash2(math.floor(u * 40), math.floor(v * 40), seed)
        if star > 0.965:
            return (0.85, 0.87, 0.95)
        return mix((0.08, 0.08, 0.24), (0.02, 0.02, 0.10), t)
    if kind == 6:
        column = math.floor(u * 7.0)
        height = 0.16 + 0.42 * hash2(column, 5, seed)
        if v < height:
            fu, fv = (u * 7.0 * 3) % 1.0, (v * 20.0) % 1.0
            lit = hash2(math.floor(u * 21.0), math.floor(v * 20.0), seed + 1)
            if fu > 0.25 and fv > 0.35 and lit > 0.35:
                return (0.98, 0.88, 0.45)
            k = 0.25 + 0.16 * hash2(column, 9, seed)
            return (k, k, k * 1.15)
        return mix((0.72, 0.74, 0.80), (0.55, 0.60, 0.72), t)
    if kind == 7:
        if v < 0.05:
            return (0.55, 0.36, 0.20)
        tile = 0.0 if (u * 8.0) % 1.0 < 0.06 or (v * 8.0) % 1.0 < 0.06 else 1.0
        return mix((0.80, 0.74, 0.58), (0.97, 0.92, 0.76), tile)
    if kind == 8:
        if v < 0.05:
            return (0.90, 0.88, 0.84)
        stripe = 0.0 if (u * 7.0) % 1.0 < 0.5 else 1.0
        return mix((0.70, 0.78, 0.72), (0.76, 0.83, 0.77), stripe)
    if kind == 9:
        if v < 0.06:
            return (0.94, 0.93, 0.90)
        return mix((0.83, 0.74, 0.66), (0.76, 0.66, 0.58), t)
    if kind == 10:
        du, dv = u + 0.28, v - 0.34
        if du * du + dv * dv < 0.012:
            return (0.25, 0.50, 0.85)
        star = hash2(math.floor(u * 40), math.floor(v * 40), seed)
        k = 0.9 if star > 0.94 else 0.01
        return (k, k, k)
    return mix((0.86, 0.95, 0.99), (0.48, 0.78, 0.93), t)
