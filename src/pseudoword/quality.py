"""What can be told of a photo cheaply: whether it is blurred, or nearly the same as another.

The thresholds are measured in docs/decisions/vetting.md.
"""

from collections.abc import Sequence

import numpy as np
from PIL import Image

BLURRED = 400.0
"""Less sharpness than this is blur."""
NEARLY_SAME = 20
"""Pictures whose hashes differ in at most so many of 128 bits are nearly the same."""

TILES = 8
HASH_SIDE = 8


def sharpness(pixels: np.ndarray) -> float:
    """The variance of the Laplacian (Pech-Pacheco et al., ICPR 2000) at half size, where sharpest.

    `pixels` are uint8 (size, size, 3) at the model's size: at half of that, blur that a model
    would learn shows. The picture is cut into 8 x 8 tiles and the sharpest counts, so that a plain
    or blurred background takes nothing away.
    """
    side = pixels.shape[0] // 2
    grey = Image.fromarray(pixels).convert("L").resize((side, side), Image.Resampling.LANCZOS)
    values = np.asarray(grey).astype(np.float64)
    centre = values[1:-1, 1:-1]
    around = values[:-2, 1:-1] + values[2:, 1:-1] + values[1:-1, :-2] + values[1:-1, 2:]
    laplacian = around - 4 * centre
    tile = len(laplacian) // TILES
    kept = laplacian[: tile * TILES, : tile * TILES]
    variances = kept.reshape(TILES, tile, TILES, tile).var(axis=(1, 3))
    return float(variances.max())


def is_blurred(pixels: np.ndarray, short_side: int) -> bool:
    """Whether a photo is blurred; `short_side` is its own, in pixels.

    One that was enlarged more than twice is soft anyway, and is told to be small instead.
    """
    return 2 * short_side >= pixels.shape[0] and sharpness(pixels) < BLURRED


def difference_hash(pixels: np.ndarray) -> np.ndarray:
    """128 bits (bool) of a picture: whether it brightens to the right, and downwards, in 8 x 8.

    N. Krawetz, "Kind of Like That" (2013), with B. Hoyt's second half for the other direction.
    """
    count = HASH_SIDE + 1
    grey = Image.fromarray(pixels).convert("L").resize((count, count), Image.Resampling.BOX)
    values = np.asarray(grey).astype(int)
    right = values[:-1, 1:] > values[:-1, :-1]
    down = values[1:, :-1] > values[:-1, :-1]
    return np.concatenate([right.ravel(), down.ravel()])


def near_duplicates(pictures: Sequence[np.ndarray]) -> dict[int, int]:
    """By the index of a picture, the first one before it that is nearly the same."""
    hashes = [difference_hash(pixels) for pixels in pictures]
    found = {}
    for index, bits in enumerate(hashes):
        for earlier in range(index):
            if np.count_nonzero(bits != hashes[earlier]) <= NEARLY_SAME:
                found[index] = earlier
                break
    return found
