"""How often intervals over concepts hold the truth, with and without prompts as a factor.

And how often the verdict over concepts names a winner of two equal methods.
"""

import numpy as np
from components import LENGTH
from verdicts import EQUAL

from pseudoword.metrics.across import across, primary_across
from pseudoword.metrics.across_verdict import verdict_across
from pseudoword.metrics.stats import LEVEL, Array
from pseudoword.metrics.verdict import SURE, overall_score

EFFECTS = {
    "DINO": (0.147, 0.071, 0.123),
    "CLIP-T": (0.012, 0.021, 0.061),
}
"""Standard deviations of one method by concept, by prompt (the same in all concepts), and rest."""
ON_SCALE = [
    tuple(deviation / length for deviation in deviations)
    for deviations, length in zip(EFFECTS.values(), LENGTH.values(), strict=True)
]
"""The same of fidelity and adherence."""


def concepts(metric: str, n_concepts: int, n_prompts: int, studies: int) -> dict[str, float]:
    """Coverage of the difference of two of three equal methods, and how often one is the best.

    "crossed" is with concepts and prompts as factors, "concepts" with concepts alone.
    """
    held: dict[str, list[bool]] = {"crossed": [], "concepts": []}
    winners, prompts = 0, np.ones(n_prompts)
    for study in range(studies):
        rng = np.random.default_rng([5, study])
        tables = {name: _luck(rng, EFFECTS[metric], n_concepts, prompts) for name in "abc"}
        found = across(tables, draws=500)
        alone = across({m: t.mean(axis=1) for m, t in tables.items()}, draws=2)
        for name, result in (("crossed", found), ("concepts", alone)):
            row = result["differences"][0]
            held[name].append(row["low"] <= 0 <= row["high"])
        winners += any(_wins(name, found) for name in tables)
    return {name: float(np.mean(v)) for name, v in held.items()} | {"winner": winners / studies}


def _luck(
    rng: np.random.Generator,
    deviations: tuple[float, ...],
    n_concepts: int,
    prompts: Array,
) -> Array:
    """One method's luck (C, P); `prompts` (P,) is 0 where a prompt's luck is none, else 1."""
    of_concept, of_prompt, rest = deviations
    luck: Array = (
        of_concept * rng.normal(size=(n_concepts, 1))
        + of_prompt * rng.normal(size=(1, len(prompts))) * prompts
        + rest * rng.normal(size=(n_concepts, len(prompts)))
    )
    return luck


def _wins(name: str, found: dict[str, object]) -> bool:
    """Whether a method is the best with certainty, as a verdict would have it."""
    p_best, rows = found["p_best"], found["differences"]
    assert isinstance(p_best, dict) and isinstance(rows, list)
    own = [row for row in rows if name in (row["a"], row["b"])]
    return p_best[name] >= SURE and all(row["p_holm"] < LEVEL for row in own)


def equal_over_concepts(n_concepts: int, n_prompts: int, studies: int) -> dict[str, float]:
    """How often `verdict_across` names one of two equal methods as the winner.

    All concepts share the prompts, of which the first is plain and the same in every study. Luck in
    likeness and in adherence is independent. "crossed" is with concepts and prompts as factors, as
    a summary has it; "concepts" with the concepts' own scores alone.
    """
    basic = np.arange(n_prompts) == 0
    names, winners = {"a": "a", "b": "b"}, {"crossed": 0, "concepts": 0}
    for study in range(studies):
        rng = np.random.default_rng([6, study])
        fidelity, adherence = (
            {m: level + _luck(rng, of, n_concepts, (~basic).astype(float)) for m in names}
            for level, of in zip(EQUAL, ON_SCALE, strict=True)
        )
        crossed = primary_across(fidelity, adherence, basic, draws=1000)
        alone = {
            "fidelity": {m: table.mean(axis=1) for m, table in fidelity.items()},
            "adherence": {m: table[:, ~basic].mean(axis=1) for m, table in adherence.items()},
        }
        alone["overall"] = {
            m: overall_score(alone["fidelity"][m], alone["adherence"][m]) for m in names
        }
        by_concept = {part: across(values, draws=1000) for part, values in alone.items()}
        for name, found in (("crossed", crossed), ("concepts", by_concept)):
            verdict = verdict_across(found["overall"], found["fidelity"], found["adherence"], names)
            winners[name] += verdict.kind == "winner"
    return {name: number / studies for name, number in winners.items()}
