"""The loss of each method against its steps."""

from collections.abc import Sequence

from markupsafe import Markup

from pseudoword.report.data import Arm, Run
from pseudoword.report.plots import Scale, colour, stretched
from pseudoword.report.words import number

_POINTS = 160
_WINDOW = 20  # the smoothing spans this share of a run: one twentieth


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


def loss_curves(arms: Sequence[Arm]) -> dict[str, Markup]:
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
            stretched(
                Markup('<polyline class="curve {} dash{}" points="{}"/>').format(
                    colour(arm.index), order % 4, points
                )
            )
        )
    ends = ", ".join(f"seed {run.seed} ends at {number(line[-1][1])}" for run, line in runs)
    return Markup(
        '<svg class="curves" height="130" role="img" aria-label="Loss of {}: {}">{}</svg>'
    ).format(arm.title, ends, Markup("").join(parts))
