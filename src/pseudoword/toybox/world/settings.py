"""The twelve settings: ground, backdrop and light, as painted stages around the toy.

The stage has its own axes: `s` to the right, `t` away from the camera (the toy stands at 0, 0) and
`h` up. The ground reaches to the backdrop at t = DEPTH. Numbers follow the order of SETTINGS.
"""

import math

import numpy as np

from pseudoword.toybox.world.compiled import compiled
from pseudoword.toybox.world.pattern import step_up

SNOW, BEACH, DESERT, GRASS, JUNGLE, NIGHT, CITY, KITCHEN, RUG, FLOOR, MOON, WATER = range(12)
DEPTH = 3.0

LIGHTS = np.array(
    [
        # ambient r, g, b; sun r, g, b
        (0.50, 0.52, 0.56, 0.56, 0.55, 0.53),
        (0.46, 0.47, 0.50, 0.62, 0.60, 0.54),
        (0.48, 0.44, 0.40, 0.62, 0.58, 0.50),
        (0.46, 0.48, 0.48, 0.60, 0.59, 0.54),
        (0.44, 0.48, 0.42, 0.52, 0.54, 0.44),
        (0.50, 0.51, 0.60, 0.44, 0.45, 0.50),
        (0.50, 0.50, 0.53, 0.48, 0.47, 0.46),
        (0.52, 0.51, 0.48, 0.50, 0.49, 0.46),
        (0.50, 0.48, 0.48, 0.52, 0.50, 0.47),
        (0.50, 0.49, 0.47, 0.54, 0.52, 0.48),
        (0.36, 0.36, 0.38, 0.72, 0.71, 0.68),
        (0.46, 0.49, 0.54, 0.60, 0.59, 0.55),
    ]
)

Colour = tuple[float, float, float]


@compiled
def chance(i: int, j: int, seed: int) -> float:
    """A hash of two whole numbers and a seed: uniform in [0, 1)."""
    n = (i * 374761393 + j * 668265263 + seed * 1274126177) & 0xFFFFFFFF
    n = ((n ^ (n >> 13)) * 1103515245) & 0xFFFFFFFF
    n = ((n ^ (n >> 15)) * 668265263) & 0xFFFFFFFF
    return ((n ^ (n >> 16)) & 0xFFFFFF) / 16777216.0


@compiled
def noise(x: float, y: float, seed: int) -> float:
    """Value noise in [0, 1] with one lattice point per unit."""
    i, j = math.floor(x), math.floor(y)
    u, v = x - i, y - j
    u, v = u * u * (3 - 2 * u), v * v * (3 - 2 * v)
    a, b = int(i), int(j)
    low = chance(a, b, seed) * (1 - u) + chance(a + 1, b, seed) * u
    high = chance(a, b + 1, seed) * (1 - u) + chance(a + 1, b + 1, seed) * u
    return low * (1 - v) + high * v


@compiled
def _mix(a: Colour, b: Colour, t: float) -> Colour:
    return a[0] + (b[0] - a[0]) * t, a[1] + (b[1] - a[1]) * t, a[2] + (b[2] - a[2]) * t


@compiled
def _dim(a: Colour, f: float) -> Colour:
    return a[0] * f, a[1] * f, a[2] * f


@compiled
def _speck(x: float, y: float, radius: float, share: float, seed: int) -> float:
    """1 inside dots of `radius` (cells) that `share` of the unit cells hold, else 0, softly."""
    i, j = math.floor(x), math.floor(y)
    if chance(i, j, seed) > share:
        return 0.0
    dx = x - i - 0.3 - 0.4 * chance(i, j, seed + 1)
    dy = y - j - 0.3 - 0.4 * chance(i, j, seed + 2)
    return 1.0 - step_up(radius, radius * 0.5, math.sqrt(dx * dx + dy * dy))


@compiled
def _sea(s: float, t: float, seed: int) -> Colour:
    wave = math.sin(t * 7.0 + 1.6 * math.sin(s * 1.7 + seed % 7) + 3.0 * noise(s * 1.3, t, seed))
    colour = _mix((0.05, 0.27, 0.62), (0.16, 0.48, 0.80), 0.5 + 0.5 * wave)
    return _mix(
        colour,
        (0.75, 0.90, 0.98),
        step_up(0.93, 0.12, wave) * noise(s * 2.5, t * 2, seed),
    )


