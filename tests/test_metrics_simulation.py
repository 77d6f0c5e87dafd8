"""The fast part of `make statistics`, and that docs/statistics.md tells what it found."""

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from pseudoword.metrics.simulation import PROFILES, Setup, simulate

ROOT = Path(__file__).parent.parent
REAL = "as in the repeated study"


def script(name: str) -> ModuleType:
    """A module of experiments/statistics, which import each other as scripts do."""
    folder = ROOT / "experiments" / "statistics"
    if str(folder) not in sys.path:
        sys.path.append(str(folder))
    file = folder / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"statistics_{name}", file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("profile", [REAL, "seeds vary most", "noise only"])
def test_intervals_cover_the_truth(profile: str) -> None:
    """The bootstrap does not where seeds matter; six intervals a study are far from independent."""
    found = script("intervals").coverage(profile, Setup(3, 10), 200)
    assert 0.92 <= found["chosen"]["all"] <= 0.985
    for quantity in ("mean", "difference", "overall", "overall difference"):
        assert 0.90 <= found["chosen"][quantity] <= 0.995, quantity
    assert found["bootstrap"]["width"] < found["chosen"]["width"]
    if profile == "seeds vary most":
        assert found["bootstrap"]["all"] < 0.85


def test_equal_methods_seldom_have_a_winner() -> None:
    for methods, most in ((2, 0.08), (3, 0.03)):
        found = script("verdicts").equal_methods(REAL, Setup(3, 10), methods, 150)
        assert found.get("winner", 0) <= most


def test_one_prompt_beside_the_plain_one_gives_no_winner() -> None:
    """Whichever method it favours would win: half of all studies where prompts alone vary."""
    found = script("verdicts").equal_methods("prompts only", Setup(3, 2, 4), 2, 30)
    assert found == {"not_enough_evidence": 1.0}


def test_a_much_better_method_is_found() -> None:
    found = script("verdicts").better_method(REAL, Setup(3, 10), 0.8, 40)
    assert found["right"] == found["winner"] >= 0.9


def test_simulated_studies_have_the_effects_that_are_asked_for() -> None:
    setup = Setup(5, 20, 4)
    profile = PROFILES[REAL]
    studies = simulate(profile, {"a": (0.5, 0.9)}, setup, 200, setup.sampled())
    cells = [design.cells["a"]["dino"][:, 1:] for design, _ in studies]
    found = script("components").components(np.stack(cells), np.stack(cells))
    likeness = profile.likeness
    prompt = np.hypot(likeness.prompt, likeness.difficulty)
    expected = [likeness.seed, prompt, likeness.cell, likeness.picture]
    assert np.sqrt(found) == pytest.approx(expected, rel=0.08)


def test_the_realistic_profile_is_that_of_the_repeated_study() -> None:
    found, profile = script("components").estimate(), PROFILES[REAL]
    for metric, effects in (("dino", profile.likeness), ("clip_t", profile.adherence)):
        for effect, deviation in found[metric].items():
            assert getattr(effects, effect) == pytest.approx(deviation, abs=0.01)
    estimated = [found["correlation"][effect] for effect in ("seed", "prompt", "cell")]
    assert profile.correlation == pytest.approx(estimated, abs=0.01)


def test_the_page_says_what_was_measured() -> None:
    """`make statistics` writes both."""
    page = (ROOT / "docs" / "statistics.md").read_text()
    folder = ROOT / "docs" / "statistics"
    measured = json.loads((folder / "simulation.json").read_text())
    forms = json.loads((folder / "primary.json").read_text())
    trained = json.loads((folder / "toybox.json").read_text())
    assert script("pages").with_tables(page, measured, forms, trained) == page
    assert measured["studies"] >= 1000
    assert 0.93 <= measured["summary"]["coverage"] <= 0.97
    assert measured["summary"]["aa_false_winner"] <= 0.05
