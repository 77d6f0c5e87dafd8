"""STUDY/report.md: the verdict and the tables, without pictures, for terminals and repositories."""

import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path

from pseudoword.report.checkpoints import problems
from pseudoword.report.commands import next_steps
from pseudoword.report.data import Estimate, Study
from pseudoword.report.read import read_study
from pseudoword.report.scores import score_groups
from pseudoword.report.tables import Contrast, forests, kind_differences, primary_forest, standing
from pseudoword.report.words import (
    DASH,
    KIND_NAMES,
    VERDICTS,
    amount,
    chance,
    date,
    duration,
    listing,
    number,
    p_value,
    percent,
    signed,
    size,
)
from pseudoword.runs import prepare_folder, write_atomic


def write_markdown(study: Path) -> Path:
    """Writes STUDY/report.md and returns its path.

    Raises UserError where the study in the folder `study` is not finished or not readable.
    """
    text = markdown(read_study(study))
    prepare_folder(study)
    write_atomic(study / "report.md", text)
    return study / "report.md"


def markdown(study: Study) -> str:
    """The report as GitHub's Markdown, its tables aligned for reading as they are."""
    parts = [
        *_verdict(study),
        *_standing(study),
        *_comparisons(study),
        *_by_kind(study),
        *_scores(study),
        *_checkpoints(study),
        *_cost(study),
        *_about(study),
    ]
    return "\n\n".join(parts) + "\n"


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table whose columns are as wide as their widest cell."""
    cells = [[_cell(text) for text in row] for row in (header, *rows)]
    widths = [max(3, *(_width(row[i]) for row in cells)) for i in range(len(header))]

    def line(row: Sequence[str]) -> str:
        padded = [
            text + " " * (wide - _width(text)) for text, wide in zip(row, widths, strict=True)
        ]
        return f"| {' | '.join(padded)} |"

    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    return "\n".join([line(cells[0]), rule, *(line(row) for row in cells[1:])])


def plain(text: str) -> str:
    """A text of the user's in which nothing is markup."""
    escaped = "".join(f"\\{sign}" if sign in "\\*_[]<>#`|~" else sign for sign in text)
    return " ".join(escaped.split())


def _cell(text: str) -> str:
    return " ".join(text.replace("\\|", "|").replace("|", "\\|").split())


def _width(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(sign) in "WF" else 1 for sign in text)


def _prose(text: str) -> str:
    """A sentence of results.json, in which `backticks` mark code and stay."""
    parts = text.split("`")
    if len(parts) % 2 == 0:
        return plain(text)
    kept = [f"`{part}`" if index % 2 else _spaced(part) for index, part in enumerate(parts)]
    return "".join(kept).strip()


def _spaced(text: str) -> str:
    lead, tail = " " * text.startswith(" "), " " * (text.endswith(" ") and bool(text.strip()))
    return f"{lead}{plain(text)}{tail}"


def _verdict(study: Study) -> Iterator[str]:
    verdict = study.verdict
    yield f"# {plain(study.record['class_noun'])}: {VERDICTS[verdict['kind']].lower()}"
    yield f"**{_prose(verdict['text'])}**"
    if study.discrimination.tells is False:
        yield f"The measure cannot tell. {_prose(study.discrimination.text)}"
    yield "## What to do next"
    if verdict["next_step"]:
        yield _prose(verdict["next_step"])
    for step in next_steps(study):
        yield f"{plain(step.about)}:\n\n```sh\n{step.command}\n```"
    wrong = [
        f"- **{plain(row.title)} diverged.** {_prose(row.text)} {_prose(row.remedy)}"
        for row in study.failures
    ] + [
        f"- **{plain(arm.title)}: {plain(flag.title)}.** {_prose(flag.text)} {_prose(flag.remedy)}"
        for arm in study.methods
        for flag in arm.flags
    ]
    if wrong:
        yield "## What went wrong"
        yield "\n".join(wrong)


def _standing(study: Study) -> Iterator[str]:
    yield "## Standing"
    rows = []
    for arm in standing(study):
        scaled = study.normalised.get(arm.name, {})
        parts = [scaled.get(part) for part in ("fidelity", "adherence", "overall")]
        p_best = study.verdict["p_best"].get(arm.name)
        place = study.pareto.get(arm.name)
        on = place.p_front if place else None
        rows.append(
            [
                plain(arm.title),
                DASH if p_best is None else chance(p_best),
                *(_estimate(part, share=True) for part in parts),
                DASH if on is None else chance(on),
            ]
        )
    header = ["Method", "Chance of being best", "Fidelity", "Adherence", "Overall"]
    yield table([*header, "Chance to be on the Pareto front"], rows)
    if study.discrimination.tells is not False:
        yield _prose(study.discrimination.text)


