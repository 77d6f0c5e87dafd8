"""Pictures of scenes: every sample's ray meets the neighbour, the ground or the marched toy.

Colours are display-referred throughout (no gamma): full light is about 1, and a toy's colour in
full light is the colour that was asked for.
"""

import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numba import config

from pseudoword.toybox.world.compiled import compiled, entry_point
from pseudoword.toybox.world.pattern import (
    ROUND,
    detail_weight,
    pattern_weight,
    surface_point,
)
from pseudoword.toybox.world.scene import Scene
from pseudoword.toybox.world.settings import DEPTH, Colour, backdrop, ground
from pseudoword.toybox.world.shapes import BODY, DARK, HAT, TRIM
from pseudoword.toybox.world.solid import distance, span
from pseudoword.toybox.world.stage import Stage, build_stage
from pseudoword.toybox.world.styles import oil_painting, pencil_sketch, pixel_art

SAMPLES = 2
"""Samples a pixel and axis."""

FAR = 1e9
"""A distance beyond everything."""

NOTHING, THING, TOY = 0, 1, 2
"""What a ray meets: the setting, hat or neighbour, the toy."""

_ROUND = np.array(ROUND)
_FILTERS = {
    "pencil sketch": pencil_sketch,
    "oil painting": oil_painting,
    "pixel art": pixel_art,
}


def render(scene: Scene, size: int = 64) -> np.ndarray:
    """The picture of `scene`: uint8 (size, size, 3), sRGB."""
    image, shares = _draw(build_stage(scene), size)
    if scene.style in _FILTERS:
        image = _FILTERS[scene.style](image, shares[:, :, 1], scene.setting_seed)
    return np.asarray(np.rint(image * 255), dtype=np.uint8)


def render_mask(scene: Scene, size: int = 64) -> np.ndarray:
    """Where the toy itself is seen, in any style: float (size, size) in [0, 1]."""
    _, shares = _draw(build_stage(scene), size)
    return np.asarray(shares[:, :, 0])


def render_many(scenes: Sequence[Scene], size: int = 64, threads: int | None = None) -> np.ndarray:
    """The pictures of `scenes`: uint8 (n, size, size, 3).

    They are drawn by `threads` threads (default: numba's number, NUMBA_NUM_THREADS), which does
    not change a bit of them.
    """
    out = np.empty((len(scenes), size, size, 3), np.uint8)

    def one(index: int) -> None:
        out[index] = render(scenes[index], size)

    workers = threads or config.NUMBA_NUM_THREADS  # type: ignore[attr-defined]
    with ThreadPoolExecutor(workers) as pool:
        for _ in pool.map(one, range(len(scenes))):
            pass
    return out


Memory = np.ndarray
"""What a pixel's first sample found and the others share, because it varies slowly: for the toy
and for the ground each the distance along the ray (0: none yet), light share and openness."""


@compiled
def _march(st: Stage, dx: float, dy: float, dz: float) -> tuple[float, int]:
    """(distance along the camera's ray, material) of the toy or hat; distance -1 if missed."""
    px, py, pz = st.eye
    t, far = span(st.bounds, px, py, pz, dx, dy, dz)
    for _ in range(64):
        if t > far:
            break
        d, m = distance(st.kind, st.shape, st.hat, px + t * dx, py + t * dy, pz + t * dz)
        if d < 0.004:
            return t, m
        t += 0.92 * d
    return -1.0, 0


@compiled
def _toy_shadow(st: Stage, x: float, y: float, z: float, start: float) -> float:
    """The share of the main light that toy and hat let through to a point, with soft edges.

    Quilez, "Soft shadows in raymarched SDFs": the narrowest angle between ray and surface.
    """
    lx, ly, lz = st.light
    near, far = span(st.bounds, x, y, z, lx, ly, lz)
    t = max(near, start)
    share = 1.0
    for _ in range(24):
        if t > far or share < 0.02:
            break
        d = distance(st.kind, st.shape, st.hat, x + t * lx, y + t * ly, z + t * lz)[0]
        share = min(share, max(0.5 + 5.0 * d / t, 0.0))
        t += max(d, 0.03)
    return share


@compiled
def _ball_shadow(st: Stage, x: float, y: float, z: float) -> float:
    """The share of the main light that the neighbour lets through to a point."""
    bx, by, bz, r = st.ball
    if r == 0:
        return 1.0
    lx, ly, lz = st.light
    cx, cy, cz = bx - x, by - y, bz - z
    along = cx * lx + cy * ly + cz * lz
    if along <= 0:
        return 1.0
    off = math.sqrt(max(cx * cx + cy * cy + cz * cz - along * along, 0.0)) - r
    return min(max(0.5 + 5.0 * off / along, 0.0), 1.0)


