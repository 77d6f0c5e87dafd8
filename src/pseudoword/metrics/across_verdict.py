"""The verdict over several concepts, from what `across` says of likeness, adherence and overall."""

from collections.abc import Mapping
from itertools import combinations
from typing import Any

from pseudoword.metrics.power import EQUIVALENT, MOST_CONCEPTS
from pseudoword.metrics.stats import LEVEL
from pseudoword.metrics.verdict import SURE, Verdict, listed

_TRAIN = "Train longer (a higher --effort), or with more photos."


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
    # A method that is behind by less than makes a difference is not behind.
    best = [
        leader,
        *(m for m in others if (leader, m) not in ahead or (n > 1 and _equal(overall, leader, m))),
    ]
    near = listed([titles[m] for m in best])
    where = f"over {n} concepts" if n > 1 else "over one concept"
    if not others:
        text = f"{titles[leader]} was the only method, so there is nothing to compare it with."
        step = "Run with more methods (--methods)."
        return Verdict(text, "not_enough_evidence", None, p_best, step)
    if n > 1 and not any(_learnt(fidelity, m) for m in means):
        text = f"No method has learnt these {n} concepts: none draws them more like the photos "
        text += "than the untouched model does, beyond chance."
        return Verdict(text, "not_enough_evidence", None, p_best, _TRAIN)
    if n > 1 and len(best) == 1 and not _learnt(fidelity, leader):
        text = f"{titles[leader]} is ahead {where}, but it is not sure that it has learnt them: it "
        text += "does not draw them more like the photos than the untouched model does, beyond "
        text += "chance."
        return Verdict(text, "not_enough_evidence", None, p_best, _TRAIN)
    if n > 1 and len(best) == 1 and p_best[leader] >= SURE:
        text = f"{titles[leader]} serves best {where}: {_counts(overall, leader, titles)}."
        step = f"Take {titles[leader]} for a concept like these; its own study tells how sure."
        return Verdict(text, "winner", leader, p_best, step)
    learnt = all(_learnt(fidelity, m) for m in best)
    alike, obedient = (_first(found, best) for found in (fidelity, adherence))
    if learnt and (alike, obedient) in _above(fidelity) and (obedient, alike) in _above(adherence):
        a, b = titles[alike], titles[obedient]
        text = f"It depends on what is wanted {where}. Best likeness: {a}. Best in new scenes: {b}."
        step = f"Take {a} where likeness counts most and {b} where the scene does."
        return Verdict(text, "trade_off", None, p_best, step, alike, obedient)
    if (
        n > 1
        and learnt
        and len(best) > 1
        and all(_equal(overall, a, b) for a, b in combinations(best, 2))
    ):
        text = f"{near} serve equally well {where}: their overall scores differ by less than "
        text += f"{EQUIVALENT} of the way to perfect."
        return Verdict(text, "tie", None, p_best, f"Choose between {near} by cost or file size.")
    second = others[0] if len(best) == 1 else best[1]
    text = f"{titles[leader]} is ahead {where}, but the evidence does not separate it from "
    text += f"{listed([titles[m] for m in best[1:]] or [titles[second]])}."
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


def _learnt(fidelity: Mapping[str, Any], method: str) -> bool:
    """Whether the method is nearer to the concepts than the untouched model, beyond chance."""
    return (fidelity["means"][method]["low"] or 0.0) > 0


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
            wins = row["ahead" if sign > 0 else "behind"]
            parts.append(f"ahead of {titles[other]} for {wins} of {n}")
    return ", ".join(parts)


def _more_concepts(found: Mapping[str, Any], a: str, b: str, titles: Mapping[str, str]) -> str:
    """How many concepts would probably separate the first two."""
    row, _ = _row(found, a, b)
    names, planned = f"{titles[a]} from {titles[b]}", row["concepts_needed"]
    if row["low"] is None:
        return f"Give at least three concepts, better ten, to separate {names}."
    if planned is not None:
        return (
            f"Run with about {planned} concepts to separate {names}, if they differ as they seem."
        )
    same = " with the same prompts" if found["prompts"] else ""
    return f"Choose by cost: even {MOST_CONCEPTS} concepts{same} would hardly separate {names}."
