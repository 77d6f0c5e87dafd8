"""The table of models: every row names things that exist."""

import pytest

from pseudoword.families import MODELS
from pseudoword.methods import METHODS, make_method
from pseudoword.metrics.encoders import ENCODERS
from pseudoword.prompts import SUITES


@pytest.mark.parametrize("name", MODELS)
def test_a_model_names_its_encoders_and_suite(name: str) -> None:
    row = MODELS[name]
    assert set(row.encoders) == {"clip", "dino", "inception"}
    assert set(row.encoders.values()) <= set(ENCODERS)
    assert ENCODERS[row.encoders["clip"]].role == "clip"
    assert row.suite in SUITES


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("method", METHODS)
def test_every_method_has_settings_for_every_model(name: str, method: str) -> None:
    assert make_method(method, MODELS[name].preset).settings.steps > 0
