"""Spoilt files are told, and cost neither much time nor memory; `make torture` has thousands.

`fuzz.py --case N` of experiments/torture shows again what fails here.
"""

import io
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent.parent / "experiments/torture"))

import fuzz
import mutations
import numpy as np

SHARE = 60


def test_spoilt_files_are_told() -> None:
    said = io.StringIO()
    found = fuzz.run(SHARE, tell=said)
    failures = {name: found[name] for name in fuzz.FAILURES if found[name]}
    assert not failures, said.getvalue()
    assert found["fuzzed"] == SHARE and found["refused"] > SHARE // 2


def test_every_target_is_in_the_share() -> None:
    """So that what breaks is seen without the thousands; but for what takes long."""
    shared = {target.name for target, _, _ in fuzz.plan(SHARE)}
    assert shared == {target.name for target in fuzz.TARGETS} - {"large"}


@pytest.mark.parametrize("index", range(5))
def test_a_case_is_always_the_same_and_always_spoilt(index: int) -> None:
    whole = b'{"step": 1, "strength": 0.5}'
    spoilt = fuzz.spoil(whole, "chosen.json", 0, index)
    assert spoilt == fuzz.spoil(whole, "chosen.json", 0, index) != whole
    assert spoilt != fuzz.spoil(whole, "chosen.json", 1, index)


def test_bombs_are_small() -> None:
    """What is asked is what they become."""
    assert len(mutations.BOMB) < 1000
    chance = np.random.default_rng(0)
    spoilt = [mutations.spoil_yaml(chance, b"a: {b: [1, 2]}") for _ in range(800)]
    assert mutations.BOMB.encode() in spoilt
