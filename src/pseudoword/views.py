"""What training sees of one photo: its central part, and on request random crops and mirrors."""

from dataclasses import dataclass
from math import sqrt

import numpy as np
from PIL import Image

from pseudoword.buckets import Shape

LEAST_SHARE = 0.5
"""A random crop shows at least this share of the area that the central one shows."""


ENLARGED = 2.0
"""Random crops that are enlarged more than this are told."""


@dataclass(frozen=True, eq=False)
class View:
    """One picture to train on.

    `pixels` is a read-only uint8 array (h, w, 3) in sRGB; `mask` a read-only float32 array (h, w)
    of weights in [0, 1], or None where all counts alike. `original_size` (h, w) is that of the
    upright picture in pixels, and `crop_top_left` (top, left) the view's corner in pixels of the
    scaled picture: what SDXL is conditioned on (arXiv 2307.01952, section 2.2). A mirrored view is
    the crop of a mirrored picture.
    """

    pixels: np.ndarray
    mask: np.ndarray | None
    original_size: Shape
    crop_top_left: tuple[int, int]


@dataclass(frozen=True)
class Box:
    """A part of a picture, in its pixels."""

    left: int
    top: int
    width: int
    height: int


def central_box(picture: Shape, shape: Shape) -> Box:
    """The largest part with the aspect ratio of `shape`, in the middle of the picture."""
    height, width = _largest(picture, shape)
    return Box((picture[1] - width) // 2, (picture[0] - height) // 2, width, height)


def random_box(picture: Shape, shape: Shape, sha256: str, index: int) -> Box:
    """Random crop `index` of the picture whose content hash is `sha256`.

    It has the aspect ratio of `shape`, and from half to all the area of the largest such part.
    """
    rng = np.random.default_rng([int(sha256, 16), index])
    scale = sqrt(rng.uniform(LEAST_SHARE, 1.0))
    height, width = (max(1, round(side * scale)) for side in _largest(picture, shape))
    top = int(rng.integers(picture[0] - height + 1))
    left = int(rng.integers(picture[1] - width + 1))
    return Box(left, top, width, height)


def _largest(picture: Shape, shape: Shape) -> Shape:
    (height, width), (rows, columns) = picture, shape
    if width * rows >= height * columns:
        return height, max(1, round(height * columns / rows))
    return max(1, round(width * rows / columns)), width


def make_views(
    image: Image.Image,
    mask: Image.Image | None,
    shape: Shape,
    sha256: str,
    crops: int,
    flip: bool,
    notes: list[str],
) -> tuple[View, ...]:
    """The central view, `crops` random ones, and with `flip` a mirror image of each, in this order.

    Views that the mask blacks out are left out, since they teach nothing: random ones with a note
    in `notes`, and all of them where the central one is black.
    """
    size = image.height, image.width
    boxes = [central_box(size, shape)]
    boxes += [random_box(size, shape, sha256, index) for index in range(crops)]
    made = [(box, cut_view(image, mask, box, shape)) for box in boxes]
    seen = [(box, view) for box, view in made if view.mask is None or view.mask.any()]
    if not seen or seen[0][0] is not boxes[0]:
        return ()
    if len(seen) < len(made):
        notes.append(
            f"random crops without any of what the mask counts, left out: {len(made) - len(seen)}"
        )
    least = min(box.width / shape[1] for box, _ in seen[1:]) if len(seen) > 1 else 1.0
    if least < 1 / ENLARGED:
        notes.append(f"random crops enlarged up to {1 / least:.1f} times")
    views = [view for _, view in seen]
    return (*views, *(mirrored(view, box) for box, view in seen if flip))


def cut_view(image: Image.Image, mask: Image.Image | None, box: Box, shape: Shape) -> View:
    """The part `box` of an RGB picture and of its grey mask, both scaled to `shape`."""
    pixels = np.array(_cut(image, box, shape, Image.Resampling.LANCZOS))
    pixels.flags.writeable = False
    weights = None
    if mask is not None:
        # Not Lanczos, which overshoots at edges.
        scaled = _cut(mask, box, shape, Image.Resampling.BILINEAR)
        weights = np.asarray(scaled).astype(np.float32) / np.float32(255)
        weights.flags.writeable = False
    scale = shape[0] / box.height, shape[1] / box.width
    corner = round(box.top * scale[0]), round(box.left * scale[1])
    return View(pixels, weights, (image.height, image.width), corner)


def _cut(image: Image.Image, box: Box, shape: Shape, resampling: Image.Resampling) -> Image.Image:
    if (box.width, box.height) != image.size:
        image = image.crop((box.left, box.top, box.left + box.width, box.top + box.height))
    size = (shape[1], shape[0])
    return image if image.size == size else image.resize(size, resampling, reducing_gap=3.0)


def mirrored(view: View, box: Box) -> View:
    """The mirror image of a view that is the part `box` of its picture."""
    right = view.original_size[1] - box.left - box.width
    left = round(right * view.pixels.shape[1] / box.width)
    mask = None if view.mask is None else _flipped(view.mask)
    corner = view.crop_top_left[0], left
    return View(_flipped(view.pixels), mask, view.original_size, corner)


def _flipped(array: np.ndarray) -> np.ndarray:
    flipped = np.ascontiguousarray(array[:, ::-1])
    flipped.flags.writeable = False
    return flipped
