"""Draws scenes: rays marched through the toy's distance function, four samples a pixel."""

import math
from collections.abc import Sequence

import numpy as np
from numba import njit, prange

from pseudoword.toybox.world.scene import Scene
from pseudoword.toybox.world.settings import LIGHTS, SETTING_NAMES, ground, sky
from pseudoword.toybox.world.shapes import BODY, SECOND, TRIM, cylinder, toy_distance
from pseudoword.toybox.world.styles import apply_style
from pseudoword.toybox.world.vocabulary import CLASSES, COLOURS, DETAILS, PATTERNS

FIELD_OF_VIEW = math.radians(32.0)
SAMPLES = 2
"""Samples a pixel along each axis."""
GRID = 18
HAT, NEIGHBOUR, GROUND, SKY = 3, 4, 5, 6

# Numbers a scene is packed into for the compiled code.
(KIND, SETTING, SEED, PATTERN, DETAIL, HAS_HAT, HAS_NEIGHBOUR) = range(7)
(AZIMUTH, ELEVATION, FILL, OFFSET_X, OFFSET_Y) = range(5)
(SUN_AZIMUTH, SUN_ELEVATION, SUN) = range(5, 8)
(SCALE, ANGLE, PHASE, DETAIL_AT, DETAIL_SIZE, SIDE) = range(8, 14)
(BODY_RGB, SECOND_RGB, TRIM_RGB, HAT_RGB, NEIGHBOUR_RGB, SHAPE) = (14, 17, 20, 23, 26, 29)
NUMBERS = SHAPE + 6

jit = njit(cache=True, fastmath=True, error_model="numpy")


def render(scene: Scene, size: int = 64) -> np.ndarray:
    """The picture of a scene: uint8 (size, size, 3)."""
    picture: np.ndarray = render_many([scene], size)[0]
    return picture


def render_many(scenes: Sequence[Scene], size: int = 64) -> np.ndarray:
    """Pictures of scenes: uint8 (n, size, size, 3), in parallel over pictures."""
    packed = [_pack(scene) for scene in scenes]
    codes = np.array([code for code, _ in packed], np.int64).reshape(-1, 7)
    numbers = np.array([number for _, number in packed], np.float64).reshape(-1, NUMBERS)
    colours, materials = _draw_all(codes, numbers, size)
    return np.stack(
        [
            apply_style(colour, material, scene.style)
            for colour, material, scene in zip(colours, materials, scenes, strict=True)
        ]
    )


def toy_mask(scene: Scene, size: int = 64) -> np.ndarray:
    """Where the toy itself is seen: bool (size, size), true where most samples hit it."""
    code, number = _pack(scene)
    _, materials = _draw_all(np.array([code]), np.array([number]), size)
    return np.asarray(materials[0] <= TRIM)


def _pack(scene: Scene) -> tuple[list[int], list[float]]:
    toy, camera, light = scene.toy, scene.camera, scene.light
    code = [
        CLASSES.index(toy.class_noun),
        SETTING_NAMES.index(scene.setting),
        scene.setting_seed % 100_003,
        PATTERNS.index(toy.pattern_name),
        DETAILS.index(toy.detail),
        scene.hat is not None,
        scene.neighbour is not None,
    ]
    number = [
        math.radians(camera.azimuth), math.radians(camera.elevation),
        camera.fill, camera.offset_x, camera.offset_y,
        math.radians(light.azimuth), math.radians(light.elevation), light.strength,
        toy.pattern_scale, math.radians(toy.pattern_angle), toy.pattern_phase,
        toy.detail_at, toy.detail_size, scene.neighbour_side,
        *toy.body, *toy.second, *toy.trim,
        *COLOURS[scene.hat or "white"], *COLOURS[scene.neighbour or "white"],
        *toy.shape,
    ]  # fmt: skip
    return code, number