@compiled
def _body_colour(
    st: Stage, x: float, y: float, z: float, nx: float, ny: float, nz: float
) -> Colour:
    scale, angle, phase, place, size, front = st.paint
    c = st.colours
    u, v = surface_point(_ROUND[st.kind], x, y, z, nx, ny, nz)
    w = pattern_weight(st.pattern, u, v, scale, angle, phase)
    e = 0.0
    if st.detail != 0:
        facing = nx * math.sin(front) + nz * math.cos(front)
        e = detail_weight(st.detail, x, y, z, facing, place, size, st.box, front)
    r = (c[0, 0] * (1 - w) + c[1, 0] * w) * (1 - e) + c[5, 0] * e
    g = (c[0, 1] * (1 - w) + c[1, 1] * w) * (1 - e) + c[5, 1] * e
    b = (c[0, 2] * (1 - w) + c[1, 2] * w) * (1 - e) + c[5, 2] * e
    return r, g, b


@compiled
def _shade(
    st: Stage, rgb: Colour, nx: float, ny: float, nz: float,
    dx: float, dy: float, dz: float, lit: float, open_: float,
) -> Colour:  # fmt: skip
    """Diffuse, a highlight (Blinn 1977), and a rim that keeps black toys visible."""
    lx, ly, lz = st.light
    facing = max(nx * lx + ny * ly + nz * lz, 0.0) * lit
    hx, hy, hz = lx - dx, ly - dy, lz - dz
    half = (nx * hx + ny * hy + nz * hz) / math.sqrt(hx * hx + hy * hy + hz * hz)
    half = max(half, 0.0) ** 2
    half *= half
    half *= half * half * half
    gloss = 0.22 * half * half * half * lit
    rim = 0.17 * (1.0 + min(nx * dx + ny * dy + nz * dz, 0.0)) ** 2
    sky = open_ * (0.82 + 0.18 * ny)
    a, s = st.ambient, st.sun
    r = rgb[0] * (a[0] * sky + s[0] * facing * 1.12) + gloss + rim * a[0]
    g = rgb[1] * (a[1] * sky + s[1] * facing * 1.12) + gloss + rim * a[1]
    b = rgb[2] * (a[2] * sky + s[2] * facing * 1.12) + gloss + rim * a[2]
    return r, g, b


@compiled
def _toy_colour(
    st: Stage, memory: Memory, t: float, m: int, dx: float, dy: float, dz: float
) -> Colour:
    x, y, z = st.eye[0] + t * dx, st.eye[1] + t * dy, st.eye[2] + t * dz
    kind, shape, hat, h = st.kind, st.shape, st.hat, 0.003
    d0 = distance(kind, shape, hat, x + h, y - h, z - h)[0]
    d1 = distance(kind, shape, hat, x - h, y - h, z + h)[0]
    d2 = distance(kind, shape, hat, x - h, y + h, z - h)[0]
    d3 = distance(kind, shape, hat, x + h, y + h, z + h)[0]
    nx, ny, nz = d0 - d1 - d2 + d3, -d0 - d1 + d2 + d3, -d0 + d1 - d2 + d3
    norm = math.sqrt(nx * nx + ny * ny + nz * nz) + 1e-12
    nx, ny, nz = nx / norm, ny / norm, nz / norm
    c = st.colours
    if m == BODY:
        rgb = _body_colour(st, x, y, z, nx, ny, nz)
    elif m == TRIM:
        rgb = (c[2, 0], c[2, 1], c[2, 2])
    elif m == HAT:
        rgb = (c[3, 0], c[3, 1], c[3, 2])
    elif m == DARK:
        rgb = (0.08, 0.08, 0.10)
    else:
        rgb = (0.95, 0.93, 0.82)
    if abs(t - memory[0]) > 0.04:
        memory[0] = t
        ox, oy, oz = x + 0.02 * nx, y + 0.02 * ny, z + 0.02 * nz
        memory[1] = 0.0
        if nx * st.light[0] + ny * st.light[1] + nz * st.light[2] > 0:
            memory[1] = min(_toy_shadow(st, ox, oy, oz, 0.05), _ball_shadow(st, ox, oy, oz))
        gap = distance(kind, shape, hat, x + 0.15 * nx, y + 0.15 * ny, z + 0.15 * nz)[0]
        open_ = 0.6 + 0.4 * min(max(gap / 0.15, 0.0), 1.0)
        memory[2] = open_ * min(0.75 + 0.8 * max(y - st.floor, 0.0), 1.0)
    return _shade(st, rgb, nx, ny, nz, dx, dy, dz, memory[1], memory[2])


@compiled
def _ball_colour(st: Stage, t: float, dx: float, dy: float, dz: float) -> Colour:
    x, y, z = st.eye[0] + t * dx, st.eye[1] + t * dy, st.eye[2] + t * dz
    bx, by, bz, r = st.ball
    rgb = (st.colours[4, 0], st.colours[4, 1], st.colours[4, 2])
    lit = _toy_shadow(st, x, y, z, 0.02)
    open_ = min(0.7 + 0.8 * (y - st.floor), 1.0)
    return _shade(st, rgb, (x - bx) / r, (y - by) / r, (z - bz) / r, dx, dy, dz, lit, open_)


