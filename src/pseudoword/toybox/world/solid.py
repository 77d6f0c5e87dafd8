"""What the renderer marches: one of the sixteen shapes, and perhaps a hat on it."""

from pseudoword.toybox.world import shapes
from pseudoword.toybox.world.compiled import compiled
from pseudoword.toybox.world.primitives import cylinder, frustum
from pseudoword.toybox.world.shapes import HAT, Hit, Shape

Four = tuple[float, float, float, float]
Box = tuple[float, float, float, float, float, float]


@compiled
def toy_distance(kind: int, x: float, y: float, z: float, q: Shape) -> Hit:
    """(distance, material) of class number `kind` of CLASSES at a point."""
    if kind == 0:
        return shapes.ball(x, y, z, q)
    if kind == 1:
        return shapes.cube(x, y, z, q)
    if kind == 2:
        return shapes.mug(x, y, z, q)
    if kind == 3:
        return shapes.bottle(x, y, z, q)
    if kind == 4:
        return shapes.car(x, y, z, q)
    if kind == 5:
        return shapes.house(x, y, z, q)
    if kind == 6:
        return shapes.dog(x, y, z, q)
    if kind == 7:
        return shapes.duck(x, y, z, q)
    if kind == 8:
        return shapes.chair(x, y, z, q)
    if kind == 9:
        return shapes.robot(x, y, z, q)
    if kind == 10:
        return shapes.mushroom(x, y, z, q)
    if kind == 11:
        return shapes.lamp(x, y, z, q)
    if kind == 12:
        return shapes.teapot(x, y, z, q)
    if kind == 13:
        return shapes.tree(x, y, z, q)
    if kind == 14:
        return shapes.boat(x, y, z, q)
    return shapes.snowman(x, y, z, q)


@compiled
def hat_place(kind: int, q: Shape) -> tuple[float, float, float, float]:
    """(x, z, radius, depth): where a hat sits on class `kind`, seen from above, and how deep."""
    if kind == 4:
        return -0.16 - 0.15 * q[4], 0.0, 0.40, 0.02
    if kind == 5:
        return 0.0, 0.0, 0.36, 0.05
    if kind == 6:
        return 0.44 + 0.12 * q[0] + 0.2, 0.0, 0.30, 0.07
    if kind == 7:
        return 0.62 * (0.66 + 0.1 * q[0]), 0.0, 0.34, 0.07
    if kind == 8:
        return 0.0, -0.40, 0.34, 0.03
    if kind == 9:
        return 0.0, 0.0, 0.34, 0.30
    if kind == 12:
        return 0.0, 0.0, 0.36, 0.16
    if kind == 13:
        return 0.0, 0.0, 0.32, 0.14
    if kind == 14:
        return 0.02, 0.0, 0.30, 0.14
    if kind == 3:
        return 0.0, 0.0, 0.30, 0.05
    if kind == 15:
        return 0.0, 0.0, 0.34, 0.06
    return 0.0, 0.0, 0.42, 0.06


@compiled
def hat_distance(x: float, y: float, z: float, r: float) -> float:
    """A hat with a brim of radius r whose underside lies at y = 0."""
    brim = cylinder(x, y - 0.12 * r, z, r, 0.12 * r, 0.03)
    crown = frustum(x, y - 0.65 * r, z, 0.64 * r, 0.56 * r, 0.6 * r)
    return min(brim, crown)


@compiled
def distance(kind: int, shape: Shape, hat: Four, x: float, y: float, z: float) -> Hit:
    """(distance, material) of the toy and its hat (brim's x, y, z and radius; 0: no hat)."""
    d, m = toy_distance(kind, x, y, z, shape)
    if hat[3] > 0:
        e = hat_distance(x - hat[0], y - hat[1], z - hat[2], hat[3])
        if e < d:
            return e, HAT
    return d, m


@compiled
def span(
    bounds: Box, px: float, py: float, pz: float, dx: float, dy: float, dz: float
) -> tuple[float, float]:
    """Where a ray enters and leaves a box x0, x1, y0, y1, z0, z1 (Kay and Kajiya 1986).

    It misses the box where the second is below the first.
    """
    x0, x1, y0, y1, z0, z1 = bounds
    ix, iy, iz = 1.0 / dx, 1.0 / dy, 1.0 / dz
    ax, bx = (x0 - px) * ix, (x1 - px) * ix
    ay, by = (y0 - py) * iy, (y1 - py) * iy
    az, bz = (z0 - pz) * iz, (z1 - pz) * iz
    near = max(min(ax, bx), min(ay, by), min(az, bz))
    return max(near, 0.0), min(max(ax, bx), max(ay, by), max(az, bz))
