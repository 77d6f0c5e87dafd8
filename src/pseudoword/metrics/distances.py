"""Similarities and distances between sets of feature vectors, in float64 and without torch."""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

Vectors = NDArray[np.float64]
Kernel = Callable[[Vectors, Vectors], Vectors]

CMMD_SIGMA = 10.0
CMMD_SCALE = 1000.0
_NO_CHANGE = 1e-9


def cosine_matrix(a: ArrayLike, b: ArrayLike) -> Vectors:
    """Cosine similarity of every row of `a` (n, d) with every row of `b` (m, d): (n, m) in [-1, 1].

    Raises ValueError where a vector is zero, for it has no direction.
    """
    return np.clip(_unit(a) @ _unit(b).T, -1.0, 1.0)


def mean_cosine_to(images: ArrayLike, references: ArrayLike) -> Vectors:
    """Per image (n, d) the mean cosine to all references (m, d): (n,).

    Its mean over images is DINO or CLIP-I as DreamBooth defines them (arXiv 2208.12242, 4.1).
    """
    mean: Vectors = cosine_matrix(images, references).mean(axis=1)
    return mean


def directional_cosine(
    pictures: ArrayLike, references: ArrayLike, texts: ArrayLike, plain: ArrayLike
) -> Vectors:
    """Per row the cosine of picture - reference with text - plain text: (n,) in [-1, 1].

    All four (n, d), in CLIP's space, and taken to length 1 before the differences (StyleGAN-NADA,
    arXiv 2108.00946, section 4.1). 0 where a picture is its reference, or a text the
    plain text, for then nothing has changed in any direction. One row is enough, and the mean over
    rows is unbiased.
    """
    change, wanted = _unit(pictures) - _unit(references), _unit(texts) - _unit(plain)
    lengths = np.linalg.norm(change, axis=1), np.linalg.norm(wanted, axis=1)
    # What rounding leaves of no change at all has a direction, but means nothing.
    moved = np.minimum(*lengths) > _NO_CHANGE
    products = (change * wanted).sum(axis=1)
    cosines = np.divide(products, np.multiply(*lengths), out=np.zeros(len(moved)), where=moved)
    clipped: Vectors = np.clip(cosines, -1.0, 1.0)
    return clipped


def leave_one_out_cosine(photos: ArrayLike) -> Vectors:
    """Per photo (n, d) its mean cosine to the *other* photos: (n,), the ceiling of fidelity.

    The photo itself is left out: its cosine of 1 would lift the ceiling. Raises ValueError below
    two photos.
    """
    cosines = cosine_matrix(photos, photos)
    n = len(cosines)
    if n < 2:
        raise ValueError("the likeness among photos needs at least two of them")
    others: Vectors = (cosines.sum(axis=1) - np.diag(cosines)) / (n - 1)
    return others


def fid(a: ArrayLike, b: ArrayLike) -> float:
    """Fréchet distance of the Gaussians fitted to `a` (n, d) and `b` (m, d), at least 0.

    Exact for any n and m from 2 (arXiv 1706.08500, with unbiased covariances). With A and B centred
    and divided by sqrt(n - 1), tr((S_a S_b)^1/2) is the nuclear norm of A B^T, an (n, m) matrix: no
    matrix square root, no rank trouble.
    """
    first, second = _at_least_two(a), _at_least_two(b)
    gap = first.mean(axis=0) - second.mean(axis=0)
    first = (first - first.mean(axis=0)) / np.sqrt(len(first) - 1)
    second = (second - second.mean(axis=0)) / np.sqrt(len(second) - 1)
    spread = np.sum(first**2) + np.sum(second**2)
    overlap = np.linalg.norm(first @ second.T, ord="nuc")
    return max(float(gap @ gap + spread - 2.0 * overlap), 0.0)


def covariance_rank(n: int, d: int) -> int:
    """The greatest rank of a covariance of `n` vectors in `d` dimensions; print it beside a FID."""
    return min(n - 1, d)


