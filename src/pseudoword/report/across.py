"""OUT/summary.html: what the studies of several concepts say together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from markupsafe import Markup

from pseudoword.errors import UserError
from pseudoword.report import across_ranks
from pseudoword.report.across_ranks import Method
from pseudoword.report.data import BASE, BASE_TITLE, Estimate, Study, direction
from pseudoword.report.gallery import Picture, subject, typical
from pseudoword.report.pictures import Album
from pseudoword.report.plots import Scale
from pseudoword.report.read import read_study
from pseudoword.report.scatter import WIDER, Point, scaled_scatter
from pseudoword.report.template import asset, environment, scripts
from pseudoword.report.words import KIND_NAMES, VERDICTS
from pseudoword.runs import prepare_folder, read_json, write_atomic

SUMMARY = "summary.json"
MOST_PICTURES = 400
"""Pictures on the page: those of the first concepts, whose studies alone are read."""


@dataclass(frozen=True)
class Concept:
    """One concept: its study's page, its scores and its pictures, which not every one shows."""

    name: str
    class_noun: str
    link: str
    verdict: str
    left_out: str | None
    overall: Mapping[str, float]
    best: Sequence[str]
    pictures: "Pictures | None"


@dataclass(frozen=True)
class Pictures:
    """A photo of a concept, and by method one picture, None where there is none."""

    photo: Picture
    by_method: Mapping[str, Picture | None]


@dataclass(frozen=True)
class Contrast:
    """Method `a`, which is ahead, minus `b` over the concepts."""

    a: Method
    b: Method
    estimate: Estimate
    p_holm: float
    ahead: int

    @property
    def clear(self) -> bool:
        return direction(self.estimate, self.p_holm) != 0


@dataclass(frozen=True)
class Score:
    """One measure over the concepts: an estimate by arm, None where there is none."""

    title: str
    about: str
    explanation: str
    higher_is_better: bool
    estimates: Sequence[Estimate | None]
    best_in: Mapping[str, int]
    n: int


def write_summary(out: Path) -> Path:
    """Writes OUT/summary.html, whole or not at all, and returns its path.

    Raises UserError where summary.json or a concept's study is not readable.
    """
    file = out / "summary.html"
    page = render(out)
    prepare_folder(out)
    write_atomic(file, page)
    return file


def read_summary(out: Path) -> dict[str, Any]:
    """The content of OUT/summary.json. Raises UserError where it is missing or another's."""
    record = read_json(out / SUMMARY)
    if not isinstance(record, dict) or "verdict" not in record:
        raise UserError(
            f"{out / SUMMARY} is not that of `pseudoword study` over several concepts:\n"
            "run the same command again to write it."
        )
    return record


