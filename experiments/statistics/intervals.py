"""How often 95 % intervals hold the truth in simulated studies."""

from collections.abc import Callable, Mapping

import numpy as np
from scipy.special import stdtrit

from pseudoword.metrics.scales import normalise_study
from pseudoword.metrics.simulation import PROFILES, Setup, simulate
from pseudoword.metrics.stats import Array, Resamples, half_width, spread
from pseudoword.metrics.verdict import overall_score

TRUTH = {"a": (0.75, 0.9), "b": (0.6, 0.9)}
DRAWS = 400
QUANTITIES = ("mean", "difference", "overall", "overall difference")
"""Means and paired differences are of DINO and of CLIP-T, half of the intervals each."""


Interval = Callable[[Array, Resamples], tuple[float, float]]


def bootstrap(values: Array, sampled: Resamples) -> tuple[float, float]:
    """The percentile interval of the crossed bootstrap."""
    low, high = np.quantile(values[-sampled.draws :], [0.025, 0.975])
    return float(low), float(high)


def chosen(values: Array, sampled: Resamples) -> tuple[float, float]:
    """The interval that results.json reports."""
    half = half_width(spread(values, sampled))
    return float(values[0]) - half, float(values[0]) + half


def jackknife(power: float, once: bool) -> Interval:
    """Student's t on degrees of freedom that weigh the factors by their variance to a power.

    1 is what was chosen and 2 is Satterthwaite's. `once`: what both factors hold counts once.
    """

    def interval(values: Array, sampled: Resamples) -> tuple[float, float]:
        found = spread(values, sampled)
        total = sum(found.variance.values())
        weights = {f: (v / total) ** power for f, v in found.variance.items()}
        freedom = 1 / sum(weights[f] / found.freedom[f] for f in weights)
        error = found.standard_error if once else float(np.sqrt(total))
        half = float(stdtrit(freedom, 0.975)) * error
        return float(values[0]) - half, float(values[0]) + half

    return interval


METHODS: dict[str, Interval] = {
    "bootstrap": bootstrap,
    "plain sum, Satterthwaite": jackknife(2.0, once=False),
    "noise once, Satterthwaite": jackknife(2.0, once=True),
    "noise once, power 1.5": jackknife(1.5, once=True),
    "plain sum, harmonic mean": jackknife(1.0, once=False),
    "chosen": chosen,
}
"""All that were tried; the last is noise once, harmonic mean."""


def coverage(profile: str, setup: Setup, studies: int) -> dict[str, dict[str, float]]:
    """The share of intervals that hold the truth, by method and quantity ("all" pools them).

    "width" is the mean width of the overall difference's interval.
    """
    sampled = setup.sampled(DRAWS)
    held: dict[str, dict[str, list[bool]]] = {m: {q: [] for q in QUANTITIES} for m in METHODS}
    widths: dict[str, list[float]] = {m: [] for m in METHODS}
    for design, evidence in simulate(PROFILES[profile], TRUTH, setup, studies, sampled, seed=1):
        found = normalise_study(design, evidence)
        if found.problem is not None:
            # The scale's ends are not apart: no interval is reported, so none can be wrong.
            continue
        overall = {m: overall_score(found.fidelity[m], found.adherence[m]) for m in TRUTH}
        a, b = (({k: design.means(m, k) for k in ("dino", "clip_t")}) for m in TRUTH)
        truth_a, truth_b = (dict(zip(("dino", "clip_t"), v, strict=True)) for v in TRUTH.values())
        both = ("dino", "clip_t")
        values: Mapping[str, list[tuple[Array, float]]] = {
            "mean": [(a[k], truth_a[k]) for k in both],
            "difference": [(a[k] - b[k], truth_a[k] - truth_b[k]) for k in both],
            "overall": [(overall["a"], float(np.prod(TRUTH["a"])))],
            "overall difference": [
                (overall["a"] - overall["b"], float(np.prod(TRUTH["a"]) - np.prod(TRUTH["b"])))
            ],
        }
        for method, interval in METHODS.items():
            for quantity, cases in values.items():
                for rows, truth in cases:
                    low, high = interval(rows, sampled)
                    held[method][quantity].append(low <= truth <= high)
                    if quantity == "overall difference":
                        widths[method].append(high - low)
    return {
        method: {q: float(np.mean(v)) for q, v in by.items()}
        | {"all": float(np.mean([np.mean(v) for v in by.values()]))}
        | {"width": float(np.mean(widths[method]))}
        for method, by in held.items()
    }
