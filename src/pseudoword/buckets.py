"""Shapes of training pictures that keep a photo's own shape and about the model's area.

The scheme is NovelAI's aspect ratio bucketing ("NovelAI Improvements on Stable Diffusion", 2022),
in the form that kohya-ss/sd-scripts gave it: sides are multiples of a step, the area never exceeds
the square's, and each picture goes to the bucket of the nearest aspect ratio.
"""

from math import log

MAX_RATIO = 2.0
"""The longer side by the shorter one; what is longer is cropped."""

Shape = tuple[int, int]
"""(height, width) in pixels."""


def bucket_step(size: int) -> int:
    """Sides are multiples of this many pixels: an eighth of `size`, to the multiple of 8."""
    return max(8, round(size / 64) * 8)


def bucket_shapes(size: int) -> tuple[Shape, ...]:
    """All shapes for a model of `size` x `size` pixels, from the tallest to the widest."""
    step = bucket_step(size)
    shapes = {(size, size)}
    for short in range(step, size, step):
        long = size * size // short // step * step
        if long <= MAX_RATIO * short:
            shapes |= {(short, long), (long, short)}
    return tuple(sorted(shapes, key=lambda shape: shape[1] / shape[0]))


def nearest_bucket(shape: Shape, size: int) -> Shape:
    """The shape whose aspect ratio is nearest that of a picture, by the ratio of the two."""
    height, width = shape

    def distance(bucket: Shape) -> tuple[float, int]:
        return abs(log(width / height * bucket[0] / bucket[1])), -bucket[0] * bucket[1]

    return min(bucket_shapes(size), key=distance)
