"""Scores of artefacts that somebody else trained, kept apart from the comparison of methods.

An artefact is one training. How another training of it would have come out is not known, so its
intervals are over prompts alone and say nothing of the method that made it. Its difference from
a method is one from the mean of that method's trainings, whose spread is in the interval.
"""

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

from pseudoword.metrics.design import BASE, Design, Evidence, MethodInfo
from pseudoword.metrics.stats import interval
from pseudoword.metrics.summary import ceiling_rows, method_scores, metric_rows

Given = Mapping[str, Mapping[str, Any]]
"""What is known of each artefact, by its name."""


def given_rows(evidence: Evidence, given: Given) -> list[dict[str, Any]]:
    """A row for each artefact: what is known of it, its scores, and its paired differences from
    the untouched model and from the methods of `evidence`.

    The seed of its pictures in the evidence is -1, as is that of the untouched model's.
    """
    frame = evidence.scores
    alone, apart = _apart(evidence, given)
    designs = {BASE: apart}
    if evidence.methods:
        methods = replace(evidence, scores=frame[~frame["method"].isin([*given])])
        design = Design.of(methods, draws=0, seed=0)
        cells = {**design.cells, **{name: apart.cells[name] for name in given}}
        designs |= dict.fromkeys(evidence.methods, replace(design, cells=cells))
    return [
        {
            "name": name,
            **known,
            **method_scores(name, alone, apart),
            "differences": _differences(name, designs),
        }
        for name, known in given.items()
    ]


def summarise_given(evidence: Evidence, given: Given) -> dict[str, Any]:
    """The same where no method is compared, with what is to be read beside it."""
    alone, apart = _apart(evidence, given)
    rows = given_rows(evidence, given)
    base = method_scores(BASE, alone, apart)
    return {
        "metrics": metric_rows({BASE: base, **{row["name"]: row for row in rows}}, evidence),
        "given": rows,
        "base_model": base,
        "ceiling": ceiling_rows(evidence),
    }


def _apart(evidence: Evidence, given: Given) -> tuple[Evidence, Design]:
    """The artefacts and the untouched model alone: one seed, so that only prompts are drawn."""
    frame = evidence.scores
    alone = replace(
        evidence,
        scores=frame[frame["method"].isin([*given, BASE])],
        methods={name: MethodInfo(str(known["title"]), {}, {}) for name, known in given.items()},
    )
    return alone, Design.of(alone, draws=0, seed=0)


def _differences(name: str, designs: Mapping[str, Design]) -> list[dict[str, Any]]:
    """The artefact minus each of the others, over the same prompts and noise."""
    rows = []
    for other, design in designs.items():
        for metric in design.cells[name]:
            values = design.means(name, metric) - design.means(other, metric)
            found = asdict(interval(values, design.sampled, design.count(name, metric)))
            rows.append({"metric": metric, "b": other, **found})
    return rows
