"""The scores of a study made into results.json: estimates, intervals, differences, verdict.

Everything here is conditional on the photos and on the encoders: what varies is the training seed
and the prompt (see `stats`).
"""

import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from pseudoword.metrics import METRICS
from pseudoword.metrics.comparisons import comparisons, differences, differences_by_kind, pareto
from pseudoword.metrics.design import BASE, Design, Evidence, MethodInfo
from pseudoword.metrics.discrimination import discrimination
from pseudoword.metrics.metric import RANGES
from pseudoword.metrics.scales import CLOSER, Normalised, normalise_study
from pseudoword.metrics.sets import set_scores
from pseudoword.metrics.stats import (
    NOTHING,
    Array,
    from_sample,
    interval,
    resamples,
    weighted_means,
)
from pseudoword.metrics.verdict import (
    Standing,
    Verdict,
    decide,
    overall_score,
    settling,
    undecidable,
)


def summarise(evidence: Evidence, draws: int = 2000, seed: int = 0) -> dict[str, Any]:
    """The content of results.json: plain numbers, null where there is none.

    Raises UserError where the study is not whole: a method lacks a picture that another has.
    """
    design = Design.of(evidence, draws, seed)
    measured = {name: method_scores(name, evidence, design) for name in design.methods}
    normalised = normalise_study(design, evidence)
    standing = _standing(normalised, design, evidence)
    told = discrimination(design, evidence)
    return {
        "metrics": metric_rows(measured, evidence),
        "methods": {
            name: {
                "title": info.title,
                **measured[name],
                "cost": dict(info.cost),
                "runs": _runs(name, info, design),
            }
            for name, info in evidence.methods.items()
        },
        "base_model": measured[BASE],
        "floor": measured[BASE]["scores"],
        "ceiling": ceiling_rows(evidence),
        "photos_clip_t": {prompt: float(v) for prompt, v in evidence.photos_clip_t.items()},
        "differences": differences(design),
        "differences_by_kind": differences_by_kind(design),
        "normalised": _normalised_rows(normalised, design),
        "comparisons": comparisons(standing, design, evidence) if standing else [],
        "pareto": pareto(standing) if standing else {},
        "discrimination": told,
        "power": settling(standing) if standing else None,
        "verdict": asdict(_verdict(standing, normalised, told, evidence)),
        "copying": dict(evidence.copying),
    }


def metric_rows(measured: Mapping[str, Any], evidence: Evidence) -> dict[str, Any]:
    """What is said about each metric that occurs in `measured`, by arm as of `method_scores`."""
    return {
        name: asdict(metric) | {"encoder": evidence.encoders[metric.encoder]}
        for name, metric in METRICS.items()
        if any(name in rows["scores"] for rows in measured.values())
    }


def ceiling_rows(evidence: Evidence) -> dict[str, Any]:
    """What the photos, or true renders, score themselves.

    The photos' likenesses have no interval where each pair of them counts twice.
    """
    rows = {
        name: asdict(from_sample(np.asarray(values, dtype=np.float64)))
        for name, values in evidence.ceiling.items()
        if len(values)
    }
    if not evidence.held_out:
        for name in rows.keys() & {"dino", "clip_i"}:
            rows[name] |= {"low": None, "high": None}
    return _within_range(rows)


def method_scores(method: str, evidence: Evidence, design: Design) -> dict[str, Any]:
    """ "scores" and "by_kind" of one method or of the untouched model."""
    cells = design.cells[method]
    scores: dict[str, Any] = {
        metric: asdict(
            design.interval(
                method,
                design.means(method, metric),
                design.known(metric),
                design.count(method, metric),
            )
        )
        for metric in cells
    }
    scores |= set_scores(method, evidence, design)
    if evidence.drift is not None:
        scores |= evidence.drift.scores(method)
    by_kind: dict[str, dict[str, Any]] = {}
    for kind in dict.fromkeys(prompt.kind for prompt in design.prompts):
        chosen = np.array([prompt.kind == kind for prompt in design.prompts])
        n_seeds = len(design.seeds_of(method))
        sampled = resamples(n_seeds, np.zeros(chosen.sum(), dtype=np.int64), draws=0)
        by_kind[kind] = {}
        for metric, values in cells.items():
            of_kind = values[:, chosen]
            if np.isnan(of_kind).any():
                continue
            means = weighted_means(of_kind.mean(axis=2), sampled)
            by_kind[kind][metric] = asdict(interval(means, sampled, of_kind.size))
    kinds = {kind: _within_range(rows) for kind, rows in by_kind.items()}
    return {"scores": _within_range(scores), "by_kind": kinds}


def _within_range(rows: dict[str, Any]) -> dict[str, Any]:
    """Intervals without the values that no score can have; they cover the truth as often.

    Shares that are all alike have none: few pictures often agree, which shows no certainty.
    """
    for name, row in rows.items():
        unit = METRICS[name].unit
        low, high = RANGES.get(unit, (-math.inf, math.inf))
        if row["low"] is None:
            continue
        if unit == "share" and row["high"] - row["low"] <= NOTHING:
            row |= {"low": None, "high": None}
        else:
            row |= {"low": max(row["low"], low), "high": min(row["high"], high)}
    return rows


def _runs(method: str, info: MethodInfo, design: Design) -> list[dict[str, Any]]:
    """Per training seed the means of all metrics and the last loss."""
    return [
        {
            "seed": seed,
            **{name: float(np.nanmean(cells[row])) for name, cells in design.cells[method].items()},
            "loss": info.losses.get(seed),
        }
        for row, seed in enumerate(design.seeds)
    ]


def _normalised_rows(normalised: Normalised, design: Design) -> dict[str, dict[str, Any]]:
    def row(values: Array | None) -> dict[str, float | None]:
        if values is None:
            return {"value": None, "low": None, "high": None}
        found = interval(values, design.sampled, 0)
        return {"value": found.value, "low": found.low, "high": found.high}

    rows = {}
    for method in design.methods[:-1]:
        f, a = normalised.fidelity.get(method), normalised.adherence.get(method)
        overall = None if f is None or a is None else overall_score(f, a)
        rows[method] = {"fidelity": row(f), "adherence": row(a), "overall": row(overall)}
    return rows


def _standing(normalised: Normalised, design: Design, evidence: Evidence) -> Standing | None:
    """The methods side by side; None where likeness or adherence has no scale."""
    if normalised.problem is not None:
        return None
    titles = {name: info.title for name, info in evidence.methods.items()}
    return Standing(
        normalised.fidelity, normalised.adherence, design.sampled, titles, evidence.class_noun
    )


def _verdict(
    standing: Standing | None, normalised: Normalised, told: dict[str, Any], evidence: Evidence
) -> Verdict:
    """No verdict where there is no scale, nor where the metric cannot tell this concept."""
    titles = {name: info.title for name, info in evidence.methods.items()}
    if standing is None:
        return undecidable(titles, str(normalised.problem), str(normalised.next_step))
    if not told["tells"]:
        return undecidable(titles, f"{told['text']} So no method can be called best.", CLOSER)
    return decide(standing)
