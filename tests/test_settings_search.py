"""What the search for settings goes on with, and what its page says of it."""

import math
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from tiny import NOUN, load_tiny

from pseudoword.methods import make_method

FOLDER = str(Path(__file__).parent.parent / "experiments")
if FOLDER not in sys.path:
    sys.path.append(FOLDER)

from search_variants import VARIANTS, StartedWord, best_variants  # noqa: E402
from settings_page import Difference, panels, steps_to_quality  # noqa: E402
from tried import DEFAULTS, Tried, read_tried  # noqa: E402


def row(name: str, toy: int, step: int, worth: float) -> dict[str, object]:
    axis = "" if name == DEFAULTS else "rank"
    place = {"method": "lora", "variant": name, "axis": axis, "toy": toy}
    return {**place, "step": step, "worth": worth}


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """Toys 200 and 201, of which "lost" met only the first, and from which others differ."""
    rows = [
        {**row(DEFAULTS, toy, 0, 0.2), "method": "untouched", "variant": ""} for toy in (200, 201)
    ]
    for toy in (200, 201):
        rows += [row(DEFAULTS, toy, 10, 0.4), row(DEFAULTS, toy, 20, 0.5)]
        rows += [row("good", toy, 10, 0.6), row("good", toy, 20, 0.6)]
        rows += [row("short", toy, 5, 0.3), row("short", toy, 10, 0.3 + 0.1 * (toy - 200))]
    rows += [row("lost", 200, 10, 0.9), row("lost", 200, 20, 0.9)]
    path = tmp_path / "variants.csv"
    pd.DataFrame(rows).to_csv(path, index=False)
    return path


def by_name(table: Path) -> dict[str, Tried]:
    return {tried.name: tried for tried in read_tried(table)["lora"]}


def test_a_curve_starts_from_the_untouched_model_and_stays_where_it_ended(table: Path) -> None:
    tried = by_name(table)
    curve = tried["short"].curves[201]
    assert curve[[0, 1, 5, 10, 20]] == pytest.approx([0.2, 0.22, 0.3, 0.4, 0.4])
    assert len(curve) == len(tried[DEFAULTS].curves[200]) == 21


def test_halving_keeps_the_defaults_and_who_learnt_every_toy(table: Path) -> None:
    assert best_variants(table, "lora", 201, 2) == [DEFAULTS, "lost", "good"]
    assert best_variants(table, "lora", 202, 2) == [DEFAULTS, "good", "short"]
    assert best_variants(table, "lora", 202, 0) == [DEFAULTS]


def test_differences_are_paired_by_toy() -> None:
    found = Difference.of([0.1, 0.3])
    assert (found.mean, found.ahead) == (pytest.approx(0.2), 2)
    assert found.error == pytest.approx(0.1)
    assert math.isnan(Difference.of([0.1]).error)


def test_quality_is_most_of_the_way_to_the_level_of_the_defaults() -> None:
    defaults = np.concatenate([np.linspace(0, 1, 11), np.ones(20)])
    assert steps_to_quality(defaults, defaults) == "9"
    assert steps_to_quality(np.minimum(2 * defaults, 1), defaults) == "5"
    assert steps_to_quality(defaults / 2, defaults) == "never"


def test_few_toys_are_drawn_as_far_from_the_defaults_as_they_were(table: Path) -> None:
    (panel,) = panels(list(by_name(table).values()))
    lines = {line.name: line for line in panel.lines}
    assert lines["lost"].toys == 1 and panel.defaults.toys == 2
    assert lines["lost"].points[-1] == (20, pytest.approx(0.9))
    assert panel.defaults.points[-1] == (20, pytest.approx(0.5))


def test_a_word_starts_from_an_embedding(tiny_model: Path) -> None:
    model = load_tiny(tiny_model)
    method = make_method(StartedWord, "stable-diffusion", {})
    assert isinstance(method, StartedWord)
    width = model.text_encoders[0].get_input_embeddings().weight.shape[1]
    method.embedding = torch.arange(float(width))[None]
    ((rows,),) = (group.parameters for group in method.attach(model, NOUN, 0))
    assert torch.equal(rows, method.embedding) and rows.requires_grad


def test_variants_are_settings_of_their_methods() -> None:
    for method, variants in VARIANTS.items():
        assert variants[DEFAULTS].axis == ""
        for variant in variants.values():
            make_method(method, "toybox", variant.options)
