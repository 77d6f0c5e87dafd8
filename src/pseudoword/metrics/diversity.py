"""How different pictures are from each other, in float64 and without torch."""

import numpy as np
from numpy.typing import ArrayLike

from pseudoword.metrics.distances import Vectors, cosine_matrix


def embedding_diversity(vectors: ArrayLike) -> float:
    """Mean of 1 - cosine over all pairs of different rows of `vectors` (n, d): 0 to 2.

    No row is paired with itself (DIV, as LPIPS has it in DreamBooth, arXiv 2208.12242, section 4.3,
    here with embeddings). Unbiased from 2 rows on; raises ValueError below.
    """
    return float(1.0 - _off_diagonal(cosine_matrix(vectors, vectors)).mean())


def perceptual_diversity(places: ArrayLike) -> float:
    """Mean squared distance over all pairs of different rows of `places` (n, p): 0 to 4.

    Rows are `perceptual.coarse_features`, for which this is a distance after LPIPS (arXiv
    1801.03924, equation 1). Unbiased from 2 rows on; raises ValueError below.
    """
    rows = np.asarray(places, dtype=np.float64)
    squares = (rows**2).sum(axis=1)
    distances = squares[:, None] + squares - 2.0 * (rows @ rows.T)
    return float(np.maximum(_off_diagonal(distances), 0.0).mean())


def vendi(vectors: ArrayLike) -> float:
    """The effective number of different rows of `vectors` (n, d): 1 (all the same) to n.

    exp of the entropy -sum(l log l) of the eigenvalues l of K / n, with K the cosines (Friedman &
    Dieng, arXiv 2210.02410, definition 3.1). More rows give more, so compare at equal n. Defined
    from 1 row on, and says something from 2 on.
    """
    cosines = cosine_matrix(vectors, vectors)
    eigenvalues = np.linalg.eigvalsh(cosines / len(cosines))
    # Rounding makes some of them slightly negative, where 0 log 0 = 0 belongs.
    positive = eigenvalues[eigenvalues > 0]
    return float(np.exp(-(positive * np.log(positive)).sum()))


def _off_diagonal(matrix: Vectors) -> Vectors:
    n = len(matrix)
    if n < 2:
        raise ValueError("diversity needs at least two pictures")
    found: Vectors = matrix[~np.eye(n, dtype=bool)]
    return found
