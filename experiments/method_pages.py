"""Writes into docs/methods/*.md what code and figures say: settings by model, and the search.

    python experiments/method_pages.py

Settings come from the methods' classes; figures from docs/methods/search.csv, which is toys.csv of
`python experiments/search_settings.py OUT`. The rest of a page is written by hand.
"""

import csv
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pseudoword.methods import METHODS
from pseudoword.methods.base import Method
from pseudoword.runs import write_atomic

PAGES = Path(__file__).parent.parent / "docs" / "methods"
PRESETS = {
    "stable-diffusion": "SD 1.5",
    "stable-diffusion-xl": "SDXL",
    "stable-diffusion-3": "SD 3",
    "toybox": "toybox",
}
SCORES = {
    "doubles_beaten": "near doubles beaten",
    "truth_likeness": "likeness to true renders",
    "right_scene": "right scene",
    "worth": "worth",
}
UNTOUCHED = "untouched"
Rows = list[dict[str, str]]


def settings_table(method: type[Method]) -> str:
    """Every setting with its default for each size of model."""
    chosen = [method.Settings(**method.presets.get(p, {})).model_dump() for p in PRESETS]
    rows = [["setting", "", *PRESETS.values()]]
    for name, field in method.Settings.model_fields.items():
        rows.append([f"`{name}`", str(field.description), *(_shown(c[name]) for c in chosen)])
    return markdown_table(rows)


def measured_table(method: type[Method], rows: Rows) -> str:
    """What its toybox settings gave, toy by toy; for a method of the study a word on that."""
    if not any(row["method"] == method.name for row in rows):
        return "It is one of the three methods of [the study of ten toys](../study.md): see there."
    chosen = method.Settings(**method.presets["toybox"])
    own = {
        row["toy"]: row
        for row in rows
        if row["method"] == method.name
        and float(row["learning_rate"]) == chosen.learning_rate
        and int(row["step"]) == chosen.steps
    }
    base = {row["toy"]: row for row in rows if row["method"] == UNTOUCHED}
    table = [["toy", *SCORES.values()]]
    table += [[toy, *(_pair(own[toy], base[toy], score) for score in SCORES)] for toy in base]
    means = [f"**{_mean(own.values(), s):.2f}** ({_mean(base.values(), s):.2f})" for s in SCORES]
    table.append(["mean", *means])
    return (
        f"Learning rate {chosen.learning_rate:g}, {chosen.steps} steps; in brackets the untouched "
        f"model.\n\n{markdown_table(table)}"
    )


def pages(rows: Rows) -> dict[Path, str]:
    """Every page as it should be."""
    found = {}
    for name, method in METHODS.items():
        path = PAGES / f"{name}.md"
        text = put_block(path.read_text(), "settings", settings_table(method))
        found[path] = put_block(text, "measured", measured_table(method, rows))
    return found


def read_search() -> Rows:
    with (PAGES / "search.csv").open() as file:
        return list(csv.DictReader(file))


def put_block(text: str, mark: str, block: str) -> str:
    start, end = f"<!-- {mark} -->\n", f"<!-- /{mark} -->"
    pattern = re.compile(re.escape(start) + ".*?" + re.escape(end), re.DOTALL)
    if not pattern.search(text):
        raise ValueError(f"a page lacks the mark {start.strip()}")
    return pattern.sub(lambda _: f"{start}\n{block}\n\n{end}", text)


def _mean(rows: Iterable[dict[str, str]], score: str) -> float:
    values = [float(row[score]) for row in rows]
    return sum(values) / len(values)


def _pair(row: dict[str, str], base: dict[str, str], score: str) -> str:
    return f"{float(row[score]):.2f} ({float(base[score]):.2f})"


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:g}"
    return str(value) or "none"


def markdown_table(rows: list[list[str]]) -> str:
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([lines[0], "|---" * len(rows[0]) + "|", *lines[1:]])


def main() -> None:
    for path, text in pages(read_search()).items():
        write_atomic(path, text)
        print(path)


if __name__ == "__main__":
    main()
