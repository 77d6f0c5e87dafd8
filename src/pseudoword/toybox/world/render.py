"""Pictures of scenes: every sample's ray meets the neighbour, the ground or the marched toy.

Colours are display-referred throughout (no gamma): full light is about 1, and a toy's colour in
full light is the colour that was asked for.
"""

import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numba
import numpy as np
from numba import njit

from pseudoword.toybox.world.pattern import ROUND, detail_weight, pattern_weight, surface_point
from pseudoword.toybox.world.scene import Scene
from pseudoword.toybox.world.settings import DEPTH, backdrop, ground
from pseudoword.toybox.world.shapes import BODY, DARK, HAT, PALE, TRIM, hat_distance, toy_distance
from pseudoword.toybox.world.stage import Stage, build_stage
from pseudoword.toybox.world.styles import oil_painting, pencil_sketch, pixel_art

SAMPLES = 2
"""Samples a pixel and axis."""

_ROUND = np.array(ROUND)
_FILTERS = {
    "pencil sketch": pencil_sketch,
    "oil painting": oil_painting,
    "pixel art": pixel_art,
}


def render(scene: Scene, size: int = 64) -> np.ndarray:
    """The picture of `scene`: uint8 (size, size, 3), sRGB."""
    image, _ = _draw(build_stage(scene), size)
    if scene.style in _FILTERS:
        image = _FILTERS[scene.style](image, scene.setting_seed)
    return np.asarray(np.rint(image * 255), dtype=np.uint8)


def render_mask(scene: Scene, size: int = 64) -> np.ndarray:
    """Where the toy itself is seen, in any style: float (size, size) in [0, 1]."""
    _, mask = _draw(build_stage(scene), size)
    return np.asarray(mask)


def render_many(scenes: Sequence[Scene], size: int = 64, threads: int | None = None) -> np.ndarray:
    """The pictures of `scenes`: uint8 (n, size, size, 3).

    They are drawn by `threads` threads (default: numba's number, NUMBA_NUM_THREADS), which does
    not change a bit of them.
    """
    out = np.empty((len(scenes), size, size, 3), np.uint8)

    def one(index: int) -> None:
        out[index] = render(scenes[index], size)

    with ThreadPoolExecutor(threads or numba.config.NUMBA_NUM_THREADS) as pool:
        for _ in pool.map(one, range(len(scenes))):
            pass
    return out


@njit(cache=True)
def _distance(st: Stage, x: float, y: float, z: float) -> tuple[float, int]:
    d, m = toy_distance(st.kind, x, y, z, st.shape)
    if st.hat[3] > 0:
        e = hat_distance(x - st.hat[0], y - st.hat[1], z - st.hat[2], st.hat[3])
        if e < d:
            return e, HAT
    return d, m


@njit(cache=True)
def _span(
    b: np.ndarray, px: float, py: float, pz: float, dx: float, dy: float, dz: float
) -> tuple[float, float]:
    """Where a ray enters and leaves the box x0, x1, y0, y1, z0, z1 (Kay and Kajiya 1986)."""
    near, far = 0.0, 1e9
    for axis in range(3):
        p = px if axis == 0 else (py if axis == 1 else pz)
        d = dx if axis == 0 else (dy if axis == 1 else dz)
        if abs(d) < 1e-9:
            d = 1e-9
        t0, t1 = (b[2 * axis] - p) / d, (b[2 * axis + 1] - p) / d
        near, far = max(near, min(t0, t1)), min(far, max(t0, t1))
    return near, far


@njit(cache=True)
def _march(
    st: Stage, b: np.ndarray, px: float, py: float, pz: float, dx: float, dy: float, dz: float
) -> tuple[float, int]:
    """(distance along the ray, material) of the toy or hat; distance -1 if missed."""
    t, far = _span(b, px, py, pz, dx, dy, dz)
    for _ in range(64):
        if t > far:
            break
        d, m = _distance(st, px + t * dx, py + t * dy, pz + t * dz)
        if d < 0.004:
            return t, m
        t += 0.92 * d
    return -1.0, 0


@njit(cache=True)
def _lit(st: Stage, b: np.ndarray, x: float, y: float, z: float, own: bool) -> float:
    """The share of the main light that reaches a point, in [0, 1], with soft edges."""
    lx, ly, lz = st.light
    share = 1.0
    if st.ball[3] > 0:
        cx, cy, cz = st.ball[0] - x, st.ball[1] - y, st.ball[2] - z
        along = cx * lx + cy * ly + cz * lz
        if along > 0:
            off = math.sqrt(max(cx * cx + cy * cy + cz * cz - along * along, 0.0)) - st.ball[3]
            share = min(max(0.5 + 5.0 * off / along, 0.0), 1.0)
    near, far = _span(b, x, y, z, lx, ly, lz)
    t = max(near, 0.05 if own else 0.01)
    for _ in range(24):
        if t > far or share < 0.02:
            break
        d = _distance(st, x + t * lx, y + t * ly, z + t * lz)[0]
        share = min(share, max(0.5 + 5.0 * d / t, 0.0))
        t += max(d, 0.03)
    return max(share, 0.0)


