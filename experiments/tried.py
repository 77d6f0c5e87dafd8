"""Reads variants.csv: the worth of each variant as curves over steps, by toy."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

DEFAULTS = "defaults"
UNTOUCHED = "untouched"
Curve = np.ndarray
"""Worth after 0, 1, 2 ... steps: straight between snapshots, and as it ended after the last."""


@dataclass(frozen=True)
class Tried:
    """What one variant gave, by toy."""

    name: str
    axis: str
    steps: tuple[int, ...]
    curves: Mapping[int, Curve]
    """By toy; all as long as the longest training of the method's defaults."""


def read_tried(table: Path) -> dict[str, list[Tried]]:
    """The variants of each method in a variants.csv, in its order."""
    rows = pd.read_csv(table, keep_default_na=False)
    base = rows[rows["method"] == UNTOUCHED].set_index("toy")["worth"]
    found = {}
    for method, own in rows[rows["method"] != UNTOUCHED].groupby("method", sort=False):
        length = own.loc[own["variant"] == DEFAULTS, "step"].max()
        found[str(method)] = [
            Tried(
                name,
                axis,
                (0, *(int(step) for step in of_variant["step"].unique())),
                {
                    int(toy): np.interp(
                        np.arange(length + 1),
                        [0, *of_toy["step"]],
                        [base[toy], *of_toy["worth"]],
                    )
                    for toy, of_toy in of_variant.groupby("toy")
                },
            )
            for (name, axis), of_variant in own.groupby(["variant", "axis"], sort=False)
        ]
    return found
