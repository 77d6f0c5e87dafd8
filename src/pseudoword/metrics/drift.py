"""What training did to everything else the model draws: pictures of prompts without the concept."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from pseudoword.metrics.distances import Vectors, cosine_matrix
from pseudoword.metrics.stats import Array, interval, resamples, weighted_means

Subject = Literal["class", "other"]


def same_seed_drift(untouched: ArrayLike, tuned: ArrayLike) -> Vectors:
    """Per row (1 - cosine) / 2 of two pictures of one prompt from one noise: (n,), 0 to 1.

    `untouched` and `tuned` are (n, d). As in peft's method_comparison/image-gen. One row is enough,
    and the mean over rows is unbiased; but no encoder sees 0 where a single pixel has changed.
    """
    cosines = np.diag(cosine_matrix(untouched, tuned))
    drift: Vectors = (1.0 - cosines) / 2.0
    return drift


@dataclass(frozen=True)
class Drift:
    """PRES and drift by arm, as cells (seeds, prompts, image seeds) of prompts without the concept.

    `kinds` tells of each prompt whether it asks for the class noun or for something else. `pres`
    has the "class" prompts alone; `drift` has all of them, and is absent for the untouched model.
    """

    kinds: Sequence[Subject]
    pres: Mapping[str, Array]
    drift: Mapping[str, Array]

    def scores(self, arm: str) -> dict[str, Any]:
        """The rows "pres" and "drift" of an arm's scores, as far as its pictures were drawn.

        Resampled like all scores (see `stats`), but over these prompts. `drift` also has its mean
        of each kind under "kinds".
        """
        found: dict[str, Any] = {}
        if arm in self.pres and self.pres[arm].size:
            chosen = [kind for kind in self.kinds if kind == "class"]
            found["pres"] = _estimate(self.pres[arm], chosen)
        if arm in self.drift and self.drift[arm].size:
            cells = self.drift[arm]
            by_kind = {
                kind: float(cells[:, [k == kind for k in self.kinds]].mean())
                for kind in dict.fromkeys(self.kinds)
            }
            found["drift"] = _estimate(cells, self.kinds) | {"kinds": by_kind}
        return found


def _estimate(cells: Array, kinds: Sequence[Subject]) -> dict[str, Any]:
    strata = np.array([int(kind == "other") for kind in kinds], dtype=np.int64)
    sampled = resamples(len(cells), strata, draws=0)
    return asdict(interval(weighted_means(cells.mean(axis=2), sampled), sampled, cells.size))
