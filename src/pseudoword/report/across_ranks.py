"""Ranks over several concepts, with their critical difference."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from textwrap import wrap
from typing import Any

from markupsafe import Markup

from pseudoword.report.plots import Scale, colour, mark
from pseudoword.report.words import listing, number

_TOP = 52  # of the ranks' axis, px below the top; above it the critical difference is drawn
_BAND = 9  # between bars of methods that are alike, px
_LINE = 34  # between names, px
_TEXT = 15  # between the lines of a name, px
_LETTERS = 16  # in a line: what fits beside the axis on a phone


@dataclass(frozen=True)
class Method:
    """A method of all the studies; `index` sets its marker, None is the untouched model's."""

    name: str
    title: str
    index: int | None


def alike(ranks: Mapping[str, float], critical: float) -> list[list[str]]:
    """The largest groups of methods whose mean ranks lie within the critical difference."""
    order = sorted(ranks, key=lambda name: ranks[name])
    groups: list[list[str]] = []
    for start, first in enumerate(order):
        group = [name for name in order[start:] if ranks[name] - ranks[first] <= critical]
        if len(group) > 1 and not (groups and group[-1] in groups[-1]):
            groups.append(group)
    return groups


def critical_difference(methods: Sequence[Method], found: Mapping[str, Any]) -> Markup:
    """Mean ranks on an axis, the best at the left; a bar joins methods that are not separated.

    `found` is a measure's "ranks" (Demšar 2006, section 3.2.4).
    """
    by_name = {method.name: method for method in methods}
    mean, critical = found["mean"], found["critical_difference"]
    count = len(methods)
    scale = Scale(1.0, float(count), tuple(float(rank) for rank in range(1, count + 1)))
    groups = alike(mean, critical)
    below = _TOP + 10 + _BAND * len(groups)
    order = sorted(mean, key=lambda name: mean[name])
    left, right = order[: (count + 1) // 2], order[(count + 1) // 2 :][::-1]
    parts = [_axis(scale, critical)]
    height = 0
    for side, names in (("left", left), ("right", right)):
        y = below + 14 - _LINE
        for name in names:
            lines = wrap(by_name[name].title, _LETTERS)
            y += _LINE + _TEXT * (len(lines) - 1)
            parts.append(_method(by_name[name], lines, mean[name], scale, y, side))
        height = max(height, y + _LINE)
    for row, group in enumerate(groups):
        parts.append(
            Markup('<line class="alike" x1="{0}" x2="{1}" y1="{2}" y2="{2}"/>').format(
                scale.percent(mean[group[0]]),
                scale.percent(mean[group[-1]]),
                _TOP + 10 + _BAND * row,
            )
        )
    told = ", ".join(f"{by_name[name].title} {number(mean[name])}" for name in order)
    joined = "; ".join(listing([by_name[name].title for name in group]) for group in groups)
    return Markup(
        '<svg class="ranks" height="{}" role="img" aria-label="Mean ranks, 1 is the best: {}. '
        'Critical difference {}. Not separated: {}.">{}</svg>'
    ).format(
        height,
        told,
        number(critical),
        joined or "none",
        Markup("").join(parts),
    )


def _axis(scale: Scale, critical: float) -> Markup:
    parts = [
        Markup('<line class="rank-axis" x1="0" x2="100%" y1="{0}" y2="{0}"/>').format(_TOP),
    ]
    for tick in scale.ticks:
        parts.append(
            Markup(
                '<line class="rank-axis" x1="{0}" x2="{0}" y1="{1}" y2="{2}"/>'
                '<text x="{0}" y="{1}" dy="-5" text-anchor="middle">{3:.0f}</text>'
            ).format(scale.percent(tick), _TOP - 6, _TOP, tick)
        )
    reach = 100 * min(1.0, critical / (scale.high - scale.low))
    parts.append(
        Markup(
            '<path class="rank-axis" d="M0,8v8M0,12"/>'
            '<line class="rank-axis" x1="0" x2="{0:.2f}%" y1="12" y2="12"/>'
            '<line class="rank-axis" x1="{0:.2f}%" x2="{0:.2f}%" y1="8" y2="16"/>'
            '<text x="0" y="4">critical difference {1}</text>'
        ).format(reach, number(critical))
    )
    return Markup("").join(parts)


def _method(
    method: Method, lines: Sequence[str], rank: float, scale: Scale, y: int, side: str
) -> Markup:
    """A line from the axis down to the method's row, and out to its name beside the plot."""
    edge, shift, anchor = ("0%", -10, "end") if side == "left" else ("100%", 10, "start")
    name = Markup("").join(
        Markup('<tspan x="{}" dx="{}" y="{}" dy="-1">{}</tspan>').format(
            edge, shift, y - _TEXT * (len(lines) - 1 - row), line
        )
        for row, line in enumerate(lines)
    )
    return Markup(
        '<line class="arm {0}" x1="{1}" x2="{1}" y1="{2}" y2="{3}"/>'
        '<line class="arm {0}" x1="{1}" x2="{4}" y1="{3}" y2="{3}"/>'
        '<svg class="place" x="{1}" y="{2}">{5}</svg>'
        '<text class="name" text-anchor="{7}">{8}</text>'
        '<text x="{4}" dx="{6}" y="{3}" dy="11" text-anchor="{7}">{9}</text>'
    ).format(
        colour(method.index),
        scale.percent(rank),
        _TOP,
        y,
        edge,
        mark(method.index, "large"),
        shift,
        anchor,
        name,
        number(rank),
    )
