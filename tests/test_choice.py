"""What a study chose for a run is what is drawn with and exported, unless another is named."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny import train_tiny

from pseudoword.artefact import load_run
from pseudoword.drawing import generate_pictures
from pseudoword.errors import UserError
from pseudoword.export import export_run, verify
from pseudoword.generate import Request, generate
from pseudoword.methods.adapters import AdapterMethod
from pseudoword.runs import Choice, read_choice, read_json, write_choice
from pseudoword.settings import DrawSettings, GenerateSettings

CPU = torch.device("cpu")
CHOICE = Choice(2, "snapshots/000002.safetensors", 0.5)
FAST = GenerateSettings(sampling_steps=2, sampler="euler")


class Notes:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def update(self, task: str, done: int, total: int, detail: str = "") -> None:
        pass

    def note(self, text: str) -> None:
        self.told.append(text)


@pytest.fixture(autouse=True)
def _few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verify, "SETTINGS", FAST)


@pytest.fixture(scope="module")
def run(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A LoRA of four steps, of which a study chose the second at half its strength."""
    folder = tmp_path_factory.mktemp("run")
    train_tiny(tiny_model, "lora", folder, steps=4, snapshots=2)
    write_choice(folder, CHOICE)
    return folder


def picture(run: Path, step: int | None = None, strength: float | None = None) -> np.ndarray:
    loaded = load_run(run, CPU, step=step, strength=strength)
    return generate(loaded.model, [Request(f"a {loaded.noun_phrase}", 0)], FAST)[0].astype(int)


def test_a_choice_is_kept_as_it_was_made(run: Path) -> None:
    write_choice(run, Choice(4, "artefact.safetensors", 1.0))
    assert read_choice(run) == CHOICE


def test_the_choice_is_loaded(run: Path) -> None:
    assert load_run(run, CPU).choice == CHOICE
    assert np.array_equal(picture(run), picture(run, 2, 0.5))
    others = [picture(run, 4), picture(run, strength=1.0), picture(run, strength=0.0)]
    assert all(not np.array_equal(picture(run), other) for other in others)


def test_a_strength_was_chosen_for_one_step(run: Path) -> None:
    assert load_run(run, CPU, step=4).choice == Choice(4, "artefact.safetensors", 1.0)
    assert load_run(run, CPU, step=2).choice == CHOICE
    with pytest.raises(UserError, match="no checkpoint of step 3: it has those of 2, 4"):
        load_run(run, CPU, step=3)


@pytest.mark.parametrize("trace", ["runs/lora-s0/images/00-0.png", "selection.json"])
def test_a_choice_that_is_gone_is_told(trace: str, run: Path, tmp_path: Path) -> None:
    """The end of training is not drawn with in the place of what a study chose."""
    own = tmp_path / "runs/lora-s0"
    shutil.copytree(run, own)
    (own / "chosen.json").unlink()
    assert load_run(own, CPU).choice == Choice(4, "artefact.safetensors", 1.0)
    (tmp_path / trace).parent.mkdir(exist_ok=True)
    # A method that takes no part has no choice to lose.
    (tmp_path / trace).write_text('{"dreambooth": {}}')
    if trace == "selection.json":
        assert load_run(own, CPU).choice == Choice(4, "artefact.safetensors", 1.0)
        (tmp_path / trace).write_text('{"dreambooth": {}, "lora": {}}')
    for step in (None, 2):
        with pytest.raises(UserError, match=r"chosen\.json is gone.*\n.*the same study again"):
            load_run(own, CPU, step=step)
    with pytest.raises(UserError, match=r"chosen\.json is gone"):
        export_run(own, "diffusers", tmp_path / "export")
    assert load_run(own, CPU, step=2, strength=1.0).choice == Choice(2, CHOICE.artefact, 1.0)


def test_generate_tells_and_names_what_it_drew_with(run: Path, tmp_path: Path) -> None:
    notes = Notes()

    def names(**settings: object) -> list[str]:
        drawing = DrawSettings(sampling_steps=1, **settings)  # type: ignore[arg-type]
        files = generate_pictures(run, "a {}", 1, 0, drawing, tmp_path, "cpu", notes)
        return [file.name for file in files]

    assert names() == ["a-sks-mug-000000-step-2-strength-0.5.png"]
    assert "step 2 of 4 at strength 0.5" in notes.told[0]
    assert names(checkpoint=4) == ["a-sks-mug-000000.png"]
    assert names(checkpoint=4, strength=0.8) == ["a-sks-mug-000000-strength-0.8.png"]
    assert len(notes.told) == 1


def test_a_whole_model_holds_the_strength(run: Path, tmp_path: Path) -> None:
    folder = export_run(run, "checkpoint", tmp_path / "whole")
    note = read_json(folder / "export.json")
    assert (note["step"], note["strength"], note["strength_merged"]) == (2, 0.5, True)
    assert note["largest_difference"] <= verify.TOLERANCE
    card = (folder / "README.md").read_text()
    assert "step 2 of 4" in card and "merged in at strength 0.5" in card


def test_adapters_are_whole_and_the_card_tells_the_strength(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_to: list[float] = []
    usual = AdapterMethod.set_strength

    def spy(method: AdapterMethod, model: object, strength: float) -> None:
        set_to.append(strength)
        usual(method, model, strength)  # type: ignore[arg-type]

    monkeypatch.setattr(AdapterMethod, "set_strength", spy)
    folder = export_run(run, "diffusers", tmp_path / "adapter")
    note = read_json(folder / "export.json")
    assert (note["step"], note["strength"], note["strength_merged"]) == (2, 0.5, False)
    assert set_to == [0.5, 1.0, 0.5]
    card = (folder / "README.md").read_text()
    assert "give 0.5 in place of 1" in card and "step 2 of 4" in card
