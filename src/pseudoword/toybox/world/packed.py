"""A scene as two rows of numbers, the form in which compiled code takes it."""

import math

from pseudoword.toybox.world.scene import SHAPE_PARAMETERS, Scene
from pseudoword.toybox.world.settings import SETTING_NAMES
from pseudoword.toybox.world.vocabulary import CLASSES, COLOURS, DETAILS, PATTERNS

# Places in the row of whole numbers ...
(KIND, SETTING, SEED, PATTERN, DETAIL, HAS_HAT, HAS_NEIGHBOUR) = range(7)
CODES = 7
# ... and in the row of real ones.
(AZIMUTH, ELEVATION, FILL, OFFSET_X, OFFSET_Y) = range(5)
(SUN_AZIMUTH, SUN_ELEVATION, SUN_STRENGTH) = range(5, 8)
(SCALE, ANGLE, PHASE, DETAIL_AT, DETAIL_SIZE, SIDE) = range(8, 14)
(BODY_RGB, SECOND_RGB, TRIM_RGB, HAT_RGB, NEIGHBOUR_RGB, SHAPE) = (14, 17, 20, 23, 26, 29)
NUMBERS = SHAPE + SHAPE_PARAMETERS

HAT, NEIGHBOUR, GROUND, SKY = 3, 4, 5, 6
"""What a ray hits besides the toy's own materials (`shapes.BODY`, SECOND and TRIM)."""


def pack(scene: Scene) -> tuple[list[int], list[float]]:
    """(CODES whole numbers, NUMBERS real ones); angles become radians."""
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