@compiled
def _rug(s: float, t: float) -> Colour:
    edge = max(abs(s) / 2.1, abs(t) / 1.5)
    if edge > 1.0:
        return _dim((0.62, 0.55, 0.48), 1.0 - 0.12 * step_up(0.0, 0.2, math.sin(t * 12.0)))
    if edge > 0.93:
        return 0.90, 0.74, 0.36
    if edge > 0.80:
        tooth = abs((s + t) * 3.0 - math.floor((s + t) * 3.0) - 0.5)
        return _mix((0.26, 0.10, 0.40), (0.90, 0.74, 0.36), step_up(0.3, 0.1, tooth))
    u, v = s * 1.55, t * 1.55
    diamond = abs(u - math.floor(u) - 0.5) + abs(v - math.floor(v) - 0.5)
    colour = _mix((0.92, 0.78, 0.52), (0.56, 0.08, 0.20), step_up(0.17, 0.06, diamond))
    return _mix(colour, (0.34, 0.10, 0.42), step_up(0.62, 0.06, diamond))


@compiled
def _city_ground(s: float, t: float, seed: int) -> Colour:
    grain = 0.92 + 0.16 * noise(s * 7, t * 7, seed)
    if t > 2.1:
        return _dim((0.66, 0.65, 0.63), grain)
    if t > 1.95:
        return 0.80, 0.79, 0.76
    dash = abs(abs(t - 0.2) - 1.05) < 0.07 and s * 0.8 - math.floor(s * 0.8) < 0.6
    if dash:
        return 0.93, 0.90, 0.78
    return _dim((0.36, 0.36, 0.38), grain)


@compiled
def _moon_ground(s: float, t: float, seed: int) -> Colour:
    grey = 0.52 + 0.14 * noise(s * 2.5, t * 2.5, seed) - 0.07
    for octave in range(2):
        f = 0.9 + 1.1 * octave
        x, y = s * f + 0.37 * (seed % 11), t * f + 0.21 * (seed % 7)
        i, j = math.floor(x), math.floor(y)
        if chance(i, j, seed + octave) > 0.72:
            continue
        dx = x - i - 0.35 - 0.3 * chance(i, j, seed + 5)
        dy = y - j - 0.35 - 0.3 * chance(i, j, seed + 6)
        r = math.sqrt(dx * dx + dy * dy) / (0.2 + 0.12 * chance(i, j, seed + 7))
        rim = 1.0 - step_up(0.16, 0.2, abs(r - 1.0))
        grey += 0.20 * rim * (0.4 + dy / 0.3) - 0.20 * (1.0 - step_up(0.85, 0.3, r))
    return grey, grey, grey * 1.02


@compiled
def ground(setting: int, s: float, t: float, seed: int) -> Colour:
    """The ground's colour in full light."""
    if setting == SNOW:
        return _dim((0.93, 0.95, 0.99), 0.90 + 0.10 * noise(s * 1.6, t * 2.6, seed))
    if setting == BEACH:
        shore = 1.25 + 0.25 * math.sin(s * 1.1 + seed % 6) + 0.1 * math.sin(s * 3.0)
        if t > shore:
            colour = _mix((0.30, 0.78, 0.80), (0.06, 0.46, 0.74), step_up(0.7, 1.4, t - shore))
            return _mix((0.97, 0.99, 1.0), colour, step_up(0.1, 0.12, t - shore))
        sand = _dim((0.95, 0.85, 0.60), 0.90 + 0.1 * noise(s * 5, t * 5, seed))
        sand = _mix(sand, (0.72, 0.60, 0.40), step_up(-0.14, 0.3, t - shore) * 0.7)
        return _mix(sand, (0.99, 0.80, 0.76), _speck(s * 1.6, t * 1.6, 0.09, 0.35, seed + 3))
    if setting == DESERT:
        wave = math.sin(t * 9.0 + s * 2.0 + 4.0 * noise(s * 0.8, t * 0.8, seed))
        return _dim((0.87, 0.58, 0.29), 0.92 + 0.09 * wave)
    if setting == GRASS:
        blade = 0.5 * noise(s * 9, t * 4, seed) + 0.5 * noise(s * 2, t * 2, seed + 1)
        colour = _mix((0.24, 0.50, 0.10), (0.46, 0.74, 0.20), blade)
        bloom = (0.98, 0.96, 0.80) if chance(int(s * 2 + 99), int(t * 2 + 99), seed) < 0.6 else (
            0.98, 0.80, 0.20)  # fmt: skip
        return _mix(colour, bloom, _speck(s * 2.2, t * 2.2, 0.13, 0.4, seed + 4))
    if setting == JUNGLE:
        leaf = noise(s * 3.2, t * 3.2, seed)
        colour = _mix((0.07, 0.16, 0.05), (0.17, 0.36, 0.10), step_up(0.5, 0.35, leaf))
        return _mix(
            colour,
            (0.30, 0.20, 0.09),
            step_up(0.72, 0.2, noise(s * 2, t * 2, seed + 8)),
        )
    if setting == NIGHT:
        return _dim((0.15, 0.17, 0.33), 0.85 + 0.3 * noise(s * 2, t * 2, seed))
    if setting == CITY:
        return _city_ground(s, t, seed)
    if setting == KITCHEN:
        u, v = math.floor(s * 1.9 + t * 0.0), math.floor(t * 1.9)
        return (0.93, 0.93, 0.90) if (int(u) + int(v)) % 2 == 0 else (0.45, 0.60, 0.66)
    if setting == RUG:
        return _rug(s, t)
    if setting == FLOOR:
        row = math.floor(t * 2.6)
        along = s * 0.55 + 0.37 * row
        tone = 0.86 + 0.22 * chance(int(row), math.floor(along), seed)
        tone *= 0.95 + 0.1 * noise(s * 2, t * 16, seed)
        seam = t * 2.6 - row < 0.09 or along - math.floor(along) < 0.02
        return _dim((0.74, 0.50, 0.27), 0.5 if seam else tone)
    if setting == MOON:
        return _moon_ground(s, t, seed)
    return _sea(s, t, seed)