@compiled
def _ground_colour(
    st: Stage, memory: Memory, ray: float, x: float, z: float, s: float, t: float
) -> Colour:
    rgb = ground(st.setting, s, t, st.seed)
    if abs(ray - memory[3]) > 0.3:
        memory[3] = ray
        y = st.floor + 0.002
        memory[4] = min(_toy_shadow(st, x, y, z, 0.01), _ball_shadow(st, x, y, z))
        memory[5] = 1.0
        x0, x1, _, _, z0, z1 = st.bounds
        if x0 - 0.35 < x < x1 + 0.35 and z0 - 0.35 < z < z1 + 0.35:
            gap = distance(st.kind, st.shape, st.hat, x, y + 0.12, z)[0]
            memory[5] = 0.55 + 0.45 * min(max((gap + 0.1) / 0.45, 0.0), 1.0)
    a, c = st.ambient, st.sun
    open_, sun = memory[5], memory[4] * (0.35 + 0.65 * st.light[1]) * 1.08
    return (
        rgb[0] * (a[0] * open_ + c[0] * sun),
        rgb[1] * (a[1] * open_ + c[1] * sun),
        rgb[2] * (a[2] * open_ + c[2] * sun),
    )


@compiled
def _meet_ball(st: Stage, dx: float, dy: float, dz: float) -> float:
    """The distance along the camera's ray to the neighbour, or FAR."""
    bx, by, bz, r = st.ball
    if r == 0:
        return FAR
    ox, oy, oz = st.eye[0] - bx, st.eye[1] - by, st.eye[2] - bz
    half = ox * dx + oy * dy + oz * dz
    inside = half * half - (ox * ox + oy * oy + oz * oz - r * r)
    return -half - math.sqrt(inside) if inside > 0 else FAR


@compiled
def _trace(
    st: Stage, memory: Memory, dx: float, dy: float, dz: float
) -> tuple[float, float, float, int]:
    """Red, green, blue of the ray from the camera, and what it meets."""
    px, py, pz = st.eye
    cosine, sine = st.yaw
    floor = (st.floor - py) / dy if dy < -1e-9 else FAR
    away = -(dx * sine + dz * cosine)
    wall = (DEPTH + px * sine + pz * cosine) / away if away > 1e-9 else FAR
    nearest = min(floor, wall)
    ball = _meet_ball(st, dx, dy, dz)
    toy, m = _march(st, dx, dy, dz)
    if 0 < toy < min(nearest, ball):
        r, g, b = _toy_colour(st, memory, toy, m, dx, dy, dz)
        return r, g, b, THING if m == HAT else TOY
    if ball < nearest:
        r, g, b = _ball_colour(st, ball, dx, dy, dz)
        return r, g, b, THING
    x, z = px + nearest * dx, pz + nearest * dz
    s = x * cosine - z * sine
    if floor < wall:
        r, g, b = _ground_colour(st, memory, floor, x, z, s, -(x * sine + z * cosine))
    else:
        r, g, b = backdrop(st.setting, s, py + nearest * dy - st.floor, st.seed)
    return r, g, b, NOTHING


@entry_point
def _draw(st: Stage, size: int) -> tuple[np.ndarray, np.ndarray]:
    """The picture (size, size, 3) in [0, 1] and the shares of each pixel (size, size, 2) that the
    toy has, and that toy, hat and neighbour have together."""
    image, shares = np.zeros((size, size, 3)), np.zeros((size, size, 2))
    right, up, forward = st.frame
    focal, shift_right, shift_up = st.lens
    each = 1.0 / (SAMPLES * SAMPLES)
    memory = np.zeros(6)
    for i in range(size):
        for j in range(size):
            memory[:] = 0.0
            for k in range(SAMPLES * SAMPLES):
                u = (j + (k % SAMPLES + 0.5) / SAMPLES) / size * 2 - 1 + shift_right
                v = 1 - (i + (k // SAMPLES + 0.5) / SAMPLES) / size * 2 + shift_up
                dx = forward[0] + (u * right[0] + v * up[0]) / focal
                dy = forward[1] + (u * right[1] + v * up[1]) / focal
                dz = forward[2] + (u * right[2] + v * up[2]) / focal
                n = math.sqrt(dx * dx + dy * dy + dz * dz)
                r, g, b, met = _trace(st, memory, dx / n, dy / n, dz / n)
                image[i, j, 0] += min(max(r, 0.0), 1.0) * each
                image[i, j, 1] += min(max(g, 0.0), 1.0) * each
                image[i, j, 2] += min(max(b, 0.0), 1.0) * each
                shares[i, j, 0] += each if met == TOY else 0.0
                shares[i, j, 1] += each if met != NOTHING else 0.0
    return image, shares
