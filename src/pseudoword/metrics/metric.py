"""What a row of the table of metrics says."""

import math
from dataclasses import dataclass
from typing import Literal

Role = Literal["clip", "dino", "inception"]

RANGES: dict[str, tuple[float, float]] = {
    "share": (0.0, 1.0),
    "cosine": (-1.0, 1.0),
    "1 - cosine": (0.0, 2.0),
    "(1 - cosine) / 2": (0.0, 1.0),
    "pictures": (1.0, math.inf),
}
"""Where true values lie, by unit; unbiased distances may fall below zero and are left as found."""


@dataclass(frozen=True)
class Metric:
    """One metric: its names, its direction, its definition, its limits and where it is from.

    `smallest_n` is the number of pictures a side below which there is no value. `explanation` is
    for people who know no statistics, `formula` and `bias` for those who do. The oracle is no
    encoder of a user's choice: it judges toys of the toybox, and nothing else.
    """

    title: str
    about: str
    higher_is_better: bool
    unit: str
    smallest_n: int
    explanation: str
    formula: str
    bias: str
    encoder: Role | Literal["oracle"]
    source: str
