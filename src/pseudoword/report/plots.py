"""Plots as inline SVG that takes the page's width and colours.

Horizontal places are percentages of the drawing's width and vertical ones pixels, so that text and
markers keep their size on every screen. Colours come from classes in style.css: `c0` to `c7` for
the methods (Okabe and Ito's palette), `cbase` for the untouched model.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from pseudoword.report.data import Arm, Estimate, Run
from pseudoword.report.words import number

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
_HEIGHT = 360  # of the scatter plot, px
_USUAL_WIDTH = 580  # of the scatter plot on a desk, px: for keeping names apart
_LEAST_WIDTH = 270  # and on a phone: for keeping names inside
# Where a name may stand: right or left of its marker, and by how many px below its middle.
_LABEL_PLACES = [(side, shift) for shift in (-8, 17, 4, -24, 33) for side in (1, -1)]
_CURVE_POINTS = 160
_CURVE_WINDOW = 20  # the smoothing spans this share of a run: one twentieth


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


def _mark(index: int | None, extra: str = "") -> Markup:
    shape = SHAPES[0] if index is None else SHAPES[(index + index // PALETTE) % len(SHAPES)]
    return Markup('<path class="mark {} {}" d="{}"/>').format(colour(index), extra, shape)


def key(index: int | None) -> Markup:
    """The marker of an arm beside its name."""
    return Markup('<svg class="key" viewBox="-8 -8 16 16" aria-hidden="true">{}</svg>').format(
        _mark(index)
    )


def bar(share: float, index: int | None) -> Markup:
    """A horizontal bar of `share` of the width."""
    return Markup(
        '<svg class="bar" aria-hidden="true"><rect class="track" width="100%" height="100%"/>'
        '<rect class="fill {}" width="{:.2f}%" height="100%"/></svg>'
    ).format(colour(index), 100 * min(1.0, max(0.0, share)))


def difference_track(estimate: Estimate, scale: Scale) -> Markup:
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
    state = "clear" if estimate.sign else "unclear"
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


def scatter(arms: Sequence[Arm], ceiling: Estimate | None) -> Markup | None:
    """DINO (upwards) against CLIP-T with intervals; None where no arm has both."""
    shown = [arm for arm in arms if None not in (_value(arm, "dino"), _value(arm, "clip_t"))]
    if not shown:
        return None
    top = ceiling.value if ceiling else None
    x = Scale.over(_reach(shown, "clip_t"))
    y = Scale.over([*_reach(shown, "dino"), top], ticks=7)
    base = next((arm for arm in shown if arm.index is None), None)
    parts = [_frame(x, y)]
    if top is not None:
        parts.append(_level(y, top, "ceiling: the photos to each other", above=True))
    if base is not None:
        parts.append(_level(y, base.scores["dino"].value, "floor: untouched model", above=False))
    parts += [_seed_dots(arm, x, y) for arm in shown]
    parts += [_cross(arm, x, y) for arm in shown]
    parts += _labels([arm for arm in shown if arm is not base], x, y)
    told = "; ".join(
        f"{arm.title}: DINO {number(_value(arm, 'dino'))}, CLIP-T {number(_value(arm, 'clip_t'))}"
        for arm in shown
    )
    return Markup(
        '<svg class="scatter" height="{}" role="img" aria-label="Scatter plot. {}">{}</svg>'
    ).format(_HEIGHT, told, Markup("").join(parts))


def _value(arm: Arm, metric: str) -> float | None:
    return arm.scores[metric].value if metric in arm.scores else None


def _reach(arms: Sequence[Arm], metric: str) -> list[float | None]:
    found: list[float | None] = []
    for arm in arms:
        estimate = arm.scores[metric]
        found += [estimate.value, estimate.low, estimate.high]
        found += [getattr(run, metric) for run in arm.runs]
    return found


def _down(scale: Scale, value: float) -> float:
    return (1 - scale.at(value)) * _HEIGHT


def _frame(x: Scale, y: Scale) -> Markup:
    rows = [Markup('<rect class="area" width="100%" height="{}"/>').format(_HEIGHT)]
    for tick in y.ticks:
        rows.append(
            Markup(
                '<line class="grid" x1="0" x2="100%" y1="{0:.1f}" y2="{0:.1f}"/>'
                '<text x="0" dx="-8" y="{0:.1f}" dy="4" text-anchor="end">{1}</text>'
            ).format(_down(y, tick), y.label(tick))
        )
    for tick in x.ticks:
        rows.append(
            Markup(
                '<line class="grid" x1="{0}" x2="{0}" y1="0" y2="{1}"/>'
                '<text x="{0}" y="{1}" dy="18" text-anchor="middle">{2}</text>'
            ).format(x.percent(tick), _HEIGHT, x.label(tick))
        )
    rows.append(
        Markup(
            '<text class="name" x="50%" y="{}" dy="40" text-anchor="middle">'
            "CLIP-T: adherence to the prompt \N{RIGHTWARDS ARROW}</text>"
            '<text class="name" transform="translate(-46,{}) rotate(-90)" text-anchor="middle">'
            "DINO: likeness to the subject \N{RIGHTWARDS ARROW}</text>"
        ).format(_HEIGHT, _HEIGHT / 2)
    )
    return Markup("").join(rows)


def _level(y: Scale, value: float | None, text: str, above: bool) -> Markup:
    if value is None:
        return Markup("")
    return Markup(
        '<line class="level" x1="0" x2="100%" y1="{0:.1f}" y2="{0:.1f}"/>'
        '<text class="level-name" x="0" dx="6" y="{0:.1f}" dy="{1}">{2}</text>'
    ).format(_down(y, value), -6 if above else 15, text)


def _seed_dots(arm: Arm, x: Scale, y: Scale) -> Markup:
    return Markup("").join(
        Markup('<circle class="seed {}" cx="{}" cy="{:.1f}" r="3"/>').format(
            colour(arm.index), x.percent(run.clip_t), _down(y, run.dino)
        )
        for run in arm.runs
        if run.dino is not None and run.clip_t is not None
    )


def _cross(arm: Arm, x: Scale, y: Scale) -> Markup:
    likeness, adherence = arm.scores["dino"], arm.scores["clip_t"]
    left, down = x.percent(_known(arm, "clip_t")), _down(y, _known(arm, "dino"))
    parts = []
    if adherence.low is not None and adherence.high is not None:
        parts.append(
            Markup('<line class="arm {0}" x1="{1}" x2="{2}" y1="{3:.1f}" y2="{3:.1f}"/>').format(
                colour(arm.index), x.percent(adherence.low), x.percent(adherence.high), down
            )
        )
    if likeness.low is not None and likeness.high is not None:
        parts.append(
            Markup('<line class="arm {0}" x1="{1}" x2="{1}" y1="{2:.1f}" y2="{3:.1f}"/>').format(
                colour(arm.index), left, _down(y, likeness.low), _down(y, likeness.high)
            )
        )
    parts.append(
        Markup('<svg class="place" x="{}" y="{:.1f}">{}</svg>').format(
            left, down, _mark(arm.index, "large")
        )
    )
    return Markup("").join(parts)


def _labels(arms: Sequence[Arm], x: Scale, y: Scale) -> list[Markup]:
    """Names beside the markers, each at the first place where it covers no marker and no name."""
    places = [
        (arm, x.at(_known(arm, "clip_t")), _down(y, _known(arm, "dino")))
        for arm in sorted(arms, key=lambda arm: -_known(arm, "dino"))
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


def _known(arm: Arm, metric: str) -> float:
    value = _value(arm, metric)
    assert value is not None
    return value


def smooth(losses: Sequence[tuple[int, float]]) -> list[tuple[int, float]]:
    """A running mean over about one twentieth of the run on either side, thinned for drawing."""
    window = max(1, len(losses) // _CURVE_WINDOW)
    values = [loss for _, loss in losses]
    step = max(1, len(losses) // _CURVE_POINTS)
    chosen = sorted({*range(0, len(losses), step), len(losses) - 1}) if losses else []
    found = []
    for index in chosen:
        near = values[max(0, index - window) : index + window + 1]
        found.append((losses[index][0], sum(near) / len(near)))
    return found


def curves(arms: Sequence[Arm]) -> dict[str, Markup]:
    """One drawing an arm that has a log: the smoothed loss of its runs, all on one loss axis."""
    lines = {arm.name: [(run, smooth(run.losses)) for run in arm.runs] for arm in arms}
    everything = [loss for runs in lines.values() for _, line in runs for _, loss in line]
    if not everything:
        return {}
    y = Scale.over(everything, ticks=4)
    drawn = {}
    for arm in arms:
        runs = [(run, line) for run, line in lines[arm.name] if line]
        if runs:
            drawn[arm.name] = _curve(arm, runs, y)
    return drawn


def _curve(arm: Arm, runs: Sequence[tuple[Run, list[tuple[int, float]]]], y: Scale) -> Markup:
    steps = max(line[-1][0] for _, line in runs)
    parts = []
    for tick in y.ticks:
        across = 100 * (1 - y.at(tick))
        parts.append(
            Markup(
                '<line class="grid" x1="0" x2="100%" y1="{0:.2f}%" y2="{0:.2f}%"/>'
                '<text x="0" dx="-6" y="{0:.2f}%" dy="4" text-anchor="end">{1}</text>'
            ).format(across, y.label(tick))
        )
    for step, anchor in ((0, "start"), (steps, "end")):
        parts.append(
            Markup('<text x="{:.0f}%" y="100%" dy="17" text-anchor="{}">{}</text>').format(
                100 * step / max(1, steps), anchor, f"step {step:,}" if step else "0"
            )
        )
    for snapshot in sorted({snapshot for run, _ in runs for snapshot in run.snapshots}):
        parts.append(
            Markup(
                '<line class="snapshot" x1="{0:.2f}%" x2="{0:.2f}%" y1="94%" y2="100%"/>'
            ).format(100 * min(1.0, snapshot / max(1, steps)))
        )
    for order, (_, line) in enumerate(runs):
        points = " ".join(
            f"{100 * step / max(1, steps):.2f},{100 * (1 - y.at(loss)):.2f}" for step, loss in line
        )
        parts.append(
            Markup(
                '<svg viewBox="0 0 100 100" preserveAspectRatio="none" width="100%" height="100%">'
                '<polyline class="curve {} dash{}" points="{}"/></svg>'
            ).format(colour(arm.index), order % 4, points)
        )
    ends = ", ".join(f"seed {run.seed} ends at {number(line[-1][1])}" for run, line in runs)
    return Markup(
        '<svg class="curves" height="130" role="img" aria-label="Loss of {}: {}">{}</svg>'
    ).format(arm.title, ends, Markup("").join(parts))
