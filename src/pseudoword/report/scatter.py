"""Likeness against adherence: intervals as ellipses, and the Pareto front."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from markupsafe import Markup

from pseudoword.report.data import Arm, Estimate, Study
from pseudoword.report.plots import Scale, colour, mark, stretched
from pseudoword.report.words import number, percent

_HEIGHT = 400  # px
_USUAL_WIDTH = 580  # on a desk, px: for keeping names apart
_LEAST_WIDTH = 270  # and on a phone: for keeping names inside
# Where a name may stand: right or left of its marker, and by how many px below its middle.
_LABEL_PLACES = [(side, shift) for shift in (-8, 17, 4, -24, 33) for side in (1, -1)]

WIDER = math.sqrt(-2 * math.log(0.05)) / 1.96
"""How much wider than two 95 % intervals an ellipse is that holds both values in 95 % of cases.

From the quantile of chi-squared with two degrees of freedom; for errors that are normal and
unrelated, since results.json does not say how they are related.
"""
_OVERALL = (0.25, 0.5, 0.75)


class Drawn(Protocol):
    """What has a name and a marker in the plot; the untouched model's index is None."""

    @property
    def title(self) -> str: ...

    @property
    def index(self) -> int | None: ...


@dataclass(frozen=True)
class Point:
    """One arm in the plot, with whether it is on the Pareto front."""

    arm: Drawn
    x: Estimate
    y: Estimate
    front: bool = False


@dataclass(frozen=True)
class Cloud:
    """The plot, whether its axes are those of the floor-ceiling scale, and whether it has ellipses.

    Without seeds or prompts to vary there are no intervals to draw them from.
    """

    drawing: Markup
    scaled: bool
    ellipses: bool


def scatter(study: Study) -> Cloud | None:
    """Fidelity (upwards) against adherence; of DINO and CLIP-T where there is no such scale.

    None where no method has both.
    """
    scaled = [
        Point(arm, row["adherence"], row["fidelity"], _on_front(study, arm))
        for arm in study.methods
        if (row := study.normalised.get(arm.name)) and _whole(row, "adherence", "fidelity")
    ]
    if scaled:
        # By definition of the scale.
        base = Point(study.base, Estimate(1.0), Estimate(0.0))
        return Cloud(scaled_scatter(scaled, base), True, _any_interval(scaled))
    raw = [
        Point(arm, arm.scores["clip_t"], arm.scores["dino"])
        for arm in study.arms
        if _whole(arm.scores, "clip_t", "dino")
    ]
    if not any(point.arm.index is not None for point in raw):
        return None
    return Cloud(_raw(raw, study.ceiling.get("dino")), False, _any_interval(raw))


def _any_interval(points: Sequence[Point]) -> bool:
    return any(any(_radii(point.x)) and any(_radii(point.y)) for point in points)


def _on_front(study: Study, arm: Arm) -> bool:
    return arm.name in study.pareto and study.pareto[arm.name].front


def _whole(scores: object, *names: str) -> bool:
    return isinstance(scores, dict) and all(
        name in scores and scores[name].value is not None for name in names
    )


def scaled_scatter(points: Sequence[Point], base: Point, parts_of: Sequence[Point] = ()) -> Markup:
    """Points on the floor-ceiling scale; `parts_of` are what they are means of, drawn small."""
    everything = [*points, *parts_of]
    x = Scale.over([1.0, *_reach(everything, "x")])
    y = Scale.over([0.0, 1.0, *_reach(everything, "y")], ticks=7)
    parts = [
        _frame(x, y, "Adherence to the prompt", "Fidelity to the subject", _percent),
        _isolines(x, y),
        _level(y, 1.0, "ceiling: the photos to each other", above=True),
        _level(y, 0.0, "floor: untouched model", above=False),
        _front([point for point in points if point.front], x, y),
        *(_small(point, x, y) for point in parts_of),
        *_points([*points, base], x, y),
        *_labels(points, x, y),
    ]
    told = "; ".join(
        f"{point.arm.title}: fidelity {percent(point.y.value)}, adherence {percent(point.x.value)}"
        for point in points
    )
    return _drawing(told, parts)


