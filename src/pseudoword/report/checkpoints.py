"""Which checkpoint and strength a method's pictures are drawn with, and what else there was."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from markupsafe import Markup

from pseudoword.report.data import Arm, Candidate, Estimate, Selection, Study
from pseudoword.report.gallery import Picture
from pseudoword.report.plots import Scale, colour, stretched
from pseudoword.report.words import percent
from pseudoword.runs import IMAGES, validation_folder

PARTS = ("overall", "fidelity", "adherence")


@dataclass(frozen=True)
class Chosen:
    """One method's candidates, by step and then strength, each with a validation picture.

    `by_step` and `by_strength` are curves, None where there are not two points to join.
    """

    arm: Arm
    selection: Selection
    rows: Sequence[tuple[Candidate, Picture | None]]
    by_step: Markup | None
    by_strength: Markup | None

    def losses(self, kind: Literal["held_out", "training"]) -> list[Estimate | None]:
        """The loss beside each candidate; None at other strengths, where it was not measured."""
        by_step = {row.step: getattr(row, kind) for row in self.selection.losses}
        return [by_step.get(row.step) if row.strength == 1 else None for row, _ in self.rows]


def chosen(study: Study) -> list[Chosen]:
    """The methods that something was chosen for; all curves are on one scale."""
    every = [found for selection in study.selection.values() for found in selection.candidates]
    y = Scale.over([0.0, 1.0, *_ends(every)], ticks=4)
    found = []
    for arm in study.methods:
        selection = study.selection.get(arm.name)
        if selection is None or not selection.candidates:
            continue
        rows = sorted(selection.candidates, key=lambda row: (row.step, row.strength))
        usual = [row for row in rows if row.strength == 1]
        alike = [row for row in rows if row.step == selection.checkpoint]
        found.append(
            Chosen(
                arm,
                selection,
                [(row, _picture(study, arm, selection, row)) for row in rows],
                _curve(arm, usual, [float(row.step) for row in usual], "step", y),
                _curve(arm, alike, [row.strength for row in alike], "strength", y),
            )
        )
    return found


def problems(study: Study) -> dict[str, list[str]]:
    """Why nothing was chosen, each with the methods of which that is so."""
    found: dict[str, list[str]] = {}
    for arm in study.methods:
        selection = study.selection.get(arm.name)
        if selection is not None and selection.problem:
            found.setdefault(selection.problem, []).append(arm.title)
    return found


def validation_files(study: Study) -> list[Path]:
    """The pictures that the tables show."""
    rows = [row for table in chosen(study) for row in table.rows]
    return [picture.file for _, picture in rows if picture is not None]


def _picture(study: Study, arm: Arm, selection: Selection, row: Candidate) -> Picture | None:
    """One by the last validation prompt, which is no plain one where there are several."""
    if not selection.image_seeds:
        return None
    seed = study.seeds[0]
    folder = validation_folder(study.run_folder(arm, seed), row.step, row.strength)
    files = sorted((folder / IMAGES).glob(f"*-{selection.image_seeds[0]}.png"))
    if not files:
        return None
    by = f"{arm.title} at step {row.step:,}, strength {row.strength:g}"
    noun = study.record["class_noun"]
    prompt = selection.prompts[-1].replace("{}", noun)
    return Picture(files[-1], by, prompt, seed, selection.image_seeds[0], "")


def _ends(rows: Sequence[Candidate]) -> list[float | None]:
    estimates = [getattr(row, part) for row in rows for part in PARTS]
    return [end for one in estimates for end in (one.value, one.low, one.high)]


def _curve(
    arm: Arm, rows: Sequence[Candidate], places: Sequence[float], unit: str, y: Scale
) -> Markup | None:
    known = [
        (row, place)
        for row, place in zip(rows, places, strict=True)
        if row.overall.value is not None
    ]
    if len(known) < 2:
        return None
    x = Scale.over([place for _, place in known], pad=0.08)
    parts = [_axis(tick, y) for tick in y.ticks]
    parts += [_tick(place, x) for _, place in known]
    parts.append(_band([(x.at(place), row.overall) for row, place in known], arm, y))
    for order, part in enumerate(PARTS):
        line = [
            (x.at(place), getattr(row, part).value)
            for row, place in known
            if getattr(row, part).value is not None
        ]
        parts.append(_line(line, arm, order, y))
    for row, place in known:
        parts.append(_dot(x.at(place), row, arm, y))
    told = "; ".join(
        f"{unit} {place:g}: overall {percent(row.overall.value)}, fidelity "
        f"{percent(row.fidelity.value)}, adherence {percent(row.adherence.value)}"
        + (" (chosen)" if row.chosen else "")
        for row, place in known
    )
    return Markup(
        '<svg class="curves" height="170" role="img" aria-label="{} by {}. {}">{}</svg>'
    ).format(arm.title, unit, told, Markup("").join(parts))


def _axis(tick: float, y: Scale) -> Markup:
    return Markup(
        '<line class="grid" x1="0" x2="100%" y1="{0:.2f}%" y2="{0:.2f}%"/>'
        '<text x="0" dx="-6" y="{0:.2f}%" dy="4" text-anchor="end">{1}</text>'
    ).format(100 * (1 - y.at(tick)), percent(tick))


def _tick(place: float, x: Scale) -> Markup:
    return Markup('<text x="{:.2f}%" y="100%" dy="17" text-anchor="middle">{}</text>').format(
        100 * x.at(place), f"{place:,g}"
    )


def _band(points: Sequence[tuple[float, Estimate]], arm: Arm, y: Scale) -> Markup:
    """The interval of the overall score."""
    known = [
        (across, one.low, one.high)
        for across, one in points
        if one.low is not None and one.high is not None
    ]
    if len(known) < 2:
        return Markup("")
    edge = [(across, high) for across, _, high in known]
    edge += [(across, low) for across, low, _ in reversed(known)]
    path = " ".join(f"{100 * across:.2f},{100 * (1 - y.at(up)):.2f}" for across, up in edge)
    return stretched(
        Markup('<polygon class="band {}" points="{}"/>').format(colour(arm.index), path)
    )


def _line(line: Sequence[tuple[float, float]], arm: Arm, order: int, y: Scale) -> Markup:
    path = " ".join(f"{100 * across:.2f},{100 * (1 - y.at(up)):.2f}" for across, up in line)
    return stretched(
        Markup('<polyline class="curve {} dash{}" points="{}"/>').format(
            colour(arm.index), order, path
        )
    )


def _dot(across: float, row: Candidate, arm: Arm, y: Scale) -> Markup:
    assert row.overall.value is not None
    place = f"{100 * across:.2f}%", f"{100 * (1 - y.at(row.overall.value)):.2f}%"
    dot = Markup('<circle class="stop {}" cx="{}" cy="{}" r="3.5"/>').format(
        colour(arm.index), *place
    )
    if not row.chosen:
        return dot
    ring = Markup('<circle class="chosen-ring" cx="{}" cy="{}" r="8"/>').format(*place)
    return ring + dot