@njit(cache=True)
def _body_colour(
    st: Stage, x: float, y: float, z: float, nx: float, ny: float, nz: float
) -> tuple[float, float, float]:
    u, v = surface_point(_ROUND[st.kind], x, y, z, nx, ny, nz)
    p = st.paint
    w = pattern_weight(st.pattern, u, v, p[0], p[1], p[2])
    facing = nx * math.sin(p[5]) + nz * math.cos(p[5])
    e = detail_weight(st.detail, x, y, z, facing, p[3], p[4], st.box, p[5])
    c = st.colours
    r = (c[0, 0] * (1 - w) + c[1, 0] * w) * (1 - e) + c[5, 0] * e
    g = (c[0, 1] * (1 - w) + c[1, 1] * w) * (1 - e) + c[5, 1] * e
    b = (c[0, 2] * (1 - w) + c[1, 2] * w) * (1 - e) + c[5, 2] * e
    return r, g, b


@njit(cache=True)
def _shade(
    st: Stage, rgb: tuple[float, float, float],
    nx: float, ny: float, nz: float, dx: float, dy: float, dz: float,
    lit: float, open_: float,
) -> tuple[float, float, float]:  # fmt: skip
    """Diffuse, a highlight (Blinn 1977), and a rim that keeps black toys visible."""
    lx, ly, lz = st.light
    facing = max(nx * lx + ny * ly + nz * lz, 0.0) * lit
    hx, hy, hz = lx - dx, ly - dy, lz - dz
    half = (nx * hx + ny * hy + nz * hz) / math.sqrt(hx * hx + hy * hy + hz * hz)
    gloss = 0.22 * max(half, 0.0) ** 40 * lit
    rim = 0.13 * (1.0 + min(nx * dx + ny * dy + nz * dz, 0.0)) ** 2
    sky = open_ * (0.82 + 0.18 * ny)
    a, s = st.ambient, st.colours[6]
    r = rgb[0] * (a[0] * sky + s[0] * facing * 1.12) + gloss + rim * a[0]
    g = rgb[1] * (a[1] * sky + s[1] * facing * 1.12) + gloss + rim * a[1]
    b = rgb[2] * (a[2] * sky + s[2] * facing * 1.12) + gloss + rim * a[2]
    return r, g, b


@njit(cache=True)
def _toy_colour(
    st: Stage, b: np.ndarray, m: int,
    x: float, y: float, z: float, dx: float, dy: float, dz: float,
) -> tuple[float, float, float]:  # fmt: skip
    h = 0.003
    d0 = _distance(st, x + h, y - h, z - h)[0]
    d1 = _distance(st, x - h, y - h, z + h)[0]
    d2 = _distance(st, x - h, y + h, z - h)[0]
    d3 = _distance(st, x + h, y + h, z + h)[0]
    nx, ny, nz = d0 - d1 - d2 + d3, -d0 - d1 + d2 + d3, -d0 + d1 - d2 + d3
    size = math.sqrt(nx * nx + ny * ny + nz * nz) + 1e-12
    nx, ny, nz = nx / size, ny / size, nz / size
    if m == BODY:
        rgb = _body_colour(st, x, y, z, nx, ny, nz)
    elif m == TRIM:
        rgb = (st.colours[2, 0], st.colours[2, 1], st.colours[2, 2])
    elif m == HAT:
        rgb = (st.colours[3, 0], st.colours[3, 1], st.colours[3, 2])
    elif m == DARK:
        rgb = (0.08, 0.08, 0.10)
    else:
        rgb = (0.95, 0.93, 0.82)
    lit = 0.0
    if nx * st.light[0] + ny * st.light[1] + nz * st.light[2] > 0:
        lit = _lit(st, b, x + 0.02 * nx, y + 0.02 * ny, z + 0.02 * nz, True)
    gap = _distance(st, x + 0.15 * nx, y + 0.15 * ny, z + 0.15 * nz)[0]
    open_ = 0.6 + 0.4 * min(max(gap / 0.15, 0.0), 1.0)
    open_ *= min(0.75 + 0.8 * max(y - st.floor, 0.0), 1.0)
    return _shade(st, rgb, nx, ny, nz, dx, dy, dz, lit, open_)


@njit(cache=True)
def _ground_colour(
    st: Stage, b: np.ndarray, x: float, z: float, s: float, t: float
) -> tuple[float, float, float]:
    rgb = ground(st.setting, s, t, st.seed)
    y = st.floor + 0.002
    lit = _lit(st, b, x, y, z, False)
    open_ = 1.0
    if b[0] - 0.4 < x < b[1] + 0.4 and b[4] - 0.4 < z < b[5] + 0.4:
        gap = _distance(st, x, y + 0.12, z)[0]
        open_ = 0.55 + 0.45 * min(max((gap + 0.1) / 0.45, 0.0), 1.0)
    a, c = st.ambient, st.colours[6]
    sun = lit * (0.35 + 0.65 * st.light[1]) * 1.08
    return (
        rgb[0] * (a[0] * open_ + c[0] * sun),
        rgb[1] * (a[1] * open_ + c[1] * sun),
        rgb[2] * (a[2] * open_ + c[2] * sun),
    )