def _comparisons(study: Study) -> Iterator[str]:
    primary = primary_forest(study)
    every = ([primary] if primary else []) + forests(study)
    if not every:
        return
    yield "## Paired differences"
    header = [
        "Score",
        "Difference of",
        "Value",
        "95 % interval",
        "p after Holm",
        "Chance of improvement",
    ]
    yield table(
        header, [_contrast(one.title, c) for one in every for _, g in one.groups for c in g]
    )


def _by_kind(study: Study) -> Iterator[str]:
    kinds = [KIND_NAMES.get(kind, kind) for kind in study.kinds()]
    for metric, pairs in kind_differences(study):
        yield f"### Differences in {plain(metric.title)} by kind of prompt"
        yield table(
            ["Difference of", *kinds],
            [
                [
                    f"{plain(a.title)} minus {plain(b.title)}",
                    *(
                        f"{signed(c.estimate.value)}{' (separated)' if c.clear else ''}"
                        for c in row
                    ),
                ]
                for a, b, row in pairs
            ],
        )


def _contrast(title: str, row: Contrast) -> list[str]:
    low, high = row.estimate.low, row.estimate.high
    between = DASH if low is None else f"{signed(low)} to {signed(high)}"
    better = DASH if row.p_improvement is None else percent(row.p_improvement)
    names = f"{plain(row.a.title)} minus {plain(row.b.title)}"
    return [title, names, signed(row.estimate.value), between, p_value(row.p_holm) or DASH, better]


def _scores(study: Study) -> Iterator[str]:
    yield "## Scores"
    titles = [plain(arm.title) for arm in study.arms]
    for group in score_groups(study):
        yield f"### {group.title}"
        rows = []
        notes = []
        for row in group.rows:
            way = "higher is better" if row.metric.higher_is_better else "lower is better"
            cells = [_estimate(one) for one in (*row.estimates, row.ceiling)]
            rows.append([f"{plain(row.metric.title)} ({way})", *cells])
            for kind, estimates in row.kinds:
                name = f"- {KIND_NAMES.get(kind, kind)}"
                rows.append([name, *(_estimate(one) for one in estimates), ""])
            for warning in row.warnings:
                notes.append(f"- Caution, {plain(row.metric.title)}: {plain(warning)}")
        yield table(["Metric", *titles, "Ceiling"], rows)
        if notes:
            yield "\n".join(dict.fromkeys(notes))


def _checkpoints(study: Study) -> Iterator[str]:
    rows = [
        [
            plain(arm.title),
            f"{row.step:,}",
            f"{row.strength:g}",
            *(_estimate(one, share=True) for one in (row.overall, row.fidelity, row.adherence)),
            "chosen" if row.chosen else "",
        ]
        for arm in study.methods
        if arm.name in study.selection and not study.selection[arm.name].problem
        for row in study.selection[arm.name].candidates
    ]
    if rows:
        yield "## Checkpoints"
        header = ["Method", "Step", "Strength", "Overall", "Fidelity", "Adherence", ""]
        yield table(header, rows)
    for problem, names in problems(study).items():
        reason = _prose(problem.rstrip("."))
        yield f"{plain(listing(names))}: the end of training is drawn with. {reason}."


def _cost(study: Study) -> Iterator[str]:
    yield "## Cost"
    header = ["Method", "Time", "Peak memory", "Trainable parameters", "File size"]
    rows = [
        [
            plain(arm.title),
            duration(arm.cost.get("seconds")),
            size(arm.cost.get("peak_memory_bytes")),
            amount(arm.cost.get("trainable_parameters")),
            size(arm.cost.get("artefact_bytes")),
        ]
        for arm in study.methods
    ]
    yield table(header, rows)


def _about(study: Study) -> Iterator[str]:
    record = study.record
    held = sum(photo["held_out"] for photo in record["photos"])
    yield "## What was compared"
    yield table(
        ["", ""],
        [
            ["Model", plain(str(record["model"]))],
            ["Photos", f"{len(record['photos']) - held} to train on, {held} held out"],
            ["Trainings a method", str(len(study.seeds))],
            ["Prompts", str(len(study.prompts))],
            ["Pictures of a prompt and training", str(len(study.image_seeds))],
            ["Made", date(record["created"])],
            ["By", f"pseudoword {plain(record['pseudoword'])}"],
        ],
    )
    told = [plain(text) for text in (*record["warnings"], *record["notes"])]
    if told:
        yield "\n".join(f"- {text}" for text in told)
    yield "## Metrics"
    yield "\n".join(
        f"- **{plain(metric.title)}**: {plain(metric.explanation)} "
        f"({plain(metric.unit) or 'no unit'}; {plain(metric.source)})"
        for metric in study.metrics.values()
    )


def _estimate(one: Estimate | None, share: bool = False) -> str:
    show = percent if share else number
    if one is None or one.value is None:
        return DASH
    if one.low is None or one.high is None:
        return show(one.value)
    return f"{show(one.value)} ({show(one.low)} to {show(one.high)})"
