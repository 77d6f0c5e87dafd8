"""The tables of docs/statistics.md, made from what was measured and put between their markers."""

import re
from pathlib import Path
from typing import Any

from trained_pages import Rows, trained_tables

from pseudoword.runs import read_json, write_atomic


def write_page(docs: Path) -> None:
    """Fills the tables of the page from the files in statistics/."""
    page, folder = docs / "statistics.md", docs / "statistics"
    found = (read_json(folder / f"{name}.json") for name in ("simulation", "primary", "toybox"))
    write_atomic(page, with_tables(page.read_text(), *found))


def with_tables(
    page: str, result: dict[str, Any], forms: dict[str, Any], trained: dict[str, Any]
) -> str:
    """The page with every `<!-- NAME -->` ... `<!-- /NAME -->` filled from the results."""
    filled = tables(result) | {"primary": _primary(forms)} | trained_tables(trained)
    for name, rows in filled.items():
        pattern = rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)"
        text = table(rows)
        page, found = re.subn(pattern, rf"\g<1>{text}\g<2>", page, flags=re.S)
        if found != 1:
            raise ValueError(f"docs/statistics.md has {found} places for {name}")
    return page


def table(rows: Rows) -> str:
    """Markdown, the first row being its head."""
    lines = [f"| {' | '.join(row)} |" for row in rows]
    lines.insert(1, "|" + "---|" * len(rows[0]))
    return "\n".join(lines) + "\n"


def tables(result: dict[str, Any]) -> dict[str, Rows]:
    """The tables by the name of their place."""
    return {
        "coverage": _coverage(result["coverage"]["3 x 10"]),
        "coverage-by-size": _by_size(result["coverage"]),
        "tried": _tried(result["coverage"]["3 x 10"]),
        "tried-two-seeds": _tried(result["coverage"]["2 x 10"]),
        "equal": _equal(result["equal"]),
        "equal-by-profile": _equal(result["equal by profile"]),
        "power": _power(result["power"]["scale"]),
        "power-by-cell": _power(result["power"]["cell"]),
        "concepts": _concepts(result["concepts"]),
        "equal-over-concepts": _equal_over_concepts(result["equal over concepts"]),
    }


def _coverage(by_profile: dict[str, Any]) -> Rows:
    quantities = [q for q in next(iter(by_profile.values()))["chosen"] if q != "width"]
    rows = [["what varies", *quantities]]
    for profile, by_method in by_profile.items():
        cells = [_both(by_method, quantity) for quantity in quantities]
        rows.append([profile, *cells])
    return rows


def _by_size(by_size: dict[str, Any]) -> Rows:
    profiles = list(next(iter(by_size.values())))
    rows = [["what varies", *by_size]]
    for profile in profiles:
        rows.append([profile, *(_both(found[profile], "all") for found in by_size.values())])
    return rows


def _tried(by_profile: dict[str, Any]) -> Rows:
    """Every way that was tried: coverage of all quantities, width against the chosen one's."""
    methods = list(next(iter(by_profile.values())))
    rows = [["what varies", *methods]]
    for profile, found in by_profile.items():
        full = found["chosen"]["width"]
        cells = [f"{_share(found[m]['all'])} ({found[m]['width'] / full:.2f})" for m in methods]
        rows.append([profile, *cells])
    return rows


def _both(by_method: dict[str, Any], quantity: str) -> str:
    return f"{_share(by_method['bootstrap'][quantity])} / {_share(by_method['chosen'][quantity])}"


def _equal(by_count: dict[str, Any]) -> Rows:
    """False winners, and how often equal methods were called a tie."""
    columns = list(next(iter(by_count.values())))
    rows = [["", *columns]]
    for count, found in by_count.items():
        rows.append([f"{count}: a winner", *(_kind(found[c], "winner") for c in columns)])
        rows.append([f"{count}: a tie", *(_kind(found[c], "tie") for c in columns)])
        rows.append([f"{count}: a trade-off", *(_kind(found[c], "trade_off") for c in columns)])
    return rows


def _power(by_size: dict[str, Any]) -> Rows:
    effects = list(next(iter(by_size.values())))
    rows = [["effect", *by_size]]
    for effect in effects:
        rows.append([effect, *(_kind(found[effect], "right") for found in by_size.values())])
    return rows


def _concepts(by_metric: dict[str, Any]) -> Rows:
    rows = [["", "crossed with prompts", "concepts alone", "a winner of three equal methods"]]
    for metric, by_number in by_metric.items():
        for number, found in by_number.items():
            name = f"{metric}, {number} concepts"
            shares = [_share(found[key]) for key in ("crossed", "concepts", "winner")]
            rows.append([name, *shares])
    return rows


def _equal_over_concepts(by_number: dict[str, Any]) -> Rows:
    names = {"crossed": "crossed with prompts", "concepts": "concepts alone"}
    rows = [["a winner of two equal methods", *by_number]]
    for key, name in names.items():
        rows.append([name, *(_share(found[key]) for found in by_number.values())])
    return rows


def _primary(forms: dict[str, Any]) -> Rows:
    names = {
        "methods, right_both": "methods by both right",
        "methods, truth_likeness": "methods by likeness to the truth",
        "trainings, right_both": "trainings by both right",
        "trainings, truth_likeness": "trainings by likeness to the truth",
    }
    rows = [["pairs ranked rightly", *names.values()]]
    for form, found in forms.items():
        rows.append([form, *(_interval(found[name]) for name in names)])
    return rows


def _interval(row: dict[str, float]) -> str:
    return f"{row['value']:.2f} ({row['low']:.2f} to {row['high']:.2f})"


def _kind(found: dict[str, float], kind: str) -> str:
    return _share(found.get(kind, 0.0))


def _share(value: float) -> str:
    return f"{value:.3f}"