@njit(cache=True)
def _trace(
    st: Stage, b: np.ndarray, dx: float, dy: float, dz: float
) -> tuple[float, float, float, float]:
    """Red, green, blue of the ray from the camera, and 1 if it meets the toy, else 0."""
    px, py, pz = st.camera[0]
    # The stage's own axes: s to the right, t away from the camera.
    cs, sn = math.cos(st.yaw), math.sin(st.yaw)
    t_floor = (st.floor - py) / dy if dy < -1e-9 else 1e9
    away = -(dx * sn + dz * cs)
    t_wall = (DEPTH + px * sn + pz * cs) / away if away > 1e-9 else 1e9
    nearest = min(t_floor, t_wall)
    if st.ball[3] > 0:
        ox, oy, oz = px - st.ball[0], py - st.ball[1], pz - st.ball[2]
        half = ox * dx + oy * dy + oz * dz
        inside = half * half - (ox * ox + oy * oy + oz * oz - st.ball[3] ** 2)
        t_ball = -half - math.sqrt(inside) if inside > 0 else 1e9
    else:
        t_ball = 1e9
    t_toy, m = _march(st, b, px, py, pz, dx, dy, dz)
    if 0 < t_toy < min(nearest, t_ball):
        x, y, z = px + t_toy * dx, py + t_toy * dy, pz + t_toy * dz
        red, green, blue = _toy_colour(st, b, m, x, y, z, dx, dy, dz)
        return red, green, blue, 0.0 if m == HAT else 1.0
    if t_ball < nearest:
        x, y, z = px + t_ball * dx, py + t_ball * dy, pz + t_ball * dz
        r = st.ball[3]
        nx, ny, nz = (x - st.ball[0]) / r, (y - st.ball[1]) / r, (z - st.ball[2]) / r
        rgb = (st.colours[4, 0], st.colours[4, 1], st.colours[4, 2])
        lit = _toy_shadow(st, b, x, y, z, nx, ny, nz)
        open_ = min(0.7 + 0.8 * (y - st.floor), 1.0)
        red, green, blue = _shade(st, rgb, nx, ny, nz, dx, dy, dz, lit, open_)
        return red, green, blue, 0.0
    x, z = px + nearest * dx, pz + nearest * dz
    s = x * cs - z * sn
    if t_floor < t_wall:
        red, green, blue = _ground_colour(st, b, x, z, s, -(x * sn + z * cs))
    else:
        red, green, blue = backdrop(st.setting, s, py + nearest * dy - st.floor, st.seed)
    return red, green, blue, 0.0


@njit(cache=True)
def _toy_shadow(
    st: Stage, b: np.ndarray, x: float, y: float, z: float, nx: float, ny: float, nz: float
) -> float:
    """The light that the toy leaves to a point of the neighbour."""
    lx, ly, lz = st.light
    t, far = _span(b, x, y, z, lx, ly, lz)
    t = max(t, 0.02)
    share = 1.0
    for _ in range(24):
        if t > far:
            break
        d = _distance(st, x + t * lx, y + t * ly, z + t * lz)[0]
        share = min(share, max(0.5 + 5.0 * d / t, 0.0))
        t += max(d, 0.03)
    return share


@njit(cache=True, nogil=True)
def _draw(st: Stage, size: int) -> tuple[np.ndarray, np.ndarray]:
    """The picture (size, size, 3) in [0, 1] and the toy's share of each pixel (size, size)."""
    b = st.box.copy()
    if st.hat[3] > 0:
        r = st.hat[3] + 0.02
        b[0], b[1] = min(b[0], st.hat[0] - r), max(b[1], st.hat[0] + r)
        b[3] = max(b[3], st.hat[1] + 1.3 * r)
        b[4], b[5] = min(b[4], st.hat[2] - r), max(b[5], st.hat[2] + r)
    image, mask = np.zeros((size, size, 3)), np.zeros((size, size))
    right, up, forward, lens = st.camera[1], st.camera[2], st.camera[3], st.camera[4]
    each = 1.0 / (SAMPLES * SAMPLES)
    for i in range(size):
        for j in range(size):
            for k in range(SAMPLES * SAMPLES):
                u = (j + (k % SAMPLES + 0.5) / SAMPLES) / size * 2 - 1 + lens[1]
                v = 1 - (i + (k // SAMPLES + 0.5) / SAMPLES) / size * 2 + lens[2]
                dx = forward[0] + (u * right[0] + v * up[0]) / lens[0]
                dy = forward[1] + (u * right[1] + v * up[1]) / lens[0]
                dz = forward[2] + (u * right[2] + v * up[2]) / lens[0]
                n = math.sqrt(dx * dx + dy * dy + dz * dz)
                red, green, blue, toy = _trace(st, b, dx / n, dy / n, dz / n)
                image[i, j, 0] += min(max(red, 0.0), 1.0) * each
                image[i, j, 1] += min(max(green, 0.0), 1.0) * each
                image[i, j, 2] += min(max(blue, 0.0), 1.0) * each
                mask[i, j] += toy * each
    return image, mask
