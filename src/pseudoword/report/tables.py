"""The report's tables as rows of plain values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

from pseudoword.report.data import Arm, Difference, Estimate, Metric, Study, direction
from pseudoword.report.plots import Scale

COMPARED = ("dino", "clip_t", "right_toy", "right_scene")


@dataclass(frozen=True)
class Heatmap:
    """One metric by kind of prompt; each cell has its place 0 to 100 on the colour scale."""

    metric: Metric
    rows: Sequence[tuple[str, Sequence[tuple[Estimate | None, int]]]]


@dataclass(frozen=True)
class Contrast:
    """Arm `a` minus arm `b`, or `a` alone where `b` is the untouched model."""

    a: Arm
    b: Arm
    estimate: Estimate
    p_holm: float | None
    p_improvement: float | None = None

    @property
    def clear(self) -> bool:
        return direction(self.estimate, self.p_holm) != 0


@dataclass(frozen=True)
class Forest:
    """Paired differences of one metric, in groups, on one scale."""

    title: str
    about: str
    groups: Sequence[tuple[str, Sequence[Contrast]]]
    scale: Scale


GIVEN_SHOWN = ("dino", "clip_i", "clip_t", "right_toy", "right_scene")


def given_metrics(study: Study) -> list[Metric]:
    """The metrics that the table of given artefacts shows."""
    return [study.metrics[name] for name in GIVEN_SHOWN if name in study.metrics]


def best(study: Study, metric: Metric) -> str | None:
    """The method that is separated from every other method, in its favour."""
    if len(study.methods) < 2:
        return None
    names = [arm.name for arm in study.methods]
    wanted = 1 if metric.higher_is_better else -1
    for name in names:
        signs = [_difference(study, metric.name, name, other) for other in names if other != name]
        if all(found and direction(found.estimate, found.p_holm) == wanted for found in signs):
            return name
    return None


def primary_forest(study: Study) -> Forest | None:
    """The methods among themselves in the overall score, which the verdict is about."""
    rows = [
        Contrast(study.arm(row.a), study.arm(row.b), row.estimate, row.p_holm, row.p_improvement)
        for row in study.comparisons
        if row.estimate.value is not None
    ]
    if not rows:
        return None
    rows.sort(key=lambda row: -(row.estimate.value or 0.0))
    leader = standing(study)[0]
    first = [row for row in rows if leader in (row.a, row.b)]
    groups = [(f"{leader.title}, which leads", first)]
    groups += [("Other pairs", [row for row in rows if row not in first])]
    groups = [(title, some) for title, some in groups if some]
    return _forest("Overall score", "fidelity times adherence", groups)


def standing(study: Study) -> list[Arm]:
    """The methods by overall score; without one, by the chance of being the best."""

    def place(arm: Arm) -> tuple[float, float]:
        overall = study.normalised.get(arm.name, {}).get("overall")
        value = overall.value if overall and overall.value is not None else -1.0
        return value, study.verdict["p_best"].get(arm.name, 0.0)

    return sorted(study.methods, key=place, reverse=True)


def forests(study: Study) -> list[Forest]:
    """Each method minus the untouched model, then the methods among themselves."""
    found = []
    for metric in (study.metrics[name] for name in COMPARED if name in study.metrics):
        against = _known(study, metric, [(arm, study.base) for arm in study.methods])
        between = _known(study, metric, list(combinations(study.methods, 2)))
        groups = [
            ("Against the untouched model", against),
            ("Between methods", sorted(between, key=lambda row: -abs(row.estimate.value or 0.0))),
        ]
        groups = [(title, rows) for title, rows in groups if rows]
        if groups:
            found.append(_forest(metric.title, metric.about, groups))
    return found


def _forest(title: str, about: str, groups: Sequence[tuple[str, Sequence[Contrast]]]) -> Forest:
    estimates = [row.estimate for _, rows in groups for row in rows]
    ends = [end for one in estimates for end in (one.value, one.low, one.high)]
    return Forest(title, about, groups, Scale.over([0.0, *ends], ticks=6))


def heatmaps(study: Study) -> list[Heatmap]:
    """Given artefacts stand behind the methods."""
    found, everybody = [], (*study.arms, *study.given)
    for metric in (study.metrics[name] for name in COMPARED if name in study.metrics):
        cells = {
            kind: [arm.by_kind.get(kind, {}).get(metric.name) for arm in everybody]
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


def kind_differences(study: Study) -> list[tuple[Metric, list[tuple[Arm, Arm, list[Contrast]]]]]:
    """By metric a row a pair of methods, with its difference for each kind of prompt."""
    found = []
    for metric in (study.metrics[name] for name in COMPARED if name in study.metrics):
        pairs: dict[tuple[str, str], list[Contrast]] = {}
        for kind in study.kinds():
            for row in study.differences_by_kind.get(kind, ()):
                if row.metric == metric.name:
                    a, b = study.arm(row.a), study.arm(row.b)
                    contrast = Contrast(a, b, row.estimate, row.p_holm)
                    pairs.setdefault((row.a, row.b), []).append(contrast)
        if pairs:
            rows = [(study.arm(a), study.arm(b), cells) for (a, b), cells in pairs.items()]
            found.append((metric, rows))
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


def _known(study: Study, metric: Metric, pairs: Sequence[tuple[Arm, Arm]]) -> list[Contrast]:
    """The differences that results.json has for these pairs, the greater first within a pair."""
    rows = []
    for a, b in pairs:
        found = _difference(study, metric.name, a.name, b.name)
        if found is None or found.estimate.value is None:
            continue
        if b.index is not None and found.estimate.value < 0:
            rows.append(Contrast(b, a, _turned(found.estimate), found.p_holm))
        else:
            rows.append(Contrast(a, b, found.estimate, found.p_holm))
    return rows


def _difference(study: Study, metric: str, a: str, b: str) -> Difference | None:
    """`a` minus `b`, whichever way round results.json has it."""
    row = study.pairs.get((metric, a, b))
    turned = study.pairs.get((metric, b, a))
    if row is None and turned is not None:
        return replace(turned, a=a, b=b, estimate=_turned(turned.estimate))
    return row


def _turned(estimate: Estimate) -> Estimate:
    def minus(value: float | None) -> float | None:
        return None if value is None else -value

    return Estimate(minus(estimate.value), minus(estimate.high), minus(estimate.low), estimate.n)
