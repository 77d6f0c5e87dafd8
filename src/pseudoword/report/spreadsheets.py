"""A study's numbers as CSV files, for spreadsheets and other programs."""

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

from pseudoword.report.data import Arm, Estimate, Metric, Study
from pseudoword.report.listing import listed_metrics, listing
from pseudoword.report.read import read_study
from pseudoword.runs import atomic_path, prepare_folder

Row = Sequence[object]
"""Values of one line; None is an empty cell."""


def write_csv(study: Path) -> list[Path]:
    """Writes scores.csv, summary.csv and differences.csv into the folder and returns their paths.

    scores.csv has a row a picture and a column a metric; summary.csv a row for each arm, metric and
    kind of prompt ("all" for all of them); differences.csv the paired differences, those of the
    verdict's overall score first. Values are as results.json has them, not rounded. Raises
    UserError where the study is not finished or not readable.
    """
    found = read_study(study)
    prepare_folder(study)
    tables = {"scores": _scores, "summary": _summary, "differences": _differences}
    files = []
    for name, rows in tables.items():
        files.append(study / f"{name}.csv")
        # Line by line, since there may be many pictures.
        with (
            atomic_path(files[-1]) as temporary,
            temporary.open("w", encoding="utf-8", newline="") as file,
        ):
            csv.writer(file, lineterminator="\n").writerows(rows(found))
    return files


def _scores(study: Study) -> Iterable[Row]:
    names = [metric.name for metric in listed_metrics(study)]
    yield ["method", "title", "seed", "prompt_id", "prompt", "kind", "image_seed", *names]
    for row in listing(study):
        place = [row.method, row.by, row.seed, row.prompt_id, row.prompt, row.kind]
        yield [*place, row.image_seed, *row.values]


def _summary(study: Study) -> Iterable[Row]:
    yield [
        *("method", "title", "kind", "metric", "value", "low", "high", "n"),
        *("n_reference", "covariance_rank", "unit", "higher_is_better", "warning"),
    ]
    for arm in (*study.arms, *study.given):
        kinds = {"all": arm.scores} | {kind: arm.by_kind.get(kind, {}) for kind in study.kinds()}
        for kind, scores in kinds.items():
            for name, estimate in scores.items():
                if name in study.metrics:
                    yield _summary_row(arm, kind, study.metrics[name], estimate)
        for name, estimate in study.normalised.get(arm.name, {}).items():
            place = [arm.name, arm.title, "all", name]
            yield [*place, *_ends(estimate), None, None, None, "share", True, None]


def _summary_row(arm: Arm, kind: str, metric: Metric, estimate: Estimate) -> Row:
    sizes = [estimate.n, estimate.n_reference, estimate.covariance_rank]
    about = [metric.unit, metric.higher_is_better, estimate.warning]
    return [arm.name, arm.title, kind, metric.name, *_ends(estimate), *sizes, *about]


def _differences(study: Study) -> Iterable[Row]:
    yield ["metric", "kind", "a", "b", "value", "low", "high", "n", "p", "p_holm", "p_improvement"]
    for one in study.comparisons:
        rest = [one.estimate.n, one.p, one.p_holm, one.p_improvement]
        yield ["overall", "all", one.a, one.b, *_ends(one.estimate), *rest]
    for kind, found in {"all": study.differences, **study.differences_by_kind}.items():
        for row in found:
            rest = [row.estimate.n, row.p, row.p_holm, None]
            yield [row.metric, kind, row.a, row.b, *_ends(row.estimate), *rest]


def _ends(estimate: Estimate) -> list[float | None]:
    return [estimate.value, estimate.low, estimate.high]
