"""What went visibly wrong with a method, told from a study's results.

A flag is no verdict: the verdict compares methods, a flag says that one of them was spoilt, how
that shows, and what to change. Thresholds were set on toys that no study uses;
docs/statistics.md tells how often methods spoilt on purpose are flagged, and healthy ones.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from pseudoword.metrics.verdict import HARDLY

HALF = 0.5
"""Fidelity below which a method that was still gaining is called undertrained."""
GAINING = 0.25
"""Share of the last checkpoint's fidelity that was gained since the first one."""
WORSE = 1.03
"""Loss on the held-out photo, over the untouched model's, from which training went too far."""
COPIES = 0.5
"""Share of pictures nearer to a training photo than these are to each other."""


def flags_of(method: Mapping[str, Any], normalised: Mapping[str, Any], selection: Any) -> list[Any]:
    """The flags of one method, worst first: {"kind", "title", "text", "remedy"} each.

    `method` is its entry in results.json under "methods", `normalised` that under "normalised",
    `selection` that under "selection".
    """
    found = (
        _copying(method["scores"], normalised),
        _overtrained(selection),
        _undertrained(normalised, selection),
    )
    return [flag for flag in found if flag is not None]


def _copying(scores: Mapping[str, Any], normalised: Mapping[str, Any]) -> dict[str, str] | None:
    share = scores.get("copied", {}).get("value")
    adherence = normalised["adherence"]["value"]
    if share is None or adherence is None or share < COPIES or adherence > HALF:
        return None
    return _flag(
        "copying",
        "Copies its training photos",
        f"{_percent(share)} of its pictures are nearer to a training photo than the training "
        f"photos are to each other, and only {_percent(adherence)} of the untouched model's "
        "adherence to the prompt is left.",
        "Train for fewer steps or at a lower learning rate, with class pictures "
        "(prior_weight: 1) or more varied photos.",
    )


def _overtrained(selection: Mapping[str, Any]) -> dict[str, str] | None:
    late = [row for row in selection["losses"] if row["step"] >= selection["checkpoint"]]
    worse = [row for row in late if _went_too_far(row["held_out"])]
    if not worse:
        return None
    row = worse[0]
    more = _percent(row["held_out"]["value"] - 1)
    text = f"At step {row['step']:,} its loss on the photo that it never saw is {more} above the "
    text += "untouched model's: it has learnt the training photos by heart, or broken what the "
    text += "model knew."
    if row["step"] > selection["checkpoint"]:
        text += f" Its pictures were drawn from step {selection['checkpoint']:,}."
    remedy = "Lower its learning rate (to a third, then a tenth), or train for fewer steps."
    return _flag("overtrained", "Trained too hard", text, remedy)


def _went_too_far(ratio: Mapping[str, Any] | None) -> bool:
    if ratio is None or ratio["low"] is None:
        return False
    return bool(ratio["value"] > WORSE and ratio["low"] > 1)


def _undertrained(
    normalised: Mapping[str, Any], selection: Mapping[str, Any]
) -> dict[str, str] | None:
    fidelity = normalised["fidelity"]["value"]
    if fidelity is None:
        return None
    remedy = "Train it for more steps (three times as many, then look again)"
    if fidelity < HARDLY:
        return _flag(
            "hardly_learnt",
            "Has hardly learnt anything",
            f"Its pictures went {_percent(fidelity)} of the way from the untouched model to the "
            "photos.",
            f"{remedy}, or at a higher learning rate.",
        )
    if fidelity < HALF and _gaining(selection["candidates"]):
        return _flag(
            "undertrained",
            "Trained too little",
            f"Its pictures went {_percent(fidelity)} of the way from the untouched model to the "
            "photos, and were still coming nearer when training ended.",
            f"{remedy}.",
        )
    return None


def _gaining(candidates: Sequence[Mapping[str, Any]]) -> bool:
    """Whether a good part of the likeness came after the first checkpoint."""
    rows = [row for row in candidates if row["strength"] == 1]
    values = [row["fidelity"]["value"] for row in rows]
    if len(values) < 2 or None in values or values[-1] <= 0:
        return False
    return bool(values[-1] == max(values) and values[-1] - values[0] > GAINING * values[-1])


def _flag(kind: str, title: str, text: str, remedy: str) -> dict[str, str]:
    return {"kind": kind, "title": title, "text": text, "remedy": remedy}


def _percent(share: float) -> str:
    return f"{round(100 * max(0.0, share))}\N{NO-BREAK SPACE}%"
