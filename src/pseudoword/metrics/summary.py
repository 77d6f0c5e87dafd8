"""The scores of a study made into results.json: estimates, intervals, differences, verdict.

Everything here is conditional on the photos and on the encoders: what varies is the training seed
and the prompt (see `stats`).
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any

import numpy as np

from pseudoword.metrics import METRICS
from pseudoword.metrics.design import BASE, Design, Evidence, MethodInfo
from pseudoword.metrics.sets import set_scores
from pseudoword.metrics.stats import Array, from_sample, interval, resamples, weighted_means
from pseudoword.metrics.verdict import (
    Standing,
    Verdict,
    decide,
    normalise,
    overall_score,
    separates,
    undecidable,
)


def summarise(evidence: Evidence, draws: int = 2000, seed: int = 0) -> dict[str, Any]:
    """The content of results.json: plain numbers, null where there is none.

    Raises UserError where the study is not whole: a method lacks a picture that another has.
    """
    design = Design.of(evidence, draws, seed)
    measured = {name: method_scores(name, evidence, design) for name in design.methods}
    normalised = _normalise(design, evidence)
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
        "differences": _differences(design),
        "normalised": _normalised_rows(normalised, design),
        "verdict": asdict(_verdict(normalised, design, evidence)),
        "copying": dict(evidence.copying),
    }


@dataclass(frozen=True)
class _Normalised:
    """Fidelity and adherence of each method in every resample; empty where `problem` says why."""

    fidelity: dict[str, Array]
    adherence: dict[str, Array]
    problem: str | None
    next_step: str | None


def metric_rows(measured: Mapping[str, Any], evidence: Evidence) -> dict[str, Any]:
    """What is said about each metric that occurs in `measured`, by arm as of `method_scores`."""
    return {
        name: asdict(metric) | {"encoder": evidence.encoders[metric.encoder]}
        for name, metric in METRICS.items()
        if any(name in rows["scores"] for rows in measured.values())
    }


def ceiling_rows(evidence: Evidence) -> dict[str, Any]:
    """What the photos, or true renders, score themselves."""
    return {
        name: asdict(from_sample(np.asarray(values, dtype=np.float64)))
        for name, values in evidence.ceiling.items()
        if len(values)
    }


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
    scores |= set_scores(method, evidence.features, evidence.truth, design)
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
    return {"scores": scores, "by_kind": by_kind}


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


def _differences(design: Design) -> list[dict[str, Any]]:
    """Paired differences a - b of all methods and the untouched model, metric by metric."""
    rows = []
    for metric in design.cells[BASE]:
        for a, b in combinations(design.methods, 2):
            difference = design.means(a, metric) - design.means(b, metric)
            found = interval(difference, design.sampled, design.count(a, metric))
            rows.append({"metric": metric, "a": a, "b": b} | asdict(found))
    return rows


def _normalise(design: Design, evidence: Evidence) -> _Normalised:
    noun, sampled = evidence.class_noun, design.sampled
    methods = list(evidence.methods)
    fidelity: dict[str, Array] = {}
    adherence: dict[str, Array] = {}
    problem = next_step = None

    floor, photos_dino = design.means(BASE, "dino"), evidence.ceiling["dino"]
    ceiling = float(np.mean(photos_dino)) if len(photos_dino) else np.nan
    if not len(photos_dino):
        problem = (
            f"One photo does not tell how alike pictures of this {noun} can be, so likeness has "
            "no scale and no method can be called best."
        )
        next_step = f"Give at least two different photos of this {noun}, better four."
    elif separates(floor, np.full_like(floor, ceiling), sampled):
        fidelity = {m: normalise(design.means(m, "dino"), floor, ceiling) for m in methods}
    else:
        problem = (
            f"DINO cannot tell this {noun} from any {noun}: the photos are no more like each other "
            f"than the untouched model's pictures are like them, so no method can be called best."
        )
        next_step = f"Give photos in which little but this {noun} is to be seen, and closer up."

    edit = ~design.basic
    if not edit.any():
        problem = problem or "There are no edit prompts, so adherence cannot be measured."
        next_step = next_step or "Run with prompts that put the concept into other settings."
        return _Normalised(fidelity, adherence, problem, next_step)

    def prompt_fidelity(cells: Array) -> Array:
        return weighted_means(cells.mean(axis=2), sampled, edit)

    photos = np.array([[[evidence.photos_clip_t[prompt.id]] for prompt in design.prompts]])
    zero, one = prompt_fidelity(photos), prompt_fidelity(design.cells[BASE]["clip_t"])
    if separates(zero, one, sampled):
        adherence = {
            m: normalise(prompt_fidelity(design.cells[m]["clip_t"]), zero, one) for m in methods
        }
    else:
        problem = problem or (
            "CLIP-T cannot tell whether these prompts are followed: the photos, which follow none, "
            "fit them as well as the untouched model's pictures do."
        )
        next_step = next_step or "Choose prompts that the model can draw, or another CLIP encoder."
    return _Normalised(fidelity, adherence, problem, next_step)


def _normalised_rows(normalised: _Normalised, design: Design) -> dict[str, dict[str, Any]]:
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


def _verdict(normalised: _Normalised, design: Design, evidence: Evidence) -> Verdict:
    titles = {name: info.title for name, info in evidence.methods.items()}
    if normalised.problem is not None and normalised.next_step is not None:
        return undecidable(titles, normalised.problem, normalised.next_step)
    return decide(
        Standing(
            normalised.fidelity,
            normalised.adherence,
            design.sampled,
            titles,
            evidence.class_noun,
        )
    )