@compiled
def _ridge(s: float, seed: int, low: float, high: float, scale: float) -> float:
    return low + (high - low) * noise(s * scale, 0.5, seed)


@compiled
def _clouds(s: float, h: float, seed: int, sky: Colour) -> Colour:
    puff = noise(s * 0.8, h * 2.2, seed) * 0.65 + noise(s * 2, h * 4, seed + 1) * 0.35
    return _mix(sky, (1.0, 1.0, 1.0), 0.85 * step_up(0.62, 0.2, puff))


@compiled
def _stars(s: float, h: float, seed: int, sky: Colour) -> Colour:
    return _mix(sky, (1.0, 1.0, 0.92), _speck(s * 3.2, h * 3.2, 0.15, 0.32, seed + 9))


@compiled
def _disc(s: float, h: float, seed: int, radius: float) -> float:
    """A moon, sun or planet somewhere in the sky."""
    x = (1.0 if seed % 2 == 0 else -1.0) * (0.9 + 0.5 * chance(1, 2, seed))
    return 1.0 - step_up(radius, 0.05, math.sqrt((s - x) ** 2 + (h - 1.25) ** 2))


@compiled
def _firs(s: float, h: float, seed: int, size: float) -> bool:
    """Whether a triangle fir of a row stands at (s, h)."""
    i = math.floor(s / size)
    tall = size * (1.1 + 1.1 * chance(int(i), 3, seed))
    return 0 <= h < tall and abs(s / size - i - 0.5) < 0.48 * (1 - h / tall)


@compiled
def _city_backdrop(s: float, h: float, seed: int) -> Colour:
    sky = _mix((0.78, 0.80, 0.86), (0.52, 0.62, 0.80), min(h / 3.0, 1.0))
    i = math.floor(s / 0.8 + 0.3 * (seed % 5))
    x = s / 0.8 + 0.3 * (seed % 5) - i
    if h > 1.1 + 1.9 * chance(i, 0, seed) or x > 0.94:
        return sky
    tone = 0.34 + 0.24 * chance(i, 1, seed)
    wall = (tone * 1.04, tone, tone * 1.02) if chance(i, 2, seed) < 0.6 else (
        tone * 1.15, tone * 0.8, tone * 0.7)  # fmt: skip
    u, v = x * 3.0 / 0.94, h / 0.26
    du, dv = abs(u - math.floor(u) - 0.5), abs(v - math.floor(v) - 0.5)
    if du < 0.27 and dv < 0.27:
        lit = chance(i * 7 + int(u), int(v), seed + 3) < 0.6
        return (1.0, 0.88, 0.42) if lit else (0.20, 0.24, 0.32)
    return wall


@compiled
def _jungle_backdrop(s: float, h: float, seed: int) -> Colour:
    trunk = s / 0.9 + 0.1 * seed
    x = trunk - math.floor(trunk) - 0.5
    colour = (0.04, 0.11, 0.04)
    if abs(x + 0.06 * math.sin(h * 2)) < 0.10:
        colour = (0.30, 0.19, 0.09)
    for layer in range(3):
        f = 1.5 + 0.6 * layer
        u, v = s * f + 0.3 * layer + seed % 13, h * f * 0.8 + 0.45 * layer
        row = math.floor(v)
        u += 0.5 * (row % 2)
        i = math.floor(u)
        if chance(int(i), int(row), seed + layer) < 0.62:
            lean = chance(int(i), int(row), seed + 20 + layer) - 0.5
            dx, dy = u - i - 0.5, v - row - 0.5
            across, along = dx - dy * lean * 1.6, dy + dx * lean
            if (across / 0.27) ** 2 + (along / 0.47) ** 2 < 1.0:
                light = 0.55 + 0.25 * layer + 0.3 * chance(int(i), int(row), seed + 40)
                colour = (0.13 * light, 0.42 * light, 0.12 * light)
    return colour


