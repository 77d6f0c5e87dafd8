"""What a row of the table of metrics says."""

from dataclasses import dataclass
from typing import Literal

Role = Literal["clip", "dino", "inception"]


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
