"""What holds over several concepts: means, differences, the best, and ranks.

A concept counts as one observation. Where the concepts share their prompts, these are crossed with
them: which method a prompt favours is the same luck for every concept, so prompts are left out and
drawn as well (`stats`, with concepts in the place of training seeds). Trainings and pictures are
averaged and not drawn again, for their noise is in the concepts' means already (Davison & Hinkley
1997, section 3.8).

The overall score is a product of a concept's means, so it has no value for a single prompt: it is
computed anew in every resample (`primary_across`).
"""

from collections.abc import Mapping
from functools import cache, lru_cache
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtrc
from scipy.stats import rankdata, studentized_range

from pseudoword.metrics.chances import probability_best
from pseudoword.metrics.power import MOST_CONCEPTS, needed
from pseudoword.metrics.stats import (
    LEVEL,
    Array,
    Resamples,
    holm,
    interval,
    p_value,
    resamples,
    weighted_means,
)
from pseudoword.metrics.verdict import overall_score


def across(
    values: Mapping[str, Array],
    strata: NDArray[np.int64] | None = None,
    higher_is_better: bool = True,
    draws: int = 2000,
    seed: int = 0,
) -> dict[str, Any]:
    """One metric of every method over concepts.

    `values` maps a method to (C,), its means by concept, or to (C, P), its means by concept and
    prompt where all concepts share the P prompts; `strata` (P,) labels prompts that are drawn apart
    (plain and edit prompts). Returns plain numbers, null where there is none:

    {"concepts": C, "prompts": P or null,
     "means": {method: {"value", "low", "high", "n": C}},
     "differences": [{"a", "b", "value", "low", "high", "n", "p", "p_holm", "ahead", "behind",
     "concepts_needed"}], a - b over all pairs; "ahead" counts the concepts in which a is better,
     "behind" those in which b is; so many concepts in all, of the same prompts, would probably tell
     the two apart (null where more than `MOST_CONCEPTS` would be needed, or for one concept),
     "p_best": {method: share}, "ranks": as of `ranks`}
    """
    tables = {m: np.asarray(v, np.float64).reshape(len(v), -1) for m, v in values.items()}
    n_concepts, n_prompts = next(iter(tables.values())).shape
    labels = np.zeros(n_prompts, dtype=np.int64) if strata is None else strata
    sampled = _resamples(n_concepts, tuple(labels), draws, seed)
    means = {m: weighted_means(table, sampled) for m, table in tables.items()}
    by_concept = {m: table.mean(axis=1) for m, table in tables.items()}
    return across_resampled(means, by_concept, sampled, higher_is_better)


def primary_across(
    fidelity: Mapping[str, Array],
    adherence: Mapping[str, Array],
    basic: NDArray[np.bool_],
    draws: int = 2000,
    seed: int = 0,
) -> dict[str, dict[str, Any]]:
    """ "overall", "fidelity" and "adherence", each as `across` gives it.

    Both arguments map a method to (C, P), its scores on each concept's own scale from floor to
    ceiling; `basic` (P,) tells plain prompts, which have no adherence (theirs is not read). In
    every resample the overall score is the mean over concepts of a concept's `overall_score`.
    """
    strata, edit = basic.astype(np.int64), ~basic
    sampled = _resamples(len(next(iter(fidelity.values()))), tuple(strata), draws, seed)
    of_edit = sampled.prompts[:, edit] / sampled.prompts[:, edit].sum(axis=1, keepdims=True)
    # A row a resample, a column a concept.
    products = {
        m: overall_score(sampled.prompts @ fidelity[m].T, of_edit @ adherence[m][:, edit].T)
        for m in fidelity
    }
    overall = {m: (sampled.seeds * product).sum(axis=1) for m, product in products.items()}
    # Row 0 has all prompts.
    by_concept = {m: product[0] for m, product in products.items()}
    return {
        "overall": across_resampled(overall, by_concept, sampled),
        "fidelity": across(fidelity, strata, True, draws, seed),
        "adherence": across(
            {m: table[:, edit] for m, table in adherence.items()}, None, True, draws, seed
        ),
    }


@lru_cache(maxsize=2)
def _resamples(n_concepts: int, strata: tuple[int, ...], draws: int, seed: int) -> Resamples:
    """Those of all measures of the same concepts and prompts: they grow with concepts x prompts."""
    made = resamples(n_concepts, np.array(strata, np.int64), draws, seed)
    made.seeds.flags.writeable = made.prompts.flags.writeable = False
    return made


def across_resampled(
    means: Mapping[str, Array],
    by_concept: Mapping[str, Array],
    sampled: Resamples,
    higher_is_better: bool = True,
) -> dict[str, Any]:
    """What `across` returns, from means in every resample (r,) and scores by concept (C,)."""
    sign = 1.0 if higher_is_better else -1.0
    n_concepts, n_prompts = sampled.seeds.shape[1], sampled.prompts.shape[1]
    differences = []
    for a, b in combinations(means, 2):
        difference = means[a] - means[b]
        better = sign * (by_concept[a] - by_concept[b])
        differences.append(
            {
                "a": a,
                "b": b,
                **vars(interval(difference, sampled, n_concepts)),
                "p": p_value(difference, sampled),
                "ahead": int((better > 0).sum()),
                "behind": int((better < 0).sum()),
                "concepts_needed": needed(difference, sampled, "seeds", most=MOST_CONCEPTS),
            }
        )
    for row, adjusted in zip(differences, holm([r["p"] for r in differences]), strict=True):
        row["p_holm"] = adjusted
    return {
        "concepts": n_concepts,
        "prompts": n_prompts if n_prompts > 1 else None,
        "means": {m: vars(interval(v, sampled, n_concepts)) for m, v in means.items()},
        "differences": differences,
        "p_best": probability_best({m: sign * v for m, v in means.items()}, sampled),
        "ranks": ranks(by_concept, higher_is_better),
    }


def ranks(by_concept: Mapping[str, Array], higher_is_better: bool = True) -> dict[str, Any] | None:
    """Mean ranks (1 is best, ties share) over concepts, Friedman's test, Nemenyi's difference.

    `by_concept` maps a method to (C,). Two methods whose mean ranks differ by more than
    "critical_difference" differ at 5 % (Demšar 2006, section 3.2.2); "statistic" is Friedman's
    chi squared, corrected for ties, "p" its p. Both are null where all methods tie everywhere;
    the whole is None for a single method.
    """
    k = len(by_concept)
    if k < 2:
        return None
    sign = -1.0 if higher_is_better else 1.0
    table = np.stack([sign * np.asarray(v, np.float64) for v in by_concept.values()], axis=1)
    n = len(table)
    ranked = rankdata(table, axis=1)
    mean = ranked.mean(axis=0)
    # The variance of ranks within concepts, which is k (k + 1) / 12 without ties.
    within = float(((ranked - (k + 1) / 2) ** 2).sum() / (n * (k - 1)))
    statistic = n * float(((mean - (k + 1) / 2) ** 2).sum()) / within if within > 0 else None
    return {
        "mean": dict(zip(by_concept, (float(r) for r in mean), strict=True)),
        "statistic": statistic,
        "p": None if statistic is None else float(chdtrc(k - 1, statistic)),
        "critical_difference": _nemenyi(k) * float(np.sqrt(k * (k + 1) / (6 * n))),
    }


@cache
def _nemenyi(k: int) -> float:
    """The critical value for k methods: the quantile of the studentised range over sqrt(2)."""
    return float(studentized_range.ppf(1 - LEVEL, k, np.inf) / np.sqrt(2))
