"""Choosing among checkpoints and strengths whose scores are known."""

import numpy as np
import pytest

from pseudoword.metrics.candidates import (
    Candidate,
    Cells,
    Scale,
    candidate_row,
    choose,
    find_scale,
    place,
)

EDIT = np.array([False, True, True, True])
FLOOR, CEILING, LEAST, MOST = 0.3, 0.8, 0.1, 0.3


def cells(dino: float, clip_t: float, seeds: int = 3, noise: float = 0.0, seed: int = 0) -> Cells:
    rng = np.random.default_rng(seed)
    shape = (seeds, len(EDIT), 2)
    return Cells(dino + noise * rng.normal(size=shape), clip_t + noise * rng.normal(size=shape))


def scale(seeds: int = 3) -> Scale:
    found = find_scale(
        cells(FLOOR, MOST, 1), np.full(4, LEAST), np.array([CEILING] * 4), EDIT, seeds
    )
    assert isinstance(found, Scale)
    return found


def at(step: int, strength: float, cells: Cells, seeds: int = 3) -> Candidate:
    return place(scale(seeds), step, strength, cells)


def test_the_scale_is_the_verdicts() -> None:
    for dino, clip_t, fidelity, adherence in (
        (FLOOR, MOST, 0.0, 1.0),
        (CEILING, LEAST, 1.0, 0.0),
        (0.55, 0.25, 0.5, 0.75),
    ):
        row = candidate_row(at(10, 1.0, cells(dino, clip_t)), scale().sampled, True)
        assert row["fidelity"]["value"] == pytest.approx(fidelity)
        assert row["adherence"]["value"] == pytest.approx(adherence)
        assert row["overall"]["value"] == pytest.approx(fidelity * adherence)
        assert row["overall"]["low"] == pytest.approx(row["overall"]["high"])


def test_plain_prompts_say_nothing_of_adherence() -> None:
    found = cells(0.5, 0.2)
    found.clip_t[:, ~EDIT] = 9.0
    assert at(10, 1.0, found).adherence[0] == pytest.approx(0.5)


def test_the_better_one_is_chosen_where_that_is_shown() -> None:
    noise = 0.01
    late = at(30, 1.0, cells(0.5, 0.2, noise=noise))
    early = at(20, 1.0, cells(0.6, 0.25, noise=noise, seed=1))
    assert choose([late, early], scale().sampled) is early
    assert choose([early, late], scale().sampled) is early


def test_near_ties_go_to_the_first() -> None:
    found = [at(30 - i, 1.0, cells(0.5, 0.2, noise=0.05, seed=i)) for i in range(3)]
    best = max(found, key=lambda candidate: candidate.overall[0])
    order = sorted(found, key=lambda candidate: candidate is best)
    assert best is not order[0] and best.overall[0] > order[0].overall[0]
    assert choose(order, scale().sampled) is order[0]


def test_exact_ties_go_to_the_first() -> None:
    found = [at(step, 1.0, cells(0.2, 0.2)) for step in (30, 20, 10)]
    assert choose(found, scale().sampled) is found[0]


def test_pairing_shows_small_differences() -> None:
    """The same noise in both: what differs is beyond doubt, however noisy each of them is."""
    late, early = cells(0.5, 0.2, noise=0.05), cells(0.5, 0.2, noise=0.05)
    early.dino[:] += 0.02
    found = [at(30, 1.0, late), at(20, 1.0, early)]
    assert choose(found, scale().sampled) is found[1]


def test_without_a_scale_the_reason_is_told() -> None:
    untouched, ignoring = cells(FLOOR, MOST, 1), np.full(4, LEAST)
    alike = np.array([CEILING] * 4)
    assert "DINO" in str(find_scale(untouched, ignoring, np.array([0.2, 0.3]), EDIT, 2))
    assert "CLIP-T" in str(find_scale(untouched, np.full(4, 0.5), alike, EDIT, 2))
    # One prompt alone makes the photos seem to ignore the prompts.
    ignoring[1:] = (MOST - 1.0, MOST + 0.1, MOST + 0.1)
    assert "CLIP-T" in str(find_scale(untouched, ignoring, alike, EDIT, 2))


def test_nothing_is_shown_without_replication() -> None:
    edit = np.array([False, True])
    found = find_scale(
        Cells(np.full((1, 2, 1), FLOOR), np.full((1, 2, 1), MOST)),
        np.full(2, LEAST),
        np.array([CEILING] * 3),
        edit,
        1,
    )
    assert isinstance(found, Scale)
    late, early = (
        place(found, step, 1.0, Cells(np.full((1, 2, 1), dino), np.full((1, 2, 1), 0.2)))
        for step, dino in ((30, 0.5), (20, 0.7))
    )
    assert choose([late, early], found.sampled) is late
