"""Writes the tables of docs/definitions.md from the code: python experiments/definitions.py"""

from pathlib import Path

from pseudoword.metrics import METRICS
from pseudoword.metrics.encoders import ENCODERS
from pseudoword.runs import write_atomic

PAGE = Path(__file__).parent.parent / "docs" / "definitions.md"


def page(text: str) -> str:
    """The page with its tables as they should be."""
    for name, table in (("metrics", _metrics()), ("encoders", _encoders())):
        before, mark, rest = text.partition(f"<!-- {name} -->\n")
        _, end, after = rest.partition("<!-- end -->")
        if not (mark and end):
            raise ValueError(f"{PAGE} has no place for the table of {name}")
        text = f"{before}{mark}{table}\n{end}{after}"
    return text


def _metrics() -> str:
    heading = "name|metric|formula|better|unit|n|role|bias|source".split("|")
    rows = [
        [
            f"`{name}`",
            metric.title,
            metric.formula,
            "higher" if metric.higher_is_better else "lower",
            metric.unit,
            str(metric.smallest_n),
            metric.encoder,
            metric.bias,
            metric.source,
        ]
        for name, metric in METRICS.items()
    ]
    return _table([heading, *rows])


def _encoders() -> str:
    heading = ["name", "role", "class", "revision", "file", "preprocessing and pooling"]
    rows = [
        [
            f"`{name}`",
            row.role,
            row.architecture,
            f"`{row.revision[:12]}`" if row.revision else "in the package",
            row.weights,
            row.preprocessing,
        ]
        for name, row in ENCODERS.items()
    ]
    return _table([heading, *rows])


def _table(rows: list[list[str]]) -> str:
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([lines[0], "|---" * len(rows[0]) + "|", *lines[1:]])


if __name__ == "__main__":
    write_atomic(PAGE, page(PAGE.read_text()))
    print(PAGE)
