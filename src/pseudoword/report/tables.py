"""The report's tables as rows of plain values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from pseudoword.report.data import Arm, Estimate, Metric, Study
from pseudoword.report.plots import Scale

COMPARED = ("dino", "clip_t", "right_toy", "right_scene")


@dataclass(frozen=True)
class ScoreRow:
    """One metric: an estimate an arm, and the ceiling.

    `best` names the method that is ahead; `warnings` maps a warning to the arms that it concerns.
    """

    metric: Metric
    estimates: Sequence[Estimate | None]
    ceiling: Estimate | None
    best: str | None
    warnings: Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class Heatmap:
    """One metric by kind of prompt; each cell has its place 0 to 100 on the colour scale."""

    metric: Metric
    rows: Sequence[tuple[str, Sequence[tuple[Estimate | None, int]]]]


@dataclass(frozen=True)
class Forest:
    """Paired differences of one metric, in groups, on one scale."""

    metric: Metric
    groups: Sequence[tuple[str, Sequence[tuple[Arm, Arm, Estimate]]]]
    scale: Scale


GIVEN_SHOWN = ("dino", "clip_i", "clip_t", "right_toy", "right_scene")


def given_metrics(study: Study) -> list[Metric]:
    """The metrics that the table of given artefacts shows."""
    return [study.metrics[name] for name in GIVEN_SHOWN if name in study.metrics]


def score_rows(study: Study) -> list[ScoreRow]:
    rows = []
    for metric in study.metrics.values():
        estimates = [arm.scores.get(metric.name) for arm in study.arms]
        warnings: dict[str, list[str]] = {}
        for arm, estimate in zip(study.arms, estimates, strict=True):
            if estimate and estimate.warning:
                warnings.setdefault(estimate.warning, []).append(arm.title)
        rows.append(
            ScoreRow(
                metric,
                estimates,
                study.ceiling.get(metric.name),
                best(study, metric),
                warnings,
            )
        )
    return rows


def best(study: Study, metric: Metric) -> str | None:
    """The method whose paired difference from every other method excludes zero in its favour."""
    if len(study.methods) < 2:
        return None
    names = [arm.name for arm in study.methods]
    wanted = 1 if metric.higher_is_better else -1
    for name in names:
        signs = [_difference(study, metric.name, name, other) for other in names if other != name]
        if all(found is not None and found.sign == wanted for found in signs):
            return name
    return None


def forests(study: Study) -> list[Forest]:
    """Each method minus the untouched model, then the methods among themselves."""
    found = []
    for metric in (study.metrics[name] for name in COMPARED if name in study.metrics):
        against = _known(study, metric, [(arm, study.base) for arm in study.methods])
        between = _known(study, metric, list(combinations(study.methods, 2)))
        groups = [
            ("Against the untouched model", against),
            ("Between methods", sorted(between, key=lambda row: -abs(row[2].value or 0.0))),
        ]
        groups = [(title, rows) for title, rows in groups if rows]
        if groups:
            values = [
                end
                for _, rows in groups
                for _, _, estimate in rows
                for end in (estimate.value, estimate.low, estimate.high)
            ]
            found.append(Forest(metric, groups, Scale.over([0.0, *values], ticks=6)))
    return found


def heatmaps(study: Study) -> list[Heatmap]:
    found = []
    for metric in (study.metrics[name] for name in COMPARED if name in study.metrics):
        cells = {
            kind: [arm.by_kind.get(kind, {}).get(metric.name) for arm in study.arms]
            for kind in study.kinds()
        }
        values = [
            cell.value for row in cells.values() for cell in row if cell and cell.value is not None
        ]
        if not values:
            continue
        low, spread = min(values), (max(values) - min(values)) or 1.0

        def heat(cell: Estimate | None, low: float = low, spread: float = spread) -> int:
            if cell is None or cell.value is None:
                return 0
            return round(100 * (cell.value - low) / spread)

        rows = [(kind, [(cell, heat(cell)) for cell in row]) for kind, row in cells.items()]
        found.append(Heatmap(metric, rows))
    return found


def flat(value: Any, prefix: str = "") -> list[tuple[str, str]]:
    """Nested settings as (dotted name, text) rows."""
    if isinstance(value, Mapping) and value:
        return [
            row
            for name, inner in value.items()
            for row in flat(inner, f"{prefix}.{name}" if prefix else str(name))
        ]
    if isinstance(value, list) and all(not isinstance(inner, Mapping) for inner in value):
        text = ", ".join(_plain(inner) for inner in value) or "none"
    else:
        text = _plain(value)
    return [(prefix, text)] if prefix else []


def _plain(value: Any) -> str:
    if value is None or value == {}:
        return "none"
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


def _known(
    study: Study, metric: Metric, pairs: Sequence[tuple[Arm, Arm]]
) -> list[tuple[Arm, Arm, Estimate]]:
    """The differences that results.json has for these pairs, the greater first within a pair."""
    rows = []
    for a, b in pairs:
        estimate = _difference(study, metric.name, a.name, b.name)
        if estimate is None or estimate.value is None:
            continue
        if b.index is not None and estimate.value < 0:
            rows.append((b, a, _turned(estimate)))
        else:
            rows.append((a, b, estimate))
    return rows


def _difference(study: Study, metric: str, a: str, b: str) -> Estimate | None:
    """`a` minus `b`, whichever way round results.json has it."""
    for row in study.differences:
        if row.metric == metric and (row.a, row.b) == (a, b):
            return row.estimate
        if row.metric == metric and (row.a, row.b) == (b, a):
            return _turned(row.estimate)
    return None


def _turned(estimate: Estimate) -> Estimate:
    def minus(value: float | None) -> float | None:
        return None if value is None else -value

    return Estimate(minus(estimate.value), minus(estimate.high), minus(estimate.low), estimate.n)