@compiled
def _kitchen_backdrop(s: float, h: float, seed: int) -> Colour:
    if h < 0.12:
        return 0.35, 0.28, 0.22
    if h < 0.95:
        u = s / 0.85 + 0.1 * (seed % 9)
        x = u - math.floor(u)
        if x < 0.04 or h > 0.9:
            return 0.48, 0.33, 0.20
        if abs(x - 0.86) < 0.03 and 0.5 < h < 0.75:
            return 0.85, 0.85, 0.82
        return 0.74, 0.54, 0.34
    if h < 1.06:
        return 0.30, 0.31, 0.33
    if abs(s - 0.5 * (seed % 5 - 2)) < 0.55 and 1.35 < h < 2.3:
        return 0.72, 0.88, 0.98
    return 0.97, 0.93, 0.78


@compiled
def _room(s: float, h: float, seed: int, wall: Colour, stripe: float) -> Colour:
    if h < 0.2:
        return 0.95, 0.94, 0.91
    if stripe > 0 and math.sin(s * 8.0 + seed % 6) > 0.2:
        return _dim(wall, 1.0 - stripe)
    return wall


@compiled
def backdrop(setting: int, s: float, h: float, seed: int) -> Colour:
    """The backdrop's colour, which no shadow falls on."""
    if setting == SNOW:
        if h < _ridge(s, seed, 0.05, 0.5, 0.7):
            return 0.84, 0.88, 0.95
        if _firs(s + 0.1 * (seed % 9), h - 0.2, seed, 0.5):
            return (0.93, 0.95, 0.98) if noise(s * 6, h * 6, seed) > 0.62 else (0.10, 0.27, 0.22)
        return _mix((0.86, 0.90, 0.96), (0.66, 0.76, 0.88), min(h / 2.5, 1.0))
    if setting == BEACH:
        if h < 0.28:
            return 0.05, 0.42, 0.70
        sky = _mix((0.72, 0.91, 0.99), (0.28, 0.66, 0.95), min(h / 2.2, 1.0))
        return _mix(_clouds(s, h, seed, sky), (1.0, 0.95, 0.55), _disc(s, h, seed, 0.28))
    if setting == DESERT:
        if h < _ridge(s, seed, 0.1, 0.8, 0.55):
            return 0.78, 0.46, 0.20
        i = math.floor(s / 1.1)
        x = s / 1.1 - i - 0.5
        cactus = abs(x) < 0.06 or (0.06 < abs(x) < 0.2 and abs(abs(h - 0.85) - 0.1) < 0.09)
        if chance(int(i), 4, seed) < 0.6 and h < 1.25 and cactus:
            return 0.16, 0.40, 0.16
        return _mix((0.99, 0.84, 0.58), (0.94, 0.66, 0.42), min(h / 2.4, 1.0))
    if setting == GRASS:
        if h < _ridge(s, seed, 0.1, 0.55, 0.8):
            return 0.22, 0.50, 0.16
        sky = _mix((0.74, 0.88, 0.99), (0.36, 0.64, 0.96), min(h / 2.4, 1.0))
        return _clouds(s, h, seed, sky)
    if setting == JUNGLE:
        return _jungle_backdrop(s, h, seed)
    if setting == NIGHT:
        if h < _ridge(s, seed, 0.1, 0.7, 0.9):
            return 0.06, 0.07, 0.16
        sky = _mix((0.13, 0.14, 0.34), (0.04, 0.05, 0.16), min(h / 1.6, 1.0))
        return _mix(_stars(s, h, seed, sky), (0.99, 0.95, 0.72), _disc(s, h, seed, 0.24))
    if setting == CITY:
        return _city_backdrop(s, h, seed)
    if setting == KITCHEN:
        return _kitchen_backdrop(s, h, seed)
    if setting == RUG:
        return _room(s, h, seed, (0.78, 0.72, 0.82), 0.12)
    if setting == FLOOR:
        return _room(s, h, seed, (0.68, 0.78, 0.74), 0.0)
    if setting == MOON:
        if h < _ridge(s, seed, 0.0, 0.35, 1.1):
            return 0.40, 0.40, 0.42
        planet = _mix((0.12, 0.36, 0.86), (0.85, 0.94, 0.98), noise(s * 5, h * 7, seed))
        return _mix(_stars(s, h, seed, (0.01, 0.01, 0.02)), planet, _disc(s, h, seed, 0.3))
    if h < 0.12:
        return 0.05, 0.30, 0.62
    sky = _mix((0.80, 0.92, 0.98), (0.48, 0.74, 0.95), min(h / 2.4, 1.0))
    return _clouds(s, h, seed, sky)
