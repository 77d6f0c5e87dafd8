"""One verdict over several concepts: what to take for the next concept like these.

Each concept is one observation, by its overall score on its own floor-ceiling scale. That its means
come from few trainings and prompts makes them vary more, which the intervals over concepts see.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from pseudoword.metrics.chances import probability_best
from pseudoword.metrics.power import EQUIVALENT, equivalent, needed
from pseudoword.metrics.stats import Array, Resamples, interval, resamples, weighted_means
from pseudoword.metrics.verdict import (
    SURE,
    Kind,
    Verdict,
    listing,
    percent,
    separated_pairs,
    sure,
    undecidable,
)

MOST_CONCEPTS = 60
"""More than these are not advised."""
SCORES = ("overall", "fidelity", "adherence")


@dataclass(frozen=True)
class _Field:
    """All methods' scores in all resamples of the concepts, (r,) each; `by_concept` are overall."""

    scores: Mapping[str, Mapping[str, Array]]
    by_concept: Mapping[str, Array]
    sampled: Resamples
    titles: Mapping[str, str]

    @property
    def count(self) -> int:
        return int(self.sampled.seeds.shape[1])

    @property
    def overall(self) -> Mapping[str, Array]:
        return self.scores["overall"]

    def ranking(self) -> list[str]:
        return sorted(self.overall, key=lambda m: self.overall[m][0], reverse=True)

    def above(self, score: str = "overall") -> set[tuple[str, str]]:
        return separated_pairs(self.scores[score], self.sampled)

    def contenders(self) -> list[str]:
        """The leader and those that are not surely behind it."""
        leader, *others = self.ranking()
        above = self.above()
        return [leader, *(m for m in others if (leader, m) not in above)]

    def learnt(self, method: str) -> bool:
        low = interval(self.scores["fidelity"][method], self.sampled, 0).low
        return low is not None and low > 0

    def best_in(self, method: str) -> int:
        """The concepts in which no method is ahead of this one."""
        most = np.max(list(self.by_concept.values()), axis=0)
        return int((self.by_concept[method] >= most).sum())

    def p_best(self) -> dict[str, float]:
        return probability_best(self.overall, self.sampled)

    def profile(self, method: str) -> str:
        parts = (float(self.scores[score][method][0]) for score in ("fidelity", "adherence"))
        fidelity, adherence = map(percent, parts)
        return f"mean fidelity {fidelity}, adherence {adherence}"


def decide_over_concepts(
    scores: Mapping[str, Mapping[str, Array]], titles: Mapping[str, str], draws: int = 2000
) -> Verdict:
    """The verdict from "overall", "fidelity" and "adherence" of every method by concept, (C,) each.

    `titles` names the methods for people. C is the number of concepts whose scores have a scale.
    """
    by_concept = {m: np.asarray(v, np.float64) for m, v in scores["overall"].items()}
    count = len(next(iter(by_concept.values())))
    if not count:
        return undecidable(
            titles,
            "For none of these concepts do the scores have a scale, so no method can be called "
            "best.",
            "See why in each concept's report, and give photos in which little else is to be seen.",
        )
    sampled = resamples(count, np.zeros(1, dtype=np.int64), draws)
    field = _Field(
        {
            score: {
                m: weighted_means(np.asarray(v, np.float64)[:, None], sampled)
                for m, v in scores[score].items()
            }
            for score in SCORES
        },
        by_concept,
        sampled,
        titles,
    )
    rules: tuple[Callable[[_Field], Verdict | None], ...] = (
        _single,
        _nothing_learnt,
        _winner,
        _trade_off,
        _tie,
    )
    return next((v for rule in rules if (v := rule(field)) is not None), _unseparated(field))


def _verdict(
    field: _Field, kind: Kind, text: str, next_step: str, best: str | None = None
) -> Verdict:
    return Verdict(text, kind, best, field.p_best(), next_step)


def _single(field: _Field) -> Verdict | None:
    if field.count > 1:
        return None
    return _verdict(
        field,
        "not_enough_evidence",
        f"{field.titles[field.ranking()[0]]} leads for the one concept whose scores have a scale; "
        "of others like it this says nothing.",
        "Add concepts, or photos that show less beside those that were left out.",
    )


def _nothing_learnt(field: _Field) -> Verdict | None:
    if any(field.learnt(method) for method in field.overall):
        return None
    return _verdict(
        field,
        "not_enough_evidence",
        f"No method has learnt these {field.count} concepts: over them none draws more like the "
        "photos than the untouched model does, beyond chance.",
        "Train longer (--effort thorough), or add concepts.",
    )


