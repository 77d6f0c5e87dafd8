"""Are pictures copies of training photos? Against how alike those photos are to each other.

After Meehan et al. (arXiv 2004.05675) and the nearest-neighbour checks of Carlini et al. (arXiv
2301.13188, section 4): a picture that is nearer to a training photo than any two of the photos are
to each other has copied it.
"""

import numpy as np
from numpy.typing import ArrayLike

from pseudoword.metrics.distances import Vectors, cosine_matrix

PAIRS = 6
PAIRS_OF_ONE_PHOTO = 2


def nearest_cosine(pictures: ArrayLike, photos: ArrayLike) -> Vectors:
    """Per picture (n, d) its greatest cosine to a training photo (k, d): (n,) in [-1, 1].

    The minimum is over photos for each picture. (MIFID in torchmetrics takes it over pictures for
    each photo, which sees whether photos are covered and not whether pictures are copies.) From 1
    photo on; grows with the number of photos.
    """
    nearest: Vectors = cosine_matrix(pictures, photos).max(axis=1)
    return nearest


def copy_limit(photos: ArrayLike) -> float | None:
    """The greatest cosine of two different training photos (k, d), in [-1, 1]; None for one photo.

    Photos that are nearly the same put it so high that no copy is found: see `pseudoword photos`.
    """
    cosines = cosine_matrix(photos, photos)
    n = len(cosines)
    return float(cosines[~np.eye(n, dtype=bool)].max()) if n > 1 else None


def copied(nearest: Vectors, limit: float) -> Vectors:
    """Per picture 1 where it is nearer to a training photo than `limit`, otherwise 0: (n,)."""
    found: Vectors = (nearest > limit).astype(np.float64)
    return found


def nearest_pairs(cosines: Vectors) -> list[tuple[int, int]]:
    """The nearest (picture, photo) pairs by `cosines` (n, k), the nearest first.

    At most `PAIRS` of them, a picture once with its nearest photo, and at most
    `PAIRS_OF_ONE_PHOTO` of one photo, so that the same copy does not fill the list.
    """
    nearest = cosines.argmax(axis=1)
    order = np.argsort(-cosines.max(axis=1), kind="stable")
    chosen: list[tuple[int, int]] = []
    for picture in order.tolist():
        if len(chosen) == PAIRS:
            break
        photo = int(nearest[picture])
        if sum(other == photo for _, other in chosen) < PAIRS_OF_ONE_PHOTO:
            chosen.append((picture, photo))
    return chosen
