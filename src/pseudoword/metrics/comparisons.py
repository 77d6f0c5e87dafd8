"""All pairs of methods: paired differences metric by metric, and in the primary metric.

The primary metric is the overall score: fidelity times adherence on the floor-ceiling scale. Why
that one, and how well it ranks, is told in docs/statistics.md.
"""

from collections.abc import Mapping
from dataclasses import asdict, replace
from itertools import combinations
from typing import Any

import numpy as np

from pseudoword.metrics.chances import front, probability_on_front
from pseudoword.metrics.design import BASE, Design, Evidence
from pseudoword.metrics.stats import (
    NOTHING,
    Array,
    Interval,
    Resamples,
    holm,
    interval,
    p_value,
    resamples,
    weighted_means,
)
from pseudoword.metrics.verdict import Standing, normalise, overall_score

BY_KIND = ("dino", "clip_t", "right_toy", "right_scene")
"""Metrics whose differences are told by kind of prompt as well."""


def differences(design: Design) -> list[dict[str, Any]]:
    """Paired differences a - b of all methods and the untouched model, metric by metric.

    "p_holm" adjusts over all pairs of methods in the metric; both p are null beside the untouched
    model, which is a yardstick and no competitor.
    """
    rows = []
    for metric in design.cells[BASE]:
        means = {m: design.means(m, metric) for m in design.methods[:-1]}
        adjusted = _adjusted(means, design.sampled)
        for a, b in combinations(design.methods, 2):
            difference = design.means(a, metric) - design.means(b, metric)
            found = _interval(difference, design.sampled, design.count(a, metric))
            p, p_holm = adjusted.get((a, b), (None, None))
            rows.append(
                {"metric": metric, "a": a, "b": b, **asdict(found), "p": p, "p_holm": p_holm}
            )
    return rows


def differences_by_kind(design: Design) -> dict[str, list[dict[str, Any]]]:
    """By kind of prompt the paired differences of all methods in the metrics of `BY_KIND`.

    "p_holm" adjusts over the pairs of a metric and kind. Of a kind with a single prompt the
    intervals are over trainings alone.
    """
    found: dict[str, list[dict[str, Any]]] = {}
    kinds = [prompt.kind for prompt in design.prompts]
    for kind in dict.fromkeys(kinds):
        chosen = np.array([each == kind for each in kinds])
        strata = np.zeros(int(chosen.sum()), dtype=np.int64)
        sampled = resamples(len(design.seeds), strata, draws=0)
        found[kind] = []
        for metric in (name for name in BY_KIND if name in design.cells[BASE]):
            cells = {m: design.cells[m][metric][:, chosen] for m in design.methods[:-1]}
            means = {m: weighted_means(c.mean(axis=2), sampled) for m, c in cells.items()}
            adjusted = _adjusted(means, sampled)
            for (a, b), (p, p_holm) in adjusted.items():
                between = asdict(_interval(means[a] - means[b], sampled, cells[a].size))
                row = {"metric": metric, "a": a, "b": b, **between, "p": p, "p_holm": p_holm}
                found[kind].append(row)
    return found


def _interval(difference: Array, sampled: Resamples, n: int) -> Interval:
    """None at all where nothing varied: shares of few pictures often agree."""
    found = interval(difference, sampled, n)
    if found.low is not None and found.high is not None and found.high - found.low <= NOTHING:
        return replace(found, low=None, high=None)
    return found


def comparisons(standing: Standing, design: Design, evidence: Evidence) -> list[dict[str, Any]]:
    """All pairs of methods in the primary metric, the one ahead first."""
    order = standing.ranking()
    adjusted = _adjusted({m: standing.overall[m] for m in order}, design.sampled)
    cells = primary_cells(design, evidence)
    rows = []
    for a, b in combinations(order, 2):
        found = interval(standing.overall[a] - standing.overall[b], design.sampled, 0)
        p, p_holm = adjusted[a, b]
        rows.append(
            {
                "a": a,
                "b": b,
                "value": found.value,
                "low": found.low,
                "high": found.high,
                "p": p,
                "p_holm": p_holm,
                "p_improvement": probability_of_improvement(cells[a], cells[b]),
            }
        )
    return rows


def pareto(standing: Standing) -> dict[str, dict[str, Any]]:
    """Which methods are on the front of fidelity and adherence, and the chance that each is."""
    methods = list(standing.overall)
    x, y = ({m: of[m] for m in methods} for of in (standing.fidelity, standing.adherence))
    on = front(np.array([v[0] for v in x.values()]), np.array([v[0] for v in y.values()]))
    chances = probability_on_front(x, y, standing.sampled) or dict.fromkeys(methods)
    return {
        m: {"front": bool(here), "p_front": chances[m]} for m, here in zip(methods, on, strict=True)
    }


def primary_cells(design: Design, evidence: Evidence) -> dict[str, Array]:
    """The overall score of single cells (S, P), over edit prompts: their pictures' means.

    A cell's adherence starts from what the photos score on its own prompt; the length of the scale
    is the study's, for that of a single prompt may vanish.
    """
    edit = ~design.basic
    zero = np.array([evidence.photos_clip_t[prompt.id] for prompt in design.prompts])[edit]
    length = design.cells[BASE]["clip_t"][:, edit].mean() - zero.mean()
    floor, ceiling = design.cells[BASE]["dino"].mean(), np.mean(evidence.ceiling["dino"])
    cells = {}
    for method in evidence.methods:
        dino, clip_t = (design.cells[method][k][:, edit].mean(axis=2) for k in ("dino", "clip_t"))
        cells[method] = overall_score(normalise(dino, floor, ceiling), (clip_t - zero) / length)
    return cells


def probability_of_improvement(a: Array, b: Array) -> float:
    """The chance that a training of `a` (S, P) beats one of `b` (S', P) on a prompt.

    The share of pairs of trainings, prompt by prompt; a tie counts half (rliable, arXiv 2108.13264,
    section 4.3).
    """
    return float((np.sign(a[:, None] - b[None, :]).mean() + 1) / 2)


def _adjusted(
    scores: Mapping[str, Array], sampled: Resamples
) -> dict[tuple[str, str], tuple[float | None, float | None]]:
    """p and Holm's p of each pair of methods."""
    pairs = list(combinations(scores, 2))
    p = [p_value(scores[a] - scores[b], sampled) for a, b in pairs]
    return dict(zip(pairs, zip(p, holm(p), strict=True), strict=True))
