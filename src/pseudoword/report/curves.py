"""The loss of each method against its steps."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

from markupsafe import Markup

from pseudoword.report.data import Arm, Study
from pseudoword.report.gallery import MOST_SEEDS
from pseudoword.report.logs import read_log
from pseudoword.report.plots import Scale, colour, stretched
from pseudoword.report.words import number

_POINTS = 160
_WINDOW = 20  # the smoothing spans this share of a run: one twentieth


@dataclass(frozen=True)
class Line:
    """The smoothed loss of a training, and the steps of its snapshots."""

    seed: int
    losses: Sequence[tuple[int, float]]
    snapshots: Sequence[int]


@dataclass(frozen=True)
class Curves:
    """The drawing of an arm's trainings, and their seeds."""

    drawing: Markup
    seeds: Sequence[int]


def smooth(losses: Sequence[tuple[int, float]]) -> list[tuple[int, float]]:
    """A running mean over about one twentieth of the run on either side, thinned for drawing."""
    window = max(1, len(losses) // _WINDOW)
    values = [loss for _, loss in losses]
    step = max(1, len(losses) // _POINTS)
    chosen = sorted({*range(0, len(losses), step), len(losses) - 1}) if losses else []
    found = []
    for index in chosen:
        near = values[max(0, index - window) : index + window + 1]
        found.append((losses[index][0], sum(near) / len(near)))
    return found


def loss_curves(study: Study) -> dict[str, Curves]:
    """One drawing an arm that has a log: the smoothed loss of its runs, all on one loss axis."""
    lines = {arm.name: _lines(study, arm) for arm in study.methods}
    everything = [loss for some in lines.values() for line in some for _, loss in line.losses]
    y = Scale.over(everything, ticks=4)
    return {
        arm.name: Curves(_curve(arm, some, y), [line.seed for line in some])
        for arm in study.methods
        if (some := lines[arm.name])
    }


def _lines(study: Study, arm: Arm) -> list[Line]:
    """Of the first trainings that kept a log."""
    logs = ((run.seed, read_log(study.run_folder(arm, run.seed))) for run in arm.runs)
    kept = ((seed, log) for seed, log in logs if log.losses)
    return [Line(seed, smooth(log.losses), log.snapshots) for seed, log in islice(kept, MOST_SEEDS)]


def _curve(arm: Arm, lines: Sequence[Line], y: Scale) -> Markup:
    steps = max(line.losses[-1][0] for line in lines)
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
    for snapshot in sorted({snapshot for line in lines for snapshot in line.snapshots}):
        parts.append(
            Markup(
                '<line class="snapshot" x1="{0:.2f}%" x2="{0:.2f}%" y1="94%" y2="100%"/>'
            ).format(100 * min(1.0, snapshot / max(1, steps)))
        )
    for order, line in enumerate(lines):
        points = " ".join(
            f"{100 * step / max(1, steps):.2f},{100 * (1 - y.at(loss)):.2f}"
            for step, loss in line.losses
        )
        parts.append(
            stretched(
                Markup('<polyline class="curve {} dash{}" points="{}"/>').format(
                    colour(arm.index), order % 4, points
                )
            )
        )
    ends = ", ".join(f"seed {line.seed} ends at {number(line.losses[-1][1])}" for line in lines)
    return Markup(
        '<svg class="curves" height="130" role="img" aria-label="Loss of {}: {}">{}</svg>'
    ).format(arm.title, ends, Markup("").join(parts))
