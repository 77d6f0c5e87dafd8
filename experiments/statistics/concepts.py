"""How often intervals over concepts hold the truth, with and without prompts as a factor."""

import numpy as np

from pseudoword.metrics.across import across
from pseudoword.metrics.stats import LEVEL
from pseudoword.metrics.verdict import SURE

EFFECTS = {
    "DINO": (0.147, 0.071, 0.123),
    "CLIP-T": (0.012, 0.021, 0.061),
}
"""Standard deviations of one method by concept, by prompt (the same in all concepts), and rest."""


def concepts(metric: str, n_concepts: int, n_prompts: int, studies: int) -> dict[str, float]:
    """Coverage of the difference of two of three equal methods, and how often one is the best.

    "crossed" is with concepts and prompts as factors, "concepts" with concepts alone.
    """
    of_concept, of_prompt, rest = EFFECTS[metric]
    held: dict[str, list[bool]] = {"crossed": [], "concepts": []}
    winners = 0
    for study in range(studies):
        rng = np.random.default_rng([5, study])
        tables = {
            name: of_concept * rng.normal(size=(n_concepts, 1))
            + of_prompt * rng.normal(size=(1, n_prompts))
            + rest * rng.normal(size=(n_concepts, n_prompts))
            for name in "abc"
        }
        found = across(tables, draws=500)
        alone = across({m: t.mean(axis=1) for m, t in tables.items()}, draws=2)
        for name, result in (("crossed", found), ("concepts", alone)):
            row = result["differences"][0]
            held[name].append(row["low"] <= 0 <= row["high"])
        winners += any(_wins(name, found) for name in tables)
    return {name: float(np.mean(v)) for name, v in held.items()} | {"winner": winners / studies}


def _wins(name: str, found: dict[str, object]) -> bool:
    """Whether a method is the best with certainty, as a verdict would have it."""
    p_best, rows = found["p_best"], found["differences"]
    assert isinstance(p_best, dict) and isinstance(rows, list)
    own = [row for row in rows if name in (row["a"], row["b"])]
    return p_best[name] >= SURE and all(row["p_holm"] < LEVEL for row in own)