def _raw(points: Sequence[Point], ceiling: Estimate | None) -> Markup:
    top = ceiling.value if ceiling else None
    x = Scale.over(_reach(points, "x"))
    y = Scale.over([*_reach(points, "y"), top], ticks=7)
    base = next((point for point in points if point.arm.index is None), None)
    parts = [_frame(x, y, "CLIP-T: adherence to the prompt", "DINO: likeness to the subject")]
    if top is not None:
        parts.append(_level(y, top, "ceiling: the photos to each other", above=True))
    if base is not None and base.y.value is not None:
        parts.append(_level(y, base.y.value, "floor: untouched model", above=False))
    parts += _points(points, x, y)
    parts += _labels([point for point in points if point is not base], x, y)
    told = "; ".join(
        f"{point.arm.title}: DINO {number(point.y.value)}, CLIP-T {number(point.x.value)}"
        for point in points
    )
    return _drawing(told, parts)


def _drawing(told: str, parts: Sequence[Markup]) -> Markup:
    return Markup(
        '<svg class="scatter" height="{}" role="img" aria-label="Scatter plot. {}">{}</svg>'
    ).format(_HEIGHT, told, Markup("").join(parts))


def _percent(scale: Scale, tick: float) -> str:
    return percent(tick)


def _reach(points: Sequence[Point], axis: str) -> list[float | None]:
    found: list[float | None] = []
    for point in points:
        estimate: Estimate = getattr(point, axis)
        below, above = _radii(estimate)
        middle = _known(estimate)
        found += [middle - below, middle + above]
    return found


def _radii(estimate: Estimate) -> tuple[float, float]:
    """How far the ellipse reaches below and above the estimate."""
    if estimate.value is None or estimate.low is None or estimate.high is None:
        return 0.0, 0.0
    return WIDER * (estimate.value - estimate.low), WIDER * (estimate.high - estimate.value)


def _known(estimate: Estimate) -> float:
    assert estimate.value is not None
    return estimate.value


def _down(scale: Scale, value: float) -> float:
    return (1 - scale.at(value)) * _HEIGHT


def _frame(
    x: Scale, y: Scale, across: str, up: str, label: Callable[[Scale, float], str] = Scale.label
) -> Markup:
    rows = [Markup('<rect class="area" width="100%" height="{}"/>').format(_HEIGHT)]
    for tick in y.ticks:
        rows.append(
            Markup(
                '<line class="grid" x1="0" x2="100%" y1="{0:.1f}" y2="{0:.1f}"/>'
                '<text x="0" dx="-8" y="{0:.1f}" dy="4" text-anchor="end">{1}</text>'
            ).format(_down(y, tick), label(y, tick))
        )
    for tick in x.ticks:
        rows.append(
            Markup(
                '<line class="grid" x1="{0}" x2="{0}" y1="0" y2="{1}"/>'
                '<text x="{0}" y="{1}" dy="18" text-anchor="middle">{2}</text>'
            ).format(x.percent(tick), _HEIGHT, label(x, tick))
        )
    rows.append(
        Markup(
            '<text class="name" x="50%" y="{}" dy="40" text-anchor="middle">'
            "{} \N{RIGHTWARDS ARROW}</text>"
            '<text class="name" transform="translate(-50,{}) rotate(-90)" text-anchor="middle">'
            "{} \N{RIGHTWARDS ARROW}</text>"
        ).format(_HEIGHT, across, _HEIGHT / 2, up)
    )
    return Markup("").join(rows)


def _level(y: Scale, value: float, text: str, above: bool) -> Markup:
    return Markup(
        '<line class="level" x1="0" x2="100%" y1="{0:.1f}" y2="{0:.1f}"/>'
        '<text class="level-name" x="0" dx="6" y="{0:.1f}" dy="{1}">{2}</text>'
    ).format(_down(y, value), -6 if above else 15, text)


