"""A method from a file outside the package is one among the others."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image
from tiny import NOUN, load_tiny, make_photos

from pseudoword.artefact import load_run
from pseudoword.cli import main
from pseudoword.errors import UserError
from pseudoword.methods import find_method, make_method
from pseudoword.runs import read_json, write_json
from pseudoword.settings import StudySettings
from pseudoword.study import check_settings, study_methods
from pseudoword.train import train

ROOT = Path(__file__).parent.parent
EXAMPLE = f"{ROOT / 'examples' / 'bias_tuning.py'}:BiasTuning"
CPU = torch.device("cpu")


def write_method(folder: Path, name: str = "another", base: str = "BiasTuning") -> str:
    """A method like the example's under another name."""
    file = folder / "method.py"
    shutil.copy(ROOT / "examples" / "bias_tuning.py", file)
    with file.open("a") as text:
        text.write(f"\n\nclass Another({base}):\n    name = {name!r}\n\n\nNUMBER = 1\n")
    return f"{file}:Another"


@pytest.fixture(scope="module")
def own_run(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("own")
    changes = {"steps": 6, "batch_size": 2, "learning_rate": 1e-2}
    method = make_method(EXAMPLE, "stable-diffusion", changes)
    train(load_tiny(tiny_model), method, NOUN, make_photos(), folder, seed=0)
    return folder


def test_the_example_learns_biases_and_norms_alone(own_run: Path, tiny_model: Path) -> None:
    trained = load_run(own_run, CPU).model.denoiser.state_dict()
    before = load_tiny(tiny_model).denoiser.state_dict()
    assert trained.keys() == before.keys()
    for name, value in trained.items():
        assert torch.equal(value, before[name]) == (value.ndim > 1), name


def test_a_run_finds_the_file_again(own_run: Path) -> None:
    run = json.loads((own_run / "run.json").read_text())
    assert run["method"] == "bias-tuning" and run["method_file"] == EXAMPLE
    loaded = load_run(own_run, CPU)
    assert loaded.method.name == "bias-tuning" and loaded.noun_phrase == "sks mug"


def test_the_guide_shows_the_example() -> None:
    source = Path(EXAMPLE.rpartition(":")[0]).read_text().partition("\n\n")[2]
    assert source in (ROOT / "docs" / "own-method.md").read_text()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nowhere.py:BiasTuning", "no file nowhere.py"),
        (EXAMPLE.replace("BiasTuning", "Nothing"), "has no Nothing"),
        (EXAMPLE.replace("BiasTuning", "Group"), "no subclass of Method"),
        (EXAMPLE.replace("BiasTuning", "Method"), "lacks name, title"),
        ("nothing", "FILE.py:NAME"),
    ],
)
def test_what_is_no_method_is_told(name: str, message: str) -> None:
    with pytest.raises(UserError, match=message) as error:
        find_method(name)
    assert str(error.value).count("\n") <= 1


@pytest.mark.parametrize("name", ["lora", "base-model", "Another", "a/b", ""])
def test_a_name_that_is_taken_or_no_folders_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="give the class another"):
        find_method(write_method(tmp_path, name))


def test_a_file_is_run_once_until_it_changes(tmp_path: Path) -> None:
    place = write_method(tmp_path)
    first = find_method(place)
    assert find_method(place) is first
    write_method(tmp_path, "changed")
    assert find_method(place).name == "changed"


def test_a_run_that_brings_code_along_is_refused(own_run: Path, tmp_path: Path) -> None:
    run = read_json(own_run / "run.json")
    write_method(tmp_path)
    for file in (tmp_path / "method.py", Path("method.py"), tmp_path / ".." / "x" / "method.py"):
        write_json(tmp_path / "run.json", {**run, "method_file": f"{file}:Another"})
        with pytest.raises(UserError, match="is not run"):
            load_run(tmp_path, CPU)


def test_a_study_takes_it_by_its_name(tmp_path: Path) -> None:
    values = {"class_noun": "mug", "options": {"bias-tuning": {"steps": 7}}}
    settings = StudySettings.model_validate({**values, "methods": ["lora", EXAMPLE]})
    assert [*study_methods(settings)] == ["lora", "bias-tuning"]
    changes, _ = check_settings(settings)
    assert changes["bias-tuning"] == {"steps": 7}
    twice = StudySettings.model_validate({**values, "methods": [EXAMPLE, EXAMPLE]})
    with pytest.raises(UserError, match="twice"):
        check_settings(twice)


def test_the_command_line_trains_and_draws_with_it(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Callable[..., None]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("photos").mkdir()
    for index, photo in enumerate(make_photos()):
        Image.fromarray(photo.pixels).resize((64, 64)).save(f"photos/{index}.png")
    shutil.copy(EXAMPLE.rpartition(":")[0], "mine.py")
    model = ["--model", str(tiny_model)]
    own = ["--method", "mine.py:BiasTuning", "--option", "steps=2", "--class-noun", NOUN]
    assert main(["train", "photos", *own, *model]) == 0
    run = Path("runs/bias-tuning-mug")
    assert json.loads((run / "run.json").read_text())["steps"] == 2
    assert main(["train", "photos", *own, *model]) == 0
    drawing = ["--prompt", "a photo of a {}", "--count", "1", "--sampling-steps", "2"]
    assert main(["generate", str(run), *drawing]) == 0
    assert len(list(Path("pictures").glob("*.png"))) == 1
    Path("mine.py").write_text(Path("mine.py").read_text() + "\n")
    assert main(["train", "photos", *own, *model]) == 2
