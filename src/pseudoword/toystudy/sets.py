"""FID and KID as one has them on photos: to the photos, and to the untouched model's pictures."""

import numpy as np

from pseudoword.metrics.distances import fid, kid

SETS = {"fid_basic": fid, "kid_basic": kid, "fid_edit": fid, "kid_edit": kid}
"""Distances of one run's pictures of the basic and of the edit prompts."""


def set_distances(
    vectors: np.ndarray, basic: np.ndarray, photos: np.ndarray, untouched: np.ndarray | None
) -> dict[str, float]:
    """Every distance of SETS, of pictures (n, d) of which `basic` (n,) are of the basic prompt.

    `photos` (k, d) are the reference of those, `untouched` (m, d) of the others; None for the
    untouched model itself. NaN where there is no reference, or a set is smaller than two.
    """
    pairs = {"basic": (vectors[basic], photos), "edit": (vectors[~basic], untouched)}
    found = {}
    for name, distance in SETS.items():
        pictures, reference = pairs[name.partition("_")[2]]
        known = reference is not None and min(len(pictures), len(reference)) >= 2
        found[name] = distance(pictures, reference) if known and reference is not None else np.nan
    return found
