"""Draws scenes: rays marched through the toy's distance function, four samples a pixel."""

import math
from collections.abc import Sequence

import numpy as np

from pseudoword.toybox.world.compiled import jit, parallel_jit, prange
from pseudoword.toybox.world.packed import CODES, GROUND, NUMBERS, SEED, SETTING, SKY, pack
from pseudoword.toybox.world.scene import Scene
from pseudoword.toybox.world.settings import ground, sky
from pseudoword.toybox.world.shapes import TRIM
from pseudoword.toybox.world.stage import (
    BACK,
    CENTRE,
    EYE,
    HALF,
    REACH,
    RIGHT,
    SEA_LEVEL,
    UP,
    set_stage,
)
from pseudoword.toybox.world.styles import apply_style
from pseudoword.toybox.world.surface import key_light, lit, nearest_object, normal, paint

SAMPLES = 2
"""Samples a pixel along each axis."""
MARCH_STEPS = 56
HORIZON = 60.0


def render(scene: Scene, size: int = 64) -> np.ndarray:
    """The picture of a scene: uint8 (size, size, 3)."""
    picture: np.ndarray = render_many([scene], size)[0]
    return picture


def render_many(scenes: Sequence[Scene], size: int = 64) -> np.ndarray:
    """Pictures of scenes: uint8 (n, size, size, 3), in parallel over pictures."""
    colours, materials = _draw_packed(scenes, size)
    return np.stack(
        [
            apply_style(colour, material, scene.style)
            for colour, material, scene in zip(colours, materials, scenes, strict=True)
        ]
    )


def toy_mask(scene: Scene, size: int = 64) -> np.ndarray:
    """Where the toy itself is seen: bool (size, size), true where most samples hit it."""
    _, materials = _draw_packed([scene], size)
    return np.asarray(materials[0] <= TRIM)


def _draw_packed(scenes: Sequence[Scene], size: int) -> tuple[np.ndarray, np.ndarray]:
    packed = [pack(scene) for scene in scenes]
    codes = np.array([code for code, _ in packed], np.int64).reshape(-1, CODES)
    numbers = np.array([number for _, number in packed], np.float64).reshape(-1, NUMBERS)
    colours, materials = _draw_all(codes, numbers, size)
    return colours, materials


@parallel_jit
def _draw_all(codes, numbers, size):
    n = len(codes)
    colours = np.zeros((n, size, size, 3), np.float32)
    materials = np.zeros((n, size, size), np.uint8)
    for i in prange(n):
        _draw(codes[i], numbers[i], size, colours[i], materials[i])
    return colours, materials


@jit
def _draw(code, number, size, colour, material):
    """Fills one picture: the mean of each pixel's samples, and what most of them hit."""
    stage = set_stage(code, number)
    samples = SAMPLES * size
    for row in range(size):
        for column in range(size):
            votes = np.zeros(SKY + 1, np.int64)
            red = green = blue = 0.0
            for sample in range(SAMPLES * SAMPLES):
                u = (column * SAMPLES + sample % SAMPLES + 0.5) / samples * 2 - 1
                v = 1 - (row * SAMPLES + sample // SAMPLES + 0.5) / samples * 2
                m, r, g, b = _see(code, number, stage, u, v)
                votes[m] += 1
                red, green, blue = red + r, green + g, blue + b
            n = SAMPLES * SAMPLES
            colour[row, column, 0] = min(red / n, 1.0)
            colour[row, column, 1] = min(green / n, 1.0)
            colour[row, column, 2] = min(blue / n, 1.0)
            material[row, column] = votes.argmax()


@jit
def _see(code, number, stage, u, v):
    """(material, red, green, blue) at a place of the frame; u and v run from -1 to 1."""
    a, b = u * HALF, v * HALF
    dx = stage[RIGHT] * a + stage[UP] * b - stage[BACK]
    dy = stage[UP + 1] * b - stage[BACK + 1]
    dz = stage[RIGHT + 2] * a + stage[UP + 2] * b - stage[BACK + 2]
    k = 1 / math.sqrt(dx * dx + dy * dy + dz * dz)
    dx, dy, dz = dx * k, dy * k, dz * k
    m, t = _march(code, number, stage, dx, dy, dz)
    if m == SKY:
        # frame units above the horizon line
        rise = (dy / math.sqrt(dx * dx + dz * dz)) / (2 * HALF)
        above = sky(code[SETTING], u * 0.5, rise, code[SEED])
        return m, above[0], above[1], above[2]
    x, y, z = stage[EYE] + dx * t, stage[EYE + 1] + dy * t, stage[EYE + 2] + dz * t
    if m == GROUND:
        rgb = ground(code[SETTING], x, z, min(t / 40.0, 1.0), code[SEED])
        nx, ny, nz = 0.0, 1.0, 0.0
    else:
        rgb = paint(code, number, stage, m, x, y, z)
        nx, ny, nz = normal(code, number, stage, x, y, z)
    key = key_light(code, number, stage, x, y, z, nx, ny, nz)
    seen = lit(code, stage, m, rgb, key, y, nx, ny, nz, dx, dy, dz)
    return m, seen[0], seen[1], seen[2]


@jit
def _march(code, number, stage, dx, dy, dz):
    """(material, distance) of what a ray from the eye hits first."""
    ex, ey, ez = stage[EYE], stage[EYE + 1], stage[EYE + 2]
    t_ground = (stage[SEA_LEVEL] - ey) / dy if dy < -1e-4 else 1e9
    # march inside the sphere around everything
    px, py, pz = ex - stage[CENTRE], ey - stage[CENTRE + 1], ez - stage[CENTRE + 2]
    q = px * dx + py * dy + pz * dz
    disc = q * q - (px * px + py * py + pz * pz - stage[REACH] * stage[REACH])
    if disc > 0:
        t = max(-q - math.sqrt(disc), 0.0)
        end = min(-q + math.sqrt(disc), t_ground)
        for _ in range(MARCH_STEPS):
            if t > end:
                break
            d, m = nearest_object(code, number, stage, ex + dx * t, ey + dy * t, ez + dz * t)
            if d < 0.004:
                return m, t
            t += d * 0.92
    if t_ground < HORIZON:
        return GROUND, t_ground
    return SKY, 0.0
