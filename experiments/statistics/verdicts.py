"""What the verdict says in simulated studies: of equal methods, and of one that is better."""

from collections import Counter
from collections.abc import Mapping

import numpy as np

from pseudoword.metrics.comparisons import primary_cells
from pseudoword.metrics.scales import normalise_study
from pseudoword.metrics.simulation import PROFILES, Setup, simulate
from pseudoword.metrics.verdict import Standing, decide

DRAWS = 1000
ADHERENCE = 0.9
EQUAL = (0.7, ADHERENCE)
BEST = 0.9
"""The overall score of the better method."""


def kinds(
    profile: str, truth: Mapping[str, tuple[float, float]], setup: Setup, studies: int
) -> dict[str, float]:
    """The share of studies by kind of verdict; "right" where "a" is named as the winner."""
    sampled, found = setup.sampled(DRAWS), Counter[str]()
    for design, evidence in simulate(PROFILES[profile], truth, setup, studies, sampled, seed=2):
        scores = normalise_study(design, evidence)
        if scores.problem is not None:
            found["not_enough_evidence"] += 1
            continue
        titles = {name: name for name in truth}
        standing = Standing(scores.fidelity, scores.adherence, sampled, titles, "mug")
        verdict = decide(standing)
        found[verdict.kind] += 1
        found["right"] += verdict.best == "a"
    return {kind: number / studies for kind, number in sorted(found.items())}


def equal_methods(profile: str, setup: Setup, count: int, studies: int) -> dict[str, float]:
    """A/A: `count` methods whose true scores are the same."""
    return kinds(profile, {name: EQUAL for name in "abc"[:count]}, setup, studies)


def better_method(profile: str, setup: Setup, effect: float, studies: int) -> dict[str, float]:
    """Two methods that differ by `effect` in the overall score: all of it is in the likeness."""
    truth = {
        "b": ((BEST - effect) / ADHERENCE, ADHERENCE),
        "a": (BEST / ADHERENCE, ADHERENCE),
    }
    return kinds(profile, truth, setup, studies)


def cell_deviation(profile: str, studies: int = 300) -> float:
    """The standard deviation of a paired difference in one cell (seed and prompt), overall."""
    setup = Setup()
    truth, sampled = {name: EQUAL for name in "ab"}, setup.sampled()
    gaps = []
    for design, evidence in simulate(PROFILES[profile], truth, setup, studies, sampled, seed=3):
        cells = primary_cells(design, evidence)
        gaps.append(cells["a"] - cells["b"])
    return float(np.sqrt(np.mean(np.square(gaps))))