def kid(a: ArrayLike, b: ArrayLike) -> float:
    """Unbiased squared MMD of `a` (n, d) and `b` (m, d) under the kernel (x.y/d + 1)^3.

    arXiv 1801.01401, section 4; over all pairs rather than random subsets, so that it is
    deterministic. Unbiased from 2 vectors a side on, hence negative at times.
    """
    return _unbiased_mmd(_at_least_two(a), _at_least_two(b), _polynomial_kernel)


def scd(a: ArrayLike, b: ArrayLike) -> float:
    """Squared distance of the means of `a` (n, d) and `b` (m, d), taken to length 1: unbiased.

    ||mean(a) - mean(b)||^2 less what the spread within the sets adds to it, Var_a / (n - 1) +
    Var_b / (m - 1) (LyCORIS, arXiv 2309.14859, equation 23: 1 - mean cosine = (SCD + Var_a + Var_b)
    / 2). The same as the squared MMD of a linear kernel over pairs of different pictures. From 2
    vectors a side on; at most 4, and below 0 at times.
    """
    return _unbiased_mmd(_unit(_at_least_two(a)), _unit(_at_least_two(b)), _linear_kernel)


def cmmd(a: ArrayLike, b: ArrayLike) -> float:
    """Unbiased squared MMD of `a` (n, d) and `b` (m, d), taken to length 1, times 1000.

    The kernel is exp(-||x - y||^2 / (2 sigma^2)) with sigma = 10 (arXiv 2401.09603, section 4). On
    vectors of length 1 it is nearly linear, so that CMMD is nearly 10 times SCD on the same
    features. The published code is the biased form, which counts each picture's likeness to itself.
    From 2 vectors a side on, and below 0 at times.
    """
    first, second = _unit(_at_least_two(a)), _unit(_at_least_two(b))
    return CMMD_SCALE * _unbiased_mmd(first, second, _gaussian_kernel)


def _unbiased_mmd(first: Vectors, second: Vectors, kernel: Kernel) -> float:
    """Mean kernel of different rows within each set, less twice the mean between the sets."""
    return (
        _mean_off_diagonal(kernel(first, first))
        + _mean_off_diagonal(kernel(second, second))
        - 2.0 * float(kernel(first, second).mean())
    )


def _linear_kernel(a: Vectors, b: Vectors) -> Vectors:
    kernel: Vectors = a @ b.T
    return kernel


def _gaussian_kernel(a: Vectors, b: Vectors) -> Vectors:
    """Less 1, which changes no MMD but keeps the digits that a kernel so near to 1 would lose."""
    squares = (a**2).sum(axis=1)[:, None] + (b**2).sum(axis=1) - 2.0 * (a @ b.T)
    kernel: Vectors = np.expm1(-squares / (2.0 * CMMD_SIGMA**2))
    return kernel


def _polynomial_kernel(a: Vectors, b: Vectors) -> Vectors:
    kernel: Vectors = (a @ b.T / a.shape[1] + 1.0) ** 3
    return kernel


def _mean_off_diagonal(kernel: Vectors) -> float:
    n = len(kernel)
    return float((kernel.sum() - np.trace(kernel)) / (n * (n - 1)))


def _at_least_two(vectors: ArrayLike) -> Vectors:
    array = np.asarray(vectors, dtype=np.float64)
    if array.ndim != 2 or len(array) < 2:
        raise ValueError(f"a distance of sets needs (n >= 2, d) vectors, not {array.shape}")
    return array


def _unit(vectors: ArrayLike) -> Vectors:
    array = np.asarray(vectors, dtype=np.float64)
    lengths = np.linalg.norm(array, axis=1, keepdims=True)
    if not np.all(lengths > 0):
        raise ValueError("a zero vector has no cosine")
    unit: Vectors = array / lengths
    return unit
