"""The summary of several concepts as Markdown and CSV."""

import csv
import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pseudoword.report.across import read_summary
from pseudoword.report.data import BASE, BASE_TITLE
from pseudoword.report.markdown import plain, table
from pseudoword.report.words import DASH, VERDICTS, chance, number, p_value, percent, signed
from pseudoword.runs import prepare_folder, write_atomic


def write_summary_markdown(out: Path) -> Path:
    """Writes OUT/summary.md and returns its path. Raises UserError as `read_summary` does."""
    text = "\n\n".join(_sections(read_summary(out))) + "\n"
    prepare_folder(out)
    write_atomic(out / "summary.md", text)
    return out / "summary.md"


def write_summary_csv(out: Path) -> list[Path]:
    """Writes OUT/summary.csv and OUT/differences.csv, not rounded, and returns their paths.

    summary.csv has a row for each measure, arm and concept, and one of concept "all" with the mean
    and its interval. Raises UserError as `read_summary` does.
    """
    record = read_summary(out)
    prepare_folder(out)
    files = []
    for name, rows in (("summary", _summary(record)), ("differences", _differences(record))):
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(rows)
        files.append(out / f"{name}.csv")
        write_atomic(files[-1], text.getvalue())
    return files


def _sections(record: Mapping[str, Any]) -> Iterator[str]:
    verdict, measures = record["verdict"], record["measures"]
    titles = {name: row["title"] for name, row in record["methods"].items()}
    concepts = record["concepts"]
    yield f"# {len(concepts)} concepts: {VERDICTS[verdict['kind']].lower()}"
    yield plain(verdict["text"])
    yield f"**Next.** {plain(verdict['next_step'])}"
    if "overall" in measures:
        yield "## Concept by concept"
        yield _by_concept(record, titles)
        yield "## Paired differences of the overall score"
        yield table(
            ["", "difference", "interval", "p (Holm)", "ahead for"],
            [
                [
                    f"{titles[row['a']]} {DASH} {titles[row['b']]}",
                    signed(row["value"]),
                    _interval(row, signed),
                    p_value(row["p_holm"]),
                    f"{row['ahead']} of {len(measures['overall']['of'])}",
                ]
                for row in measures["overall"]["differences"]
            ],
        )
    yield "## All scores"
    arms = [*titles, BASE]
    yield table(
        ["", *titles.values(), BASE_TITLE],
        [
            [
                f"{row['title']} ({'higher' if row['higher_is_better'] else 'lower'} is better)",
                *(_told((row["means"] | {BASE: row["base_model"]})[arm]) for arm in arms),
            ]
            for row in measures.values()
        ],
    )


def _by_concept(record: Mapping[str, Any], titles: Mapping[str, str]) -> str:
    overall, p_best = record["measures"]["overall"], record["verdict"]["p_best"]
    rows = []
    for name, row in record["concepts"].items():
        shares = [percent(overall["by_concept"][m].get(name)) for m in titles]
        rows.append([plain(name), plain(row["class_noun"]), *shares])
    means = overall["means"]
    rows.append(["mean", "", *(percent(means[m]["value"]) for m in titles)])
    rows.append(["interval", "", *(_interval(means[m], percent) for m in titles)])
    if overall["ranks"]:
        rows.append(["mean rank", "", *(number(overall["ranks"]["mean"][m]) for m in titles)])
        rows.append(["best for", "", *(str(overall["best_in"][m]) for m in titles)])
        rows.append(["chance of being best", "", *(chance(p_best[m]) for m in titles)])
    return table(["concept", "class noun", *titles.values()], rows)


def _interval(row: Mapping[str, Any], show: Any = number) -> str:
    return DASH if row["low"] is None else f"{show(row['low'])} to {show(row['high'])}"


def _told(row: Mapping[str, Any] | None) -> str:
    if row is None:
        return DASH
    return number(row["value"]) + ("" if row["low"] is None else f" ({_interval(row)})")


def _summary(record: Mapping[str, Any]) -> Iterator[list[Any]]:
    yield ["measure", "method", "concept", "value", "low", "high", "n", "rank"]
    for name, row in record["measures"].items():
        ranks = row["ranks"] or {"mean": {}, "by_concept": {}}
        for method, mean in (row["means"] | {BASE: row["base_model"] or {}}).items():
            if mean:
                ends = [mean[key] for key in ("value", "low", "high", "n")]
                yield [name, method, "all", *ends, ranks["mean"].get(method)]
            for concept, value in row["by_concept"].get(method, {}).items():
                rank = ranks["by_concept"].get(concept, {}).get(method)
                yield [name, method, concept, value, None, None, 1, rank]


def _differences(record: Mapping[str, Any]) -> Iterator[list[Any]]:
    keys = ["a", "b", "value", "low", "high", "n", "p", "p_holm", "ahead"]
    yield ["measure", *keys]
    for name, row in record["measures"].items():
        for found in row["differences"]:
            yield [name, *(found[key] for key in keys)]