def render(out: Path) -> str:
    """The page as text."""
    record = read_summary(out)
    methods = [
        Method(name, row["title"], index)
        for index, (name, row) in enumerate(record["methods"].items())
    ]
    most = max(1, MOST_PICTURES // (1 + len(methods)))
    pictures = {
        name: _pictures(read_study(out / name), methods) for name in [*record["concepts"]][:most]
    }
    concepts = [_concept(name, record, pictures.get(name)) for name in record["concepts"]]
    shown = [one for each in pictures.values() for one in (each.photo, *each.by_method.values())]
    primary = record["measures"].get("overall")
    contrasts = _contrasts(primary, methods) if primary else []
    values = [
        end
        for row in contrasts
        for end in (row.estimate.value, row.estimate.low, row.estimate.high)
    ]
    return (
        environment(across_ranks)
        .get_template("across.html.j2")
        .render(
            record=record,
            verdict=record["verdict"],
            verdict_name=VERDICTS[record["verdict"]["kind"]],
            verdict_names=VERDICTS,
            kind_names=KIND_NAMES,
            style=asset("style.css"),
            **scripts("define.js"),
            methods=methods,
            ranking=_ranking(primary, methods),
            arms=[(m.name, m.title, m.index) for m in methods] + [(BASE, BASE_TITLE, None)],
            concepts=concepts,
            pictured=len(pictures),
            primary=primary,
            parts={
                part: _estimates(record["measures"][part]["means"])
                for part in ("fidelity", "adherence", "overall")
                if part in record["measures"]
            },
            cloud=_cloud(record["measures"], methods) if primary else None,
            wider=WIDER,
            contrasts=contrasts,
            scale=Scale.over([0.0, *values], ticks=6),
            scores=[_score(row, methods) for row in record["measures"].values()],
            kinds=_kinds(record, methods),
            embed=Album([picture.file for picture in shown if picture]).embed,
        )
    )


def _ranking(measure: Mapping[str, Any] | None, methods: Sequence[Method]) -> list[Method]:
    """The leader first."""
    means = measure["means"] if measure else {}
    return sorted(methods, key=lambda m: means[m.name]["value"] if means else 0.0, reverse=True)


def _concept(name: str, record: Mapping[str, Any], pictures: Pictures | None) -> Concept:
    row = record["concepts"][name]
    by_concept = (
        record["measures"]["overall"]["by_concept"] if "overall" in record["measures"] else {}
    )
    overall = {m: values[name] for m, values in by_concept.items() if name in values}
    most = max(overall.values(), default=0.0)
    return Concept(
        name=name,
        class_noun=row["class_noun"],
        link=quote(f"{name}/report.html"),
        verdict=row["verdict"]["kind"],
        left_out=row["left_out"],
        overall=overall,
        best=[m for m, value in overall.items() if value == most],
        pictures=pictures,
    )


def _pictures(study: Study, methods: Sequence[Method]) -> Pictures:
    arms = {arm.name: arm for arm in study.methods}
    by_method = {m.name: typical(study, arms[m.name]) if m.name in arms else None for m in methods}
    return Pictures(subject(study), by_method)


def _cloud(measures: Mapping[str, Any], methods: Sequence[Method]) -> Markup:
    """Every method's mean over the concepts, and small each concept."""
    across, up = measures["adherence"], measures["fidelity"]

    def beaten(name: str) -> bool:
        x, y = across["means"][name]["value"], up["means"][name]["value"]
        others = [m.name for m in methods if m.name != name]
        return any(
            across["means"][other]["value"] > x and up["means"][other]["value"] > y
            for other in others
        )

    means = [
        Point(
            method,
            _estimate(across["means"][method.name]),
            _estimate(up["means"][method.name]),
            not beaten(method.name),
        )
        for method in methods
    ]
    each = [
        Point(
            method,
            Estimate(across["by_concept"][method.name][name]),
            Estimate(up["by_concept"][method.name][name]),
        )
        for method in methods
        for name in across["of"]
    ]
    base = Point(Method(BASE, BASE_TITLE, None), Estimate(1.0), Estimate(0.0))
    return scaled_scatter(means, base, each)


def _contrasts(measure: Mapping[str, Any], methods: Sequence[Method]) -> list[Contrast]:
    """All pairs in a measure of which more is better, the widest difference first."""
    by_name = {method.name: method for method in methods}
    rows = []
    for row in measure["differences"]:
        a, b, estimate, ahead = row["a"], row["b"], _estimate(row), row["ahead"]
        if row["value"] < 0:
            low, high = (None if end is None else -end for end in (estimate.high, estimate.low))
            a, b, estimate = b, a, Estimate(-row["value"], low, high, estimate.n)
            ahead = row["behind"]
        rows.append(Contrast(by_name[a], by_name[b], estimate, row["p_holm"], ahead))
    return sorted(rows, key=lambda row: -(row.estimate.value or 0.0))


def _score(row: Mapping[str, Any], methods: Sequence[Method]) -> Score:
    means = _estimates(row["means"])
    base = None if row["base_model"] is None else _estimate(row["base_model"])
    return Score(
        row["title"],
        row["about"],
        row["explanation"],
        row["higher_is_better"],
        [*(means.get(method.name) for method in methods), base],
        row["best_in"],
        len(row["of"]),
    )


def _kinds(
    record: Mapping[str, Any], methods: Sequence[Method]
) -> list[tuple[str, list[tuple[str, int, list[Estimate]]]]]:
    """By metric: a row a kind of prompt, with the number of concepts and an estimate an arm."""
    return [
        (
            record["measures"][metric]["title"],
            [
                (
                    KIND_NAMES.get(kind, kind),
                    len(row["of"]),
                    [_estimate(row["means"][name]) for name in (*(m.name for m in methods), BASE)],
                )
                for kind, row in kinds.items()
            ],
        )
        for metric, kinds in record["by_kind"].items()
        if metric in record["measures"]
    ]


def _estimate(row: Mapping[str, Any]) -> Estimate:
    return Estimate(row["value"], row["low"], row["high"], row["n"])


def _estimates(rows: Mapping[str, Mapping[str, Any]]) -> dict[str, Estimate]:
    return {name: _estimate(row) for name, row in rows.items()}