def _winner(field: _Field) -> Verdict | None:
    leader, *others = field.ranking()
    p_best, above = field.p_best()[leader], field.above()
    certain = p_best >= SURE and all((leader, m) in above for m in others)
    if not certain or not field.learnt(leader):
        return None
    title = field.titles[leader]
    if not others:
        text = f"{title} has learnt concepts like these (no other method was run): "
        text += f"{field.profile(leader)} over {field.count} concepts."
        return _verdict(field, "winner", text, "Compare it with another method.", leader)
    text = (
        f"{title} serves concepts like these best ({sure(p_best)} sure): it is the best for "
        f"{field.best_in(leader)} of {field.count}, with {field.profile(leader)}."
    )
    next_step = f"Take {title} for the next concept like these, and look at those it served worst."
    return _verdict(field, "winner", text, next_step, leader)


def _trade_off(field: _Field) -> Verdict | None:
    """One of the best is nearer to the concepts than all of them, another one to the prompts."""
    best = [m for m in field.contenders() if field.learnt(m)]
    if len(best) < 2:
        return None
    a, b = (
        max(best, key=lambda m, of=score: field.scores[of][m][0])  # type: ignore[misc]
        for score in ("fidelity", "adherence")
    )
    if (a, b) not in field.above("fidelity") or (b, a) not in field.above("adherence"):
        return None
    first, second = field.titles[a], field.titles[b]
    text = (
        f"It depends on what concepts like these are wanted for. Best likeness: {first} "
        f"({field.profile(a)}). Best in new scenes: {second} ({field.profile(b)})."
    )
    next_step = f"Take {first} where likeness counts most and {second} where the scene does."
    return replace(_verdict(field, "trade_off", text, next_step), likeness=a, scenes=b)


def _tie(field: _Field) -> Verdict | None:
    """All of the best are shown to be equal, for practical purposes."""
    group, above = field.contenders(), field.above()
    rest = [m for m in field.ranking() if m not in group]
    alike = all(
        equivalent(field.overall[a] - field.overall[b], field.sampled)
        for a, b in combinations(group, 2)
    )
    clear = all((member, m) in above for member in group for m in rest)
    if len(group) == 1 or not alike or not clear or not all(map(field.learnt, group)):
        return None
    names = listing([field.titles[m] for m in group])
    text = (
        f"{names} serve concepts like these equally well: over {field.count} of them their mean "
        f"overall scores differ by less than {percent(EQUIVALENT)} of the way to perfect"
        f"{_behind(field, rest)}."
    )
    return _verdict(field, "tie", text, f"Choose between {names} by cost or file size.")


def _unseparated(field: _Field) -> Verdict:
    group = field.contenders()
    leader, *others = field.ranking()
    title, near = field.titles[leader], [field.titles[m] for m in (group[1:] or others[:1])]
    rest = [m for m in others if m not in group]
    if not near:
        text = f"It is not sure that {title} has learnt concepts like these."
        return _verdict(field, "not_enough_evidence", text, "Add concepts, or train longer.")
    text = (
        f"{title} is ahead over these {field.count} concepts, but only "
        f"{sure(field.p_best()[leader])} sure, and the best for {field.best_in(leader)} of them: "
        f"the evidence does not separate it from {listing(near)}{_behind(field, rest)}."
    )
    return _verdict(field, "not_enough_evidence", text, _more(field, leader, others[0]))


def _behind(field: _Field, rest: list[str]) -> str:
    return f"; behind them: {listing([field.titles[m] for m in rest])}" if rest else ""


def _more(field: _Field, a: str, b: str) -> str:
    """How many concepts would separate two methods, or show that it makes no difference."""
    difference = field.overall[a] - field.overall[b]
    first, second = field.titles[a], field.titles[b]
    for same, purpose in (
        (False, f"to separate {first} from {second}, if they differ as they seem to"),
        (True, f"to know that it makes no difference which of {first} and {second} you take"),
    ):
        enough = needed(difference, field.sampled, "seeds", same, MOST_CONCEPTS)
        if enough is not None:
            more = enough - field.count
            return f"Add about {more} concept{'s' if more > 1 else ''} {purpose}."
    return (
        f"Choose by cost: more than {MOST_CONCEPTS} concepts would be needed to separate {first} "
        f"from {second}."
    )
