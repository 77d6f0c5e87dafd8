"""The verdict over several concepts, from what `across` says of likeness, adherence and overall."""

from collections.abc import Mapping
from itertools import combinations
from math import ceil
from typing import Any

from pseudoword.metrics.power import EQUIVALENT
from pseudoword.metrics.stats import LEVEL
from pseudoword.metrics.verdict import SURE, Verdict

_MOST_CONCEPTS = 50
# 80 % power needs the difference to be this many half widths of the 95 % interval: 1 + .84 / 1.96.
_REACH = 1.43


def verdict_across(
    overall: Mapping[str, Any],
    fidelity: Mapping[str, Any],
    adherence: Mapping[str, Any],
    titles: Mapping[str, str],
) -> Verdict:
    """The verdict over all concepts; each argument is a result of `across` on the 0 to 1 scale."""
    means = {m: row["value"] for m, row in overall["means"].items()}
    leader, *others = sorted(means, key=lambda m: means[m], reverse=True)
    ahead, n, p_best = _above(overall), overall["concepts"], overall["p_best"]
    best = [leader, *(m for m in others if (leader, m) not in ahead)]
    near = _list([titles[m] for m in best])
    where = f"over {n} concepts" if n > 1 else "over one concept"
    if not others:
        text = f"{titles[leader]} was the only method, so there is nothing to compare it with."
        step = "Run with more methods (--methods)."
        return Verdict(text, "not_enough_evidence", None, p_best, step)
    if n > 1 and not any((row["low"] or 0.0) > 0 for row in fidelity["means"].values()):
        text = f"No method has learnt these {n} concepts: none draws them more like the photos "
        text += "than the untouched model does, beyond chance."
        step = "Train longer (a higher --effort), or with more photos."
        return Verdict(text, "not_enough_evidence", None, p_best, step)
    if n > 1 and len(best) == 1 and p_best[leader] >= SURE:
        text = f"{titles[leader]} serves best {where}: {_counts(overall, leader, titles)}."
        step = f"Take {titles[leader]} for a concept like these; its own study tells how sure."
        return Verdict(text, "winner", leader, p_best, step)
    alike, obedient = (_first(found, best) for found in (fidelity, adherence))
    if (alike, obedient) in _above(fidelity) and (obedient, alike) in _above(adherence):
        a, b = titles[alike], titles[obedient]
        text = f"It depends on what is wanted {where}. Best likeness: {a}. Best in new scenes: {b}."
        step = f"Take {a} where likeness counts most and {b} where the scene does."
        return Verdict(text, "trade_off", None, p_best, step, alike, obedient)
    if n > 1 and len(best) > 1 and all(_equal(overall, a, b) for a, b in combinations(best, 2)):
        text = f"{near} serve equally well {where}: their overall scores differ by less than "
        text += f"{EQUIVALENT} of the way to perfect."
        return Verdict(text, "tie", None, p_best, f"Choose between {near} by cost or file size.")
    second = others[0] if len(best) == 1 else best[1]
    text = f"{titles[leader]} is ahead {where}, but the evidence does not separate it from "
    text += f"{_list([titles[m] for m in best[1:]] or [titles[second]])}."
    step = _more_concepts(overall, leader, second, titles)
    return Verdict(text, "not_enough_evidence", None, p_best, step)


def _row(found: Mapping[str, Any], a: str, b: str) -> tuple[dict[str, Any], int]:
    """The difference of two methods, and 1 where it is a - b, -1 where it is b - a."""
    return next(
        (row, 1 if row["a"] == a else -1)
        for row in found["differences"]
        if {row["a"], row["b"]} == {a, b}
    )


def _above(found: Mapping[str, Any]) -> set[tuple[str, str]]:
    """The ordered pairs (above, below) that are separated after Holm over all pairs."""
    return {
        (row["a"], row["b"]) if row["value"] > 0 else (row["b"], row["a"])
        for row in found["differences"]
        if row["p_holm"] < LEVEL
    }


def _first(found: Mapping[str, Any], methods: list[str]) -> str:
    return max(methods, key=lambda m: float(found["means"][m]["value"]))


def _equal(found: Mapping[str, Any], a: str, b: str) -> bool:
    row, _ = _row(found, a, b)
    return bool(row["low"] > -EQUIVALENT and row["high"] < EQUIVALENT)


def _counts(found: Mapping[str, Any], leader: str, titles: Mapping[str, str]) -> str:
    """ "ahead of LoRA for 9 of 10, ..." """
    n, parts = found["concepts"], []
    for other in found["means"]:
        if other != leader:
            row, sign = _row(found, leader, other)
            wins = row["ahead"] if sign > 0 else n - row["ahead"]
            parts.append(f"ahead of {titles[other]} for {wins} of {n}")
    return ", ".join(parts)


def _more_concepts(found: Mapping[str, Any], a: str, b: str, titles: Mapping[str, str]) -> str:
    """How many concepts would probably separate the first two."""
    n, names = found["concepts"], f"{titles[a]} from {titles[b]}"
    row, _ = _row(found, a, b)
    if row["low"] is None:
        return f"Give at least three concepts, better ten, to separate {names}."
    reach = abs(row["value"])
    half = (row["high"] - row["low"]) / 2
    planned = ceil(n * (_REACH * half / reach) ** 2) if reach > 0 else _MOST_CONCEPTS + 1
    if n < planned <= _MOST_CONCEPTS:
        return (
            f"Run with about {planned} concepts to separate {names}, if they differ as they seem."
        )
    return f"Choose by cost: even {_MOST_CONCEPTS} concepts would hardly separate {names}."


def _list(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
