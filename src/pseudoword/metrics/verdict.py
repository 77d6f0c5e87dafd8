"""From fidelity and adherence in every resample to one verdict in plain words.

Scores are normalised per concept: fidelity F is 0 at the untouched model and 1 at the photos' own
likeness to each other; adherence A is 1 at the untouched model and 0 for a picture that ignores the
prompt. The overall score max(F, 0) max(A, 0) needs both, and is taken of the means in a resample.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import combinations
from typing import Any, Literal

import numpy as np

from pseudoword.metrics.chances import probability_best
from pseudoword.metrics.power import EQUIVALENT, MOST, equivalent, needed, needed_together
from pseudoword.metrics.stats import (
    LEVEL,
    Array,
    Resamples,
    holm,
    interval,
    p_value,
)

Kind = Literal["winner", "tie", "trade_off", "not_enough_evidence"]

SURE = 0.95
HARDLY = 0.25
"""Fidelity below which next to nothing was learnt."""


@dataclass(frozen=True)
class Verdict:
    """What results.json says under "verdict"."""

    text: str
    kind: Kind
    best: str | None
    p_best: dict[str, float]
    next_step: str
    likeness: str | None = None
    scenes: str | None = None


@dataclass(frozen=True)
class Standing:
    """Normalised scores of all methods in all resamples, (r,) each, and what follows from them."""

    fidelity: Mapping[str, Array]
    adherence: Mapping[str, Array]
    sampled: Resamples
    titles: Mapping[str, str]
    class_noun: str
    overall: dict[str, Array] = field(init=False)

    def __post_init__(self) -> None:
        overall = {m: overall_score(self.fidelity[m], self.adherence[m]) for m in self.fidelity}
        object.__setattr__(self, "overall", overall)

    @property
    def n_seeds(self) -> int:
        return int(self.sampled.seeds.shape[1])

    @property
    def n_prompts(self) -> int:
        return int(self.sampled.prompts.shape[1])

    def ranking(self) -> list[str]:
        """Methods by overall score, then by fidelity; the best first."""
        return sorted(
            self.overall,
            key=lambda m: (self.overall[m][0], self.fidelity[m][0]),
            reverse=True,
        )

    @cached_property
    def above(self) -> set[tuple[str, str]]:
        """Which methods are separated by the overall score, as (above, below)."""
        return separated_pairs(self.overall, self.sampled)

    @cached_property
    def p_best(self) -> dict[str, float]:
        return probability_best(self.overall, self.sampled)

    def contenders(self) -> list[str]:
        """The leader, and the methods that are not surely behind it, in the order of `ranking`.

        A method that is behind by less than makes a difference is not behind.
        """
        leader, *others = self.ranking()
        return [
            leader,
            *(m for m in others if (leader, m) not in self.above or self.equivalent(leader, m)),
        ]

    def equivalent(self, a: str, b: str) -> bool:
        return equivalent(self.overall[a] - self.overall[b], self.sampled)

    def learnt(self, method: str) -> bool:
        """Whether the method is nearer to the concept than the untouched model, beyond chance."""
        low = interval(self.fidelity[method], self.sampled, 0).low
        return low is not None and low > 0


def normalise(score: Array, zero: Array | float, one: Array | float) -> Array:
    """`score` on the scale where `zero` is 0 and `one` is 1, resample by resample."""
    scaled: Array = (score - zero) / (np.asarray(one) - zero)
    return scaled


def overall_score(fidelity: Array, adherence: Array) -> Array:
    """max(F, 0) max(A, 0)."""
    product: Array = np.maximum(fidelity, 0.0) * np.maximum(adherence, 0.0)
    return product


def separates(zero: Array, one: Array, sampled: Resamples) -> bool:
    """Whether `one` lies above `zero` beyond chance: without that, no scale lies between them."""
    found = interval(one - zero, sampled, 0)
    return found.value > 0 if found.low is None else found.low > 0


def undecidable(methods: Mapping[str, str], reason: str, next_step: str) -> Verdict:
    """The verdict where the metric itself cannot tell; `methods` maps names to titles."""
    share = {method: 1.0 / len(methods) for method in methods}
    return Verdict(reason, "not_enough_evidence", None, share, next_step)


def separated_pairs(scores: Mapping[str, Array], sampled: Resamples) -> set[tuple[str, str]]:
    """The ordered pairs (above, below) whose difference excludes 0 after Holm over all pairs."""
    pairs = list(combinations(scores, 2))
    adjusted = holm([p_value(scores[a] - scores[b], sampled) for a, b in pairs])
    return {
        (a, b) if scores[a][0] > scores[b][0] else (b, a)
        for (a, b), p in zip(pairs, adjusted, strict=True)
        if p < LEVEL
    }


def decide(standing: Standing) -> Verdict:
    """The verdict over all methods of a study."""
    if not standing.sampled.groups:
        # One seed and one prompt a kind: nothing is known of chance, so nothing is said of it.
        return _once(standing)
    if not any(standing.learnt(method) for method in standing.overall):
        verdict = _nothing_learnt(standing)
    else:
        verdict = (
            _one_seed(standing)
            or _winner(standing)
            or _trade_off(standing)
            or _tie(standing)
            or _unseparated(standing)
        )
    unlearnt = [m for m in standing.overall if not standing.learnt(m)]
    if 0 < len(unlearnt) < len(standing.overall):
        names = listed([standing.titles[m] for m in unlearnt])
        more = f"Of {names} it is not sure that anything of the {standing.class_noun} was learnt."
        verdict = replace(verdict, text=f"{verdict.text} {more}")
    return verdict


def _verdict(
    standing: Standing, kind: Kind, text: str, next_step: str, best: str | None = None
) -> Verdict:
    return Verdict(text, kind, best, standing.p_best, next_step)


def _nothing_learnt(standing: Standing) -> Verdict:
    noun = standing.class_noun
    if any(values[0] >= HARDLY for values in standing.fidelity.values()):
        return _verdict(
            standing,
            "not_enough_evidence",
            f"Some method seems to have learnt this {noun}, but none is shown to draw it more like "
            "the photos than the untouched model does: results vary too much.",
            f"Run with --seeds {max(3, 2 * standing.n_seeds)} to know how much is chance.",
        )
    return _verdict(
        standing,
        "not_enough_evidence",
        f"No method has learnt this {noun}: none draws it more like the photos than the untouched "
        "model does, beyond chance.",
        "Train longer (a higher --effort) or with more photos, and look at the loss curves.",
    )


def _one_seed(standing: Standing) -> Verdict | None:
    return _once(standing) if standing.n_seeds == 1 else None


def _once(standing: Standing) -> Verdict:
    leader, *others = standing.ranking()
    title, profile = standing.titles[leader], _profile(standing, leader)
    return _verdict(
        standing,
        "not_enough_evidence",
        f"{title} leads, with {profile}; but each method was trained once, and training it again "
        "with another seed may turn the ranking."
        if others
        else f"{title} has {profile}; but it was trained once, and another seed may do otherwise.",
        "Run with --seeds 3 to see how far results vary from training to training.",
    )


def _winner(standing: Standing) -> Verdict | None:
    leader, *others = standing.ranking()
    p_best = standing.p_best[leader]
    if not standing.learnt(leader) or p_best < SURE or len(standing.contenders()) > 1:
        return None
    title = standing.titles[leader]
    fidelity = _percent(float(standing.fidelity[leader][0]))
    adherence = _percent(float(standing.adherence[leader][0]))
    claim = (
        f"serves this {standing.class_noun} best ({_sure(p_best)} sure)"
        if others
        else f"has learnt this {standing.class_noun} (no other method was run)"
    )
    text = (
        f"{title} {claim}: its pictures go {fidelity} of the way from the untouched model to the "
        f"photos and keep {adherence} of that model's adherence to the prompts."
    )
    next_step = f"Look at {title}'s weakest pictures, then export the run that you like best."
    return _verdict(standing, "winner", text, next_step, leader)


def _trade_off(standing: Standing) -> Verdict | None:
    """One of the best is nearer to the subject than all of them, another one to the prompts."""
    best = [m for m in standing.contenders() if standing.learnt(m)]
    if len(best) < 2:
        return None
    a = max(best, key=lambda m: standing.fidelity[m][0])
    b = max(best, key=lambda m: standing.adherence[m][0])
    more_alike = separated_pairs(standing.fidelity, standing.sampled)
    more_obedient = separated_pairs(standing.adherence, standing.sampled)
    if (a, b) not in more_alike or (b, a) not in more_obedient:
        return None
    first, second = standing.titles[a], standing.titles[b]
    text = (
        f"It depends on what this {standing.class_noun} is wanted for. Best likeness: {first} "
        f"({_profile(standing, a)}). Best in new scenes: {second} ({_profile(standing, b)})."
    )
    next_step = (
        f"Take {first} where likeness counts most and {second} where the scene does; or lower "
        f"{first}'s strength (generate --strength 0.8) and look whether it heeds the prompts then."
    )
    return replace(_verdict(standing, "trade_off", text, next_step), likeness=a, scenes=b)


def _tie(standing: Standing) -> Verdict | None:
    """All of the best are shown to be equal, for practical purposes."""
    group = standing.contenders()
    rest = [m for m in standing.ranking() if m not in group]
    alike = all(standing.equivalent(a, b) for a, b in combinations(group, 2))
    clear = all((member, m) in standing.above for member in group for m in rest)
    if len(group) == 1 or not alike or not clear or not all(map(standing.learnt, group)):
        return None
    names = listed([standing.titles[m] for m in group])
    text = (
        f"{names} serve this {standing.class_noun} equally well: their overall scores differ by "
        f"less than {_percent(EQUIVALENT)} of the way to perfect. {standing.titles[group[0]]} has "
        f"{_profile(standing, group[0])}{_behind(standing, rest)}."
    )
    return _verdict(standing, "tie", text, f"Choose between {names} by cost or file size.")


def _unseparated(standing: Standing) -> Verdict:
    group = standing.contenders()
    leader, *others = standing.ranking()
    rest = [m for m in others if m not in group]
    p_best = standing.p_best[leader]
    near = listed([standing.titles[m] for m in (group[1:] or others[:1])])
    return _verdict(
        standing,
        "not_enough_evidence",
        f"{standing.titles[leader]} is ahead for this {standing.class_noun}, but only "
        f"{_sure(p_best)} sure, with {_profile(standing, leader)}: the evidence does not separate "
        f"it from {near}{_behind(standing, rest)}.",
        _more_data(standing),
    )


def _behind(standing: Standing, rest: list[str]) -> str:
    return f"; behind them: {listed([standing.titles[m] for m in rest])}" if rest else ""


def settling(standing: Standing) -> dict[str, Any] | None:
    """What would tell the first two apart, or with "same" show that it makes no difference.

    Seeds or prompts in all, null where too many alone; "together" has both, where neither is enough
    alone. None for a single method, and where nothing is replicated.
    """
    if len(standing.overall) < 2 or not standing.sampled.groups:
        return None
    a, b = standing.ranking()[:2]
    difference, sampled = standing.overall[a] - standing.overall[b], standing.sampled
    for same in (False, True):
        alone = {f: needed(difference, sampled, f, same) for f in ("seeds", "prompts")}
        together = None if any(alone.values()) else needed_together(difference, sampled, same)
        if together or any(alone.values()):
            break
    else:
        same = False
    both = together and dict(zip(("seeds", "prompts"), together, strict=True))
    return {"a": a, "b": b, "same": same, **alone, "together": both}


def _more_data(standing: Standing) -> str:
    """What to do where the first two methods are not told apart."""
    found = settling(standing)
    if found is None:
        return "Choose by cost."
    first, second = standing.titles[found["a"]], standing.titles[found["b"]]
    ways = _ways(standing, found)
    if not ways:
        return (
            f"Choose by cost: even {MOST['seeds']} seeds or {MOST['prompts']} prompts would hardly "
            f"separate {first} from {second}."
        )
    if found["same"]:
        return (
            f"Choose by cost: they hardly seem to differ. Run with {ways} to know that it makes no "
            f"difference which of {first} and {second} you take."
        )
    return f"Run with {ways} to separate {first} from {second}, if they differ as they seem to."


def _ways(standing: Standing, found: Mapping[str, Any]) -> str:
    """The command's options that would do; empty where none would."""
    if found["together"]:
        seeds, prompts = found["together"]["seeds"], found["together"]["prompts"]
        return f"both --seeds {seeds} and {_more_prompts(standing, prompts)}"
    ways = [f"--seeds {found['seeds']}"] if found["seeds"] else []
    ways += [f"about {_more_prompts(standing, found['prompts'])}"] if found["prompts"] else []
    return " or with ".join(ways)


def _more_prompts(standing: Standing, prompts: int) -> str:
    return f"{prompts - standing.n_prompts} prompts more"


def _profile(standing: Standing, method: str) -> str:
    """Fidelity and adherence in words, from the point estimates."""
    fidelity = _percent(float(standing.fidelity[method][0]))
    adherence = _percent(float(standing.adherence[method][0]))
    return f"fidelity {fidelity}, adherence to the prompt {adherence}"


def _percent(share: float) -> str:
    # A line break never parts a number from its sign.
    return f"{round(100 * share)}\N{NO-BREAK SPACE}%"


def _sure(probability: float) -> str:
    return "more than 99\N{NO-BREAK SPACE}%" if probability > 0.99 else _percent(probability)


def listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
