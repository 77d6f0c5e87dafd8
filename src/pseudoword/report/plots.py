"""Plots as inline SVG that takes the page's width and colours.

Horizontal places are percentages of the drawing's width and vertical ones pixels, so that text and
markers keep their size on every screen. Colours come from classes in style.css: `c0` to `c7` for
the methods (Okabe and Ito's palette), `cbase` for the untouched model.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from markupsafe import Markup

from pseudoword.report.data import Estimate

PALETTE = 8
SHAPES = (
    "M-5.5,0a5.5,5.5 0 1 0 11,0a5.5,5.5 0 1 0 -11,0",  # circle
    "M-5,-5h10v10h-10z",  # square
    "M0,-6.5L6.3,5H-6.3z",  # triangle
    "M0,-7L6.5,0L0,7L-6.5,0z",  # diamond
    "M0,6.5L6.3,-5H-6.3z",  # triangle on its tip
    "M-2,-6h4v4h4v4h-4v4h-4v-4h-4v-4h4z",  # plus
    "M0,-7L1.7,-2.3H6.7L2.7,0.7L4.1,5.7L0,2.8L-4.1,5.7L-2.7,0.7L-6.7,-2.3H-1.7z",  # star
    "M-3.3,-5.7h6.6L6.6,0L3.3,5.7h-6.6L-6.6,0z",  # hexagon
)


@dataclass(frozen=True)
class Scale:
    """From values to fractions of an axis, with round ticks inside."""

    low: float
    high: float
    ticks: tuple[float, ...]

    @staticmethod
    def over(values: Iterable[float | None], pad: float = 0.06, ticks: int = 5) -> "Scale":
        known = [value for value in values if value is not None]
        low, high = (min(known), max(known)) if known else (0.0, 1.0)
        room = pad * (high - low) or 0.05
        low, high = low - room, high + room
        step = _round_step((high - low) / ticks)
        first, last = math.ceil(low / step), math.floor(high / step)
        return Scale(low, high, tuple(step * index for index in range(first, last + 1)))

    def at(self, value: float) -> float:
        return (value - self.low) / (self.high - self.low)

    def percent(self, value: float) -> str:
        return f"{100 * self.at(value):.2f}%"

    def label(self, tick: float) -> str:
        step = self.ticks[1] - self.ticks[0] if len(self.ticks) > 1 else 0.1
        digits = max(0, -math.floor(math.log10(step) + 1e-9))
        return f"{tick + 0.0:.{digits}f}".replace("-", "\N{MINUS SIGN}")


def _round_step(step: float) -> float:
    power = 10.0 ** math.floor(math.log10(step))
    return power * next(round_ for round_ in (1, 2, 5, 10) if round_ * power >= step * 0.999)


def colour(index: int | None) -> str:
    """The class that sets an arm's colour."""
    return "cbase" if index is None else f"c{index % PALETTE}"


def mark(index: int | None, extra: str = "") -> Markup:
    """The marker of an arm, around the origin."""
    shape = SHAPES[0] if index is None else SHAPES[(index + index // PALETTE) % len(SHAPES)]
    return Markup('<path class="mark {} {}" d="{}"/>').format(colour(index), extra, shape)


def key(index: int | None) -> Markup:
    """The marker of an arm beside its name."""
    return Markup('<svg class="key" viewBox="-8 -8 16 16" aria-hidden="true">{}</svg>').format(
        mark(index)
    )


def bar(share: float, index: int | None) -> Markup:
    """A horizontal bar of `share` of the width."""
    return Markup(
        '<svg class="bar" aria-hidden="true"><rect class="track" width="100%" height="100%"/>'
        '<rect class="fill {}" width="{:.2f}%" height="100%"/></svg>'
    ).format(colour(index), 100 * min(1.0, max(0.0, share)))


def difference_track(estimate: Estimate, scale: Scale, clear: bool) -> Markup:
    """One row of a forest plot: the interval, the estimate and the line of no difference."""
    if estimate.value is None:
        return Markup("")
    parts = [Markup('<line class="zero" x1="{0}" x2="{0}" y1="0" y2="100%"/>')]
    parts[0] = parts[0].format(scale.percent(0.0))
    if estimate.low is not None and estimate.high is not None:
        parts.append(
            Markup('<line class="whisker" x1="{}" x2="{}" y1="50%" y2="50%"/>').format(
                scale.percent(estimate.low), scale.percent(estimate.high)
            )
        )
    state = "clear" if clear else "unclear"
    parts.append(
        Markup('<circle class="point {}" cx="{}" cy="50%" r="5"/>').format(
            state, scale.percent(estimate.value)
        )
    )
    return Markup('<svg class="track" aria-hidden="true">{}</svg>').format(Markup("").join(parts))


def difference_axis(scale: Scale) -> Markup:
    """The axis below a forest plot."""
    ticks = Markup("").join(
        Markup('<text x="{}" y="13" text-anchor="middle">{}</text>').format(
            scale.percent(tick), scale.label(tick)
        )
        for tick in scale.ticks
    )
    return Markup('<svg class="axis" aria-hidden="true">{}</svg>').format(ticks)


def stretched(content: Markup) -> Markup:
    """Shapes in units of a hundredth of the drawing's width and height, with lines of any width."""
    return Markup(
        '<svg class="stretched" viewBox="0 0 100 100" preserveAspectRatio="none" width="100%" '
        'height="100%">{}</svg>'
    ).format(content)