def _isolines(x: Scale, y: Scale) -> Markup:
    """Where the overall score, which is their product, is the same."""
    lines, names = [], []
    for overall in _OVERALL:
        places = [x.low + (x.high - x.low) * index / 40 for index in range(41)]
        line = [(place, overall / place) for place in places if place > 0]
        points = " ".join(
            f"{100 * x.at(across):.2f},{100 * (1 - y.at(up)):.2f}"
            for across, up in line
            if y.at(up) <= 1.5
        )
        if not points:
            continue
        lines.append(Markup('<polyline class="isoline" points="{}"/>').format(points))
        end = y.at(overall / x.high)
        if 0.03 < end < 0.97:
            names.append(
                Markup(
                    '<text class="iso-name" x="100%" dx="-5" y="{:.1f}" dy="-4" text-anchor="end">'
                    "overall {}</text>"
                ).format((1 - end) * _HEIGHT, percent(overall))
            )
    return stretched(Markup("").join(lines)) + Markup("").join(names)


def _front(points: Sequence[Point], x: Scale, y: Scale) -> Markup:
    """The steps below and left of which everything is beaten in both respects."""
    if not points:
        return Markup("")
    corners, across = [], 0.0
    for point in sorted(points, key=lambda point: _known(point.x)):
        up = 100 * (1 - y.at(_known(point.y)))
        corners.append((across, up))
        across = 100 * x.at(_known(point.x))
        corners.append((across, up))
    corners.append((across, 100.0))
    path = " ".join(f"{left:.2f},{down:.2f}" for left, down in corners)
    return stretched(Markup('<polyline class="front" points="{}"/>').format(path))


def _points(points: Sequence[Point], x: Scale, y: Scale) -> list[Markup]:
    parts = []
    for point in points:
        left, down = 100 * x.at(_known(point.x)), 100 * (1 - y.at(_known(point.y)))
        west, east = (100 * part / (x.high - x.low) for part in _radii(point.x))
        south, north = (100 * part / (y.high - y.low) for part in _radii(point.y))
        # A quarter for each side, since intervals need not be symmetric.
        path = (
            f"M{left - west:.2f},{down:.2f}"
            f"A{west:.2f},{north:.2f} 0 0 1 {left:.2f},{down - north:.2f}"
            f"A{east:.2f},{north:.2f} 0 0 1 {left + east:.2f},{down:.2f}"
            f"A{east:.2f},{south:.2f} 0 0 1 {left:.2f},{down + south:.2f}"
            f"A{west:.2f},{south:.2f} 0 0 1 {left - west:.2f},{down:.2f}Z"
        )
        shape = Markup('<path class="ellipse {}" d="{}"/>').format(colour(point.arm.index), path)
        parts.append(stretched(shape))
    for point in points:
        parts.append(
            Markup('<svg class="place" x="{}" y="{:.1f}">{}</svg>').format(
                x.percent(_known(point.x)),
                _down(y, _known(point.y)),
                mark(point.arm.index, "large"),
            )
        )
    return parts


def _small(point: Point, x: Scale, y: Scale) -> Markup:
    return Markup('<svg class="place part" x="{}" y="{:.1f}">{}</svg>').format(
        x.percent(_known(point.x)), _down(y, _known(point.y)), mark(point.arm.index)
    )


def _labels(points: Sequence[Point], x: Scale, y: Scale) -> list[Markup]:
    """Names beside the markers, each at the first place where it covers no marker and no name."""
    places = [
        (point.arm, x.at(_known(point.x)), _down(y, _known(point.y)))
        for point in sorted(points, key=lambda point: -_known(point.y))
    ]
    taken = [(left * _USUAL_WIDTH, down, 9.0) for _, left, down in places]
    parts = []
    for arm, left, down in places:
        half = 4.0 * len(arm.title)
        centre = left * _USUAL_WIDTH
        for side, shift in _LABEL_PLACES:
            middle, line = centre + side * (12 + half), down + shift
            inside = 0 <= left * _LEAST_WIDTH + side * (12 + 2 * half) <= _LEAST_WIDTH
            free = all(
                abs(line - 4 - other_line) > 15 or abs(middle - other) > half + other_half
                for other, other_line, other_half in taken
            )
            if inside and free:
                break
        else:
            side, shift = (1 if left < 0.5 else -1), _LABEL_PLACES[0][1]
        taken.append((centre + side * (12 + half), down + shift - 4, half))
        parts.append(
            Markup(
                '<text class="point-name" x="{:.2f}%" dx="{}" y="{:.1f}" text-anchor="{}">{}</text>'
            ).format(100 * left, 11 * side, down + shift, "start" if side > 0 else "end", arm.title)
        )
    return parts