@njit(cache=True, parallel=True, error_model="numpy")
def _draw_all(codes, numbers, size):
    n = len(codes)
    colours = np.zeros((n, size, size, 3), np.float32)
    materials = np.zeros((n, size, size), np.uint8)
    for i in prange(n):
        _draw(codes[i], numbers[i], size, colours[i], materials[i])
    return colours, materials


@jit
def _surface_points(kind, shape):
    """Grid points near the surface (m, 3) and the anchor for a hat: the highest of them."""
    points = np.empty((GRID**3, 3))
    count = 0
    top = -1.0
    hx, hz, tops = 0.0, 0.0, 0
    step = 4.4 / (GRID - 1)
    for i in range(GRID):
        for j in range(GRID):
            for k in range(GRID):
                x, y, z = -2.2 + step * i, (j + 0.5) * 3.8 / GRID, -2.2 + step * k
                d, m = toy_distance(kind, x, y, z, shape)
                if d < 0.09:
                    points[count] = x, y, z
                    count += 1
                    # A dog wears its hat on the head, not on the ears.
                    if m != TRIM or kind != 6:
                        if y > top + 1e-9:
                            top, hx, hz, tops = y, 0.0, 0.0, 0
                        if y > top - 1e-9:
                            hx, hz, tops = hx + x, hz + z, tops + 1
    hx, hz = hx / max(tops, 1), hz / max(tops, 1)
    y = top + 0.45
    for _ in range(40):
        d, _m = toy_distance(kind, hx, y, hz, shape)
        if d < 0.01:
            break
        y -= d * 0.9
    return points[:count], hx, max(y, 0.3), hz


@jit
def _hat_distance(x, y, z, r):
    d = cylinder(x, y - 0.08 * r, z, r, 0.08 * r)
    return min(d, cylinder(x, y - 0.55 * r, z, 0.62 * r, 0.5 * r))


@jit
def _object(code, number, extra, x, y, z):
    """(distance, material) of toy, hat and neighbour."""
    d, m = toy_distance(code[KIND], x, y, z, number[SHAPE:])
    if code[HAS_HAT]:
        e = _hat_distance(x - extra[0], y - extra[1], z - extra[2], extra[3])
        if e < d:
            d, m = e, HAT
    if code[HAS_NEIGHBOUR]:
        a, b, c = x - extra[4], y - extra[5], z - extra[6]
        e = math.sqrt(a * a + b * b + c * c) - extra[5]
        if e < d:
            d, m = e, NEIGHBOUR
    return d, m


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
def _shadow(code, number, extra, x, y, z, lx, ly, lz):
    """Share of the key light that reaches a point, soft (penumbra from the nearest miss)."""
    light, t = 1.0, 0.08
    for _ in range(22):
        d, _m = _object(code, number, extra, x + lx * t, y + ly * t, z + lz * t)
        if d < 0.004:
            return 0.0
        light = min(light, 9.0 * d / t)
        t += max(d, 0.05)
        if t > 4.5:
            break
    return light


