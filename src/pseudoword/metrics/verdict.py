"""From fidelity and adherence in every resample to one verdict in plain words.

Scores are normalised per concept: fidelity F is 0 at the untouched model and 1 at the photos' own
likeness to each other; adherence A is 1 at the untouched model and 0 for a picture that ignores the
prompt. The overall score max(F, 0) max(A, 0) needs both, and is taken of the means in a resample.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import Literal

import numpy as np

from pseudoword.metrics.chances import probability_best
from pseudoword.metrics.stats import (
    LEVEL,
    Array,
    Resamples,
    Spread,
    half_width,
    holm,
    interval,
    p_value,
    spread,
)

Kind = Literal["winner", "tie", "trade_off", "not_enough_evidence"]

SURE = 0.95
# Overall scores this near each other (on a scale where 1 is perfect) make no difference in use.
EQUIVALENT = 0.1
_POWER = 0.84  # the normal quantile of 80 % power
_MOST_SEEDS = 10
_MOST_PROMPTS = 60


@dataclass(frozen=True)
class Verdict:
    """What results.json says under "verdict"."""

    text: str
    kind: Kind
    best: str | None
    p_best: dict[str, float]
    next_step: str


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
        names = _list([standing.titles[m] for m in unlearnt])
        more = f"Of {names} it is not sure that anything of the {standing.class_noun} was learnt."
        verdict = replace(verdict, text=f"{verdict.text} {more}")
    return verdict


def _verdict(
    standing: Standing, kind: Kind, text: str, next_step: str, best: str | None = None
) -> Verdict:
    p_best = probability_best(standing.overall, standing.sampled)
    return Verdict(text, kind, best, p_best, next_step)


def _nothing_learnt(standing: Standing) -> Verdict:
    return _verdict(
        standing,
        "not_enough_evidence",
        f"No method has learnt this {standing.class_noun}: none draws it more like the photos "
        "than the untouched model does, beyond chance.",
        "Train longer (--effort thorough) or with more photos, and look at the loss curves.",
    )


def _one_seed(standing: Standing) -> Verdict | None:
    return _once(standing) if standing.n_seeds == 1 else None


def _once(standing: Standing) -> Verdict:
    leader = standing.ranking()[0]
    return _verdict(
        standing,
        "not_enough_evidence",
        f"{standing.titles[leader]} leads, with {_profile(standing, leader)}; but each method was "
        "trained once, and training it again with another seed may turn the ranking.",
        "Run with --seeds 3 to see how far results vary from training to training.",
    )


def _winner(standing: Standing) -> Verdict | None:
    leader, *others = standing.ranking()
    p_best = probability_best(standing.overall, standing.sampled)[leader]
    above = separated_pairs(standing.overall, standing.sampled)
    if (
        not standing.learnt(leader)
        or p_best < SURE
        or any((leader, m) not in above for m in others)
    ):
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
    """Two methods that have learnt: one is nearer to the subject, the other to the prompt."""
    likeness = separated_pairs(standing.fidelity, standing.sampled)
    obedience = separated_pairs(standing.adherence, standing.sampled)
    ranking = [m for m in standing.ranking() if standing.learnt(m)]
    for pair in combinations(ranking, 2):
        for a, b in (pair, pair[::-1]):
            if (a, b) in likeness and (b, a) in obedience:
                return _verdict(
                    standing,
                    "trade_off",
                    f"{standing.titles[a]} draws this {standing.class_noun} more faithfully "
                    f"({_profile(standing, a)}), while {standing.titles[b]} heeds the prompt "
                    f"better ({_profile(standing, b)}).",
                    f"Take {standing.titles[a]} where likeness counts most and "
                    f"{standing.titles[b]} where the scene does.",
                )
    return None


def _tie(standing: Standing) -> Verdict | None:
    above = separated_pairs(standing.overall, standing.sampled)
    leader, *others = standing.ranking()
    group = [leader, *(m for m in others if (leader, m) not in above)]
    rest = [m for m in others if m not in group]
    if len(group) == 1 or not all(standing.learnt(member) for member in group):
        return None
    clear = all((member, m) in above for member in group for m in rest)
    if not clear or (not rest and not _equivalent(standing, group)):
        return None
    names = _list([standing.titles[m] for m in group])
    text = f"{names} serve this {standing.class_noun} equally well as far as this study can see: "
    text += f"{standing.titles[leader]} with {_profile(standing, leader)}"
    text += f"; behind them: {_list([standing.titles[m] for m in rest])}." if rest else "."
    if _equivalent(standing, group):
        return _verdict(standing, "tie", text, f"Choose between {names} by cost or file size.")
    return _verdict(standing, "tie", text, _more_data(standing, group[0], group[1]))


def _unseparated(standing: Standing) -> Verdict:
    leader, *others = standing.ranking()
    title = standing.titles[leader]
    p_best = probability_best(standing.overall, standing.sampled)[leader]
    return _verdict(
        standing,
        "not_enough_evidence",
        f"{title} is ahead for this {standing.class_noun}, but only {_sure(p_best)} sure, with "
        f"{_profile(standing, leader)}: the evidence does not separate it from "
        f"{standing.titles[others[0]]}.",
        _more_data(standing, leader, others[0]),
    )


def _equivalent(standing: Standing, group: list[str]) -> bool:
    """Whether all differences within the group are shown to be too small to matter."""
    for a, b in combinations(group, 2):
        found = interval(standing.overall[a] - standing.overall[b], standing.sampled, 0)
        if found.low is None or found.high is None:
            return False
        if found.low < -EQUIVALENT or found.high > EQUIVALENT:
            return False
    return True


def _more_data(standing: Standing, a: str, b: str) -> str:
    """How many more seeds or prompts would probably separate two methods that differ as seen."""
    names = f"{standing.titles[a]} from {standing.titles[b]}"
    difference = standing.overall[a] - standing.overall[b]
    found = spread(difference, standing.sampled)
    reach = abs(float(difference[0]))

    def enough(factor: str, now: int, most: int) -> int | None:
        sizes = range(now + 1, most + 1)
        return next((n for n in sizes if _would_separate(reach, found, factor, now, n)), None)

    seeds = enough("seeds", standing.n_seeds, _MOST_SEEDS)
    if seeds is not None:
        return f"Run with --seeds {seeds} to separate {names}, if they differ as they seem to."
    prompts = enough("prompts", standing.n_prompts, _MOST_PROMPTS)
    if prompts is not None:
        more = prompts - standing.n_prompts
        return f"Add about {more} prompts to separate {names}, if they differ as they seem to."
    return (
        f"Choose by cost: even --seeds {_MOST_SEEDS} would probably not separate {names}."
        if reach < EQUIVALENT
        else f"Run with more seeds and more prompts: neither alone would separate {names}."
    )


def _would_separate(reach: float, found: Spread, factor: str, now: int, planned: int) -> bool:
    """Whether `planned` seeds or prompts give 80 % power for a true difference of `reach`.

    A factor's variance falls with its number and its degrees of freedom rise; the other's stay.
    """
    if factor not in found.variance:
        return False
    variance = {**found.variance, factor: found.variance[factor] * now / planned}
    freedom = {**found.freedom, factor: found.freedom[factor] + planned - now}
    then = Spread(variance, freedom)
    power_margin = _POWER * then.standard_error
    return reach > half_width(then) + power_margin


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


def _list(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
