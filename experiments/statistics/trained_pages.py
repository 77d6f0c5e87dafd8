"""What trained.py found, as the tables of docs/statistics.md."""

from collections.abc import Mapping, Sequence
from typing import Any

Rows = list[list[str]]
NAMES = {
    "lora": "LoRA, healthy",
    "lora-few-steps": "a tenth of the steps",
    "lora-hot": "ten times the learning rate",
    "lora-copies": "copied photos",
}


def trained_tables(found: Mapping[str, Any]) -> dict[str, Rows]:
    """The tables by the name of their place."""
    return {"spoilt": _spoilt(found["spoilt"]), "trained-equal": _equal(found["equal"])}


def _spoilt(rows: Sequence[Mapping[str, Any]]) -> Rows:
    table = [
        [
            "method",
            "studies",
            "named by a flag",
            "any flag",
            "called best",
            "fidelity",
            "adherence",
            "loss on the held-out photo",
        ]
    ]
    for method, name in NAMES.items():
        own = [row for row in rows if row["method"] == method]
        losses = [row["held_out_loss"][-1] for row in own if row["held_out_loss"]]
        table.append(
            [
                name,
                str(len(own)),
                "-" if method == "lora" else str(sum(row["named"] for row in own)),
                str(sum(bool(row["flags"]) for row in own)),
                str(sum(row["best"] == method for row in own)),
                _range([row["fidelity"] for row in own]),
                _range([row["adherence"] for row in own]),
                _range(losses),
            ]
        )
    return table


def _equal(rows: Sequence[Mapping[str, Any]]) -> Rows:
    kinds = ("winner", "tie", "trade_off", "not_enough_evidence")
    header = ["trainings a name", "toys", "studies"]
    table = [[*header, "a winner", "a tie", "a trade-off", "not enough evidence"]]
    for trainings in sorted({row["trainings"] for row in rows}, reverse=True):
        own = [row for row in rows if row["trainings"] == trainings]
        verdicts = [sum(row["verdict"] == kind for row in own) for kind in kinds]
        counts = [trainings, len({row["toy"] for row in own}), len(own), *verdicts]
        table.append([str(count) for count in counts])
    return table


def _range(values: list[float]) -> str:
    """Lowest, median and highest; a dash where there is none."""
    known = sorted(value for value in values if value is not None)
    if not known:
        return "-"
    middle = known[len(known) // 2]
    return f"{middle:.2f} ({known[0]:.2f} to {known[-1]:.2f})"