@jit
def _draw(code, number, size, colour, material):
    kind, setting, seed = code[KIND], code[SETTING], code[SEED]
    points, hx, hy, hz = _surface_points(kind, number[SHAPE:])
    sa, ca = math.sin(number[AZIMUTH]), math.cos(number[AZIMUTH])
    se, ce = math.sin(number[ELEVATION]), math.cos(number[ELEVATION])
    # camera axes: right, up, and back (from the toy to the camera)
    rx, rz = ca, -sa
    bx, by, bz = sa * ce, se, ca * ce
    ux, uy, uz = -sa * se, ce, -ca * se
    height = 0.0
    u0, u1, v0, v1, w1 = 1e9, -1e9, 1e9, -1e9, -1e9
    for i in range(len(points)):
        x, y, z = points[i]
        u, v, w = rx * x + rz * z, ux * x + uy * y + uz * z, bx * x + by * y + bz * z
        u0, u1, v0, v1, w1 = min(u0, u), max(u1, u), min(v0, v), max(v1, v), max(w1, w)
        height = max(height, y)
    toy_radius = max(u1 - u0, v1 - v0) / 2
    extra = np.zeros(8)
    if code[HAS_HAT]:
        r = 0.42 * toy_radius
        extra[0], extra[1], extra[2], extra[3] = hx, hy, hz, r
        v1 = max(v1, ux * hx + uy * (hy + 1.05 * r) + uz * hz)
    if code[HAS_NEIGHBOUR]:
        r = 0.40 * toy_radius
        u = u1 + 0.95 * r if number[SIDE] > 0 else u0 - 0.95 * r
        extra[4], extra[5], extra[6] = rx * u + bx * 0.3, r, rz * u + bz * 0.3
        if number[SIDE] > 0:
            u1 = u1 + 1.3 * r
        else:
            u0 = u0 - 1.3 * r
    cu, cv = (u0 + u1) / 2, (v0 + v1) / 2
    radius = max(u1 - u0, v1 - v0) / 2
    half = math.tan(FIELD_OF_VIEW / 2)
    distance = radius / (number[FILL] * half) + w1 * 0.5
    # The centre of the bounding box sits in the middle of the frame but for the offset.
    ox, oy, oz = rx * cu + ux * cv, uy * cv, rz * cu + uz * cv
    ex, ey, ez = ox + bx * distance, oy + by * distance, oz + bz * distance
    ex -= (rx * number[OFFSET_X] + ux * number[OFFSET_Y]) * 2 * half * distance
    ey -= uy * number[OFFSET_Y] * 2 * half * distance
    ez -= (rz * number[OFFSET_X] + uz * number[OFFSET_Y]) * 2 * half * distance
    # A low camera never goes under the ground.
    ey = max(ey, 0.25)
    ka = number[AZIMUTH] + number[SUN_AZIMUTH]
    kl = math.cos(number[SUN_ELEVATION])
    lx, ly, lz = math.sin(ka) * kl, math.sin(number[SUN_ELEVATION]), math.cos(ka) * kl
    lights = LIGHTS[setting]
    reach = 0.0
    for i in range(len(points)):
        x, y, z = points[i]
        reach = max(reach, math.sqrt((x - ox) ** 2 + (y - oy) ** 2 + (z - oz) ** 2))
    if code[HAS_HAT]:
        up = math.sqrt((hx - ox) ** 2 + (hy - oy) ** 2 + (hz - oz) ** 2)
        reach = max(reach, up + 1.3 * extra[3])
    if code[HAS_NEIGHBOUR]:
        aside = math.sqrt((extra[4] - ox) ** 2 + (extra[5] - oy) ** 2 + (extra[6] - oz) ** 2)
        reach = max(reach, aside + extra[5])
    reach += 0.12
    water = 0.16 * height if setting == 11 else 0.0
    samples = SAMPLES * size
    for row in range(size):
        for column in range(size):
            votes = np.zeros(7, np.int64)
            total0, total1, total2 = 0.0, 0.0, 0.0
            for sample in range(SAMPLES * SAMPLES):
                u = (column * SAMPLES + sample % SAMPLES + 0.5) / samples * 2 - 1
                v = 1 - (row * SAMPLES + sample // SAMPLES + 0.5) / samples * 2
                a, b = u * half, v * half
                dx, dy, dz = rx * a + ux * b - bx, uy * b - by, rz * a + uz * b - bz
                k = 1 / math.sqrt(dx * dx + dy * dy + dz * dz)
                dx, dy, dz = dx * k, dy * k, dz * k
                # march inside the sphere around everything
                px, py, pz = ex - ox, ey - oy, ez - oz
                q = px * dx + py * dy + pz * dz
                disc = q * q - (px * px + py * py + pz * pz - reach * reach)
                m = SKY
                t_ground = (water - ey) / dy if dy < -1e-4 else 1e9
                t = 0.0
                if disc > 0:
                    t = max(-q - math.sqrt(disc), 0.0)
                    end = min(-q + math.sqrt(disc), t_ground)
                    for _ in range(56):
                        if t > end:
                            break
                        d, mm = _object(code, number, extra, ex + dx * t, ey + dy * t, ez + dz * t)
                        if d < 0.004:
                            m = mm
                            break
                        t += d * 0.92
                if m == SKY and t_ground < 60.0:
                    m, t = GROUND, t_ground
                votes[m] += 1
                x, y, z = ex + dx * t, ey + dy * t, ez + dz * t
                if m == SKY:
                    # frame units above the horizon line
                    c = sky(
                        setting, u * 0.5, (dy / math.sqrt(dx * dx + dz * dz)) / (2 * half), seed
                    )
                    total0, total1, total2 = total0 + c[0], total1 + c[1], total2 + c[2]
                    continue
                if m == GROUND:
                    far = min(t / 40.0, 1.0)
                    c = ground(setting, x, z, far, seed)
                    nx, ny, nz = 0.0, 1.0, 0.0
                else:
                    e = 0.008
                    d0, _m = _object(code, number, extra, x, y, z)
                    d1, _m = _object(code, number, extra, x + e, y, z)
                    d2, _m = _object(code, number, extra, x, y + e, z)
                    d3, _m = _object(code, number, extra, x, y, z + e)
                    nx, ny, nz = d1 - d0, d2 - d0, d3 - d0
                    k = 1 / max(math.sqrt(nx * nx + ny * ny + nz * nz), 1e-9)
                    nx, ny, nz = nx * k, ny * k, nz * k
                    at = BODY_RGB
                    if (m == BODY and _is_second(code, number, x, y, z, height)) or m == SECOND:
                        at = SECOND_RGB
                    elif m == TRIM:
                        at = TRIM_RGB
                    elif m == HAT:
                        at = HAT_RGB
                    elif m == NEIGHBOUR:
                        at = NEIGHBOUR_RGB
                    c = (number[at], number[at + 1], number[at + 2])
                key = max(nx * lx + ny * ly + nz * lz, 0.0)
                # A ray to the light that misses the sphere around everything is free.
                px, py, pz = x - ox, y - oy, z - oz
                q = px * lx + py * ly + pz * lz
                near = px * px + py * py + pz * pz - q * q < (reach + 0.25) ** 2
                if key > 0 and near:
                    key *= _shadow(
                        code, number, extra, x + nx * 0.02, y + ny * 0.02, z + nz * 0.02, lx, ly, lz
                    )
                key *= number[SUN] * 0.78
                ao = 0.75 + 0.25 * ny
                if m != GROUND:
                    ao *= 0.8 + 0.2 * min(y / 0.4, 1.0)
                shine = 0.0
                rim = 0.0
                if m != GROUND:
                    gx, gy, gz = lx - dx, ly - dy, lz - dz
                    k = 1 / math.sqrt(gx * gx + gy * gy + gz * gz)
                    g = max((nx * gx + ny * gy + nz * gz) * k, 0.0)
                    shine = 0.22 * g**28 * min(key * 2, 1.0)
                    f = 1.0 + (nx * dx + ny * dy + nz * dz)
                    rim = 0.16 * f * f * f
                total0 += c[0] * (key * lights[0] + ao * lights[3]) + shine + rim * lights[3]
                total1 += c[1] * (key * lights[1] + ao * lights[4]) + shine + rim * lights[4]
                total2 += c[2] * (key * lights[2] + ao * lights[5]) + shine + rim * lights[5]
            n = SAMPLES * SAMPLES
            colour[row, column, 0] = min(total0 / n, 1.0)
            colour[row, column, 1] = min(total1 / n, 1.0)
            colour[row, column, 2] = min(total2 / n, 1.0)
            material[row, column] = votes.argmax()
