"""The table of models: every row names things that exist."""

import json
import shutil
from pathlib import Path

import pytest
import torch

from pseudoword.errors import UserError
from pseudoword.families import MODELS, load_model
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


@pytest.fixture
def model_copy(tiny_model: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_model, tmp_path / "model"))


@pytest.mark.parametrize("part", ["unet", "vae", "text_encoder", "tokenizer", "scheduler"])
def test_a_model_that_lacks_a_part_is_told(part: str, model_copy: Path) -> None:
    shutil.rmtree(model_copy / part)
    with pytest.raises(UserError, match="is not whole") as caught:
        load_model(str(model_copy), torch.device("cpu"))
    assert str(model_copy) in str(caught.value) and str(caught.value).count("\n") <= 1


def test_the_fingerprint_covers_configurations(model_copy: Path) -> None:
    before = load_model(str(model_copy), torch.device("cpu")).fingerprint
    file = model_copy / "scheduler" / "scheduler_config.json"
    config = json.loads(file.read_text())
    file.write_text(json.dumps(config | {"beta_end": 0.013}))
    assert load_model(str(model_copy), torch.device("cpu")).fingerprint != before


def test_a_model_folder_is_known_from_everywhere(
    model_copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(model_copy.parent)
    assert load_model("model", torch.device("cpu")).name == str(model_copy)
