"""The command line: what it accepts, prints and answers to mistakes."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from PIL import Image
from tiny import make_photos

from pseudoword import __version__, single, study
from pseudoword.cli import COMMANDS, main
from pseudoword.cli_arguments import help_text, nested_model
from pseudoword.methods import METHODS
from pseudoword.metrics import METRICS
from pseudoword.progress import Reporter
from pseudoword.settings import GenerateSettings, StudySettings, TrainSettings
from pseudoword.toybox.photos import SIZE

RESULTS: dict[str, Any] = {
    "methods": {
        "lora": {
            "title": "LoRA",
            "flags": [],
            "scores": {
                "dino": {"value": 0.7123, "low": 0.65, "high": 0.7777, "n": 20},
                "clip_i": {"value": 0.9, "low": None, "high": None, "n": 20},
            },
        }
    },
    "failures": [
        {
            "title": "OFT",
            "text": "Seed 1 diverged by step 20.",
            "remedy": "Lower its learning_rate.",
        }
    ],
    "given": [{"title": "mine.safetensors", "scores": {"dino": {"value": 0.5}}}],
    "base_model": {"scores": {"clip_t": {"value": 0.31, "low": 0.3, "high": 0.32, "n": 20}}},
    "ceiling": {"dino": {"value": 0.95, "low": 0.9, "high": 0.99, "n": 4}},
    "verdict": {"text": "LoRA serves it best.", "best": "lora", "next_step": "Export it."},
}


@pytest.fixture
def photos(tmp_path: Path) -> list[str]:
    """Three small pictures in files."""
    folder = tmp_path / "photos"
    folder.mkdir()
    files = []
    for index, photo in enumerate(make_photos(3)):
        files.append(str(folder / f"{index}.png"))
        Image.fromarray(photo.pixels).resize((64, 64)).save(files[-1])
    return files


@pytest.fixture
def studies(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Sequence[Path], StudySettings, Path]]:
    """What the study command asked for; the study itself is not run."""
    calls = []

    def run_study(
        paths: Sequence[Path], settings: StudySettings, out: Path, reporter: Reporter
    ) -> dict[str, Any]:
        reporter.note("working")
        calls.append((paths, settings, out))
        return RESULTS

    monkeypatch.setattr(study, "run_study", run_study)
    return calls


def mistake(capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    """What stderr says to a wrong command: one or two lines, exit code 2, nothing on stdout."""
    code = main(argv)
    out, error = capsys.readouterr()
    assert code == 2
    assert out == ""
    assert error.startswith("error: ")
    assert error.count("\n") <= 2
    return error


def printed(capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    """What stdout says to a right command."""
    assert main(argv) == 0
    return capsys.readouterr().out


def test_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    text = printed(capsys, "--help")
    for name, command in COMMANDS.items():
        assert name in text
        assert command.summary in text
    assert printed(capsys) == text
    assert "toybox check" in (part := printed(capsys, "toybox", "--help"))
    assert "generate" not in part


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_has_help(capsys: pytest.CaptureFixture[str], name: str) -> None:
    with pytest.raises(SystemExit) as stop:
        main([*name.split(), "--help"])
    assert stop.value.code == 0
    assert f"usage: pseudoword {name}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "kind"),
    [("study", StudySettings), ("train", TrainSettings), ("generate", GenerateSettings)],
)
def test_help_tells_every_setting(capsys: pytest.CaptureFixture[str], name: str, kind: Any) -> None:
    with pytest.raises(SystemExit):
        main([name, "--help"])
    text = "".join(capsys.readouterr().out.split())
    for field in kind.model_fields.values():
        inner = nested_model(field)
        told = [field] if inner is None else inner.model_fields.values()
        if field.annotation != dict[str, dict[str, Any]]:
            assert all("".join(help_text(one).split()) in text for one in told)


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert printed(capsys, "--version") == f"pseudoword {__version__}\n"


@pytest.mark.parametrize(
    "options",
    [
        ("study", "--class-noun", "teddy bear", "--methods", "lora, dreambooth", "--seeds", "2"),
        ("study", "--class-noun", "mug", "--prompt", "a {}, red", "--prompt", "a: {} # no"),
        ("study", "--class-noun", "mug", "--artefact", "a, b=c.pt", "--artefact", "d=e.pt@0.5"),
        ("study", "--class-noun", "Tasse für Süßes", "--sampler", "ddim", "--guidance-scale", "7"),
        ("train", "--class-noun", "mug", "--option", "steps=5,rank=3", "--option", "alpha=1e-3"),
        ("train", "--class-noun", "true", "--no-hold-out", "--model", "x" * 200),
    ],
)
def test_printed_config_is_accepted(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, options: tuple[str, ...]
) -> None:
    text = printed(capsys, *options, "--print-config")
    file = tmp_path / "study.yaml"
    file.write_text(text)
    assert printed(capsys, options[0], "--config", str(file), "--print-config") == text
    kind = StudySettings if options[0] == "study" else TrainSettings
    settings = kind.model_validate(yaml.safe_load(text))
    assert settings.class_noun == options[2]
    for field in kind.model_fields.values():
        assert f"# {field.description}" in text


def test_config_without_the_noun_is_a_template(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = tmp_path / "study.yaml"
    file.write_text(printed(capsys, "study", "--print-config"))
    assert "--class-noun is missing" in mistake(capsys, "study", "a.png", "--config", str(file))
    text = printed(capsys, "study", "--config", str(file), "--class-noun", "mug", "--print-config")
    assert yaml.safe_load(text) == StudySettings(class_noun="mug").model_dump()


def test_options_win_over_the_config(
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    studies: list[tuple[Sequence[Path], StudySettings, Path]],
) -> None:
    file = tmp_path / "study.yaml"
    file.write_text(
        "class-noun: mug\nseeds: 7\ngenerate: {sampler: ddim, sampling_steps: 9}\n"
        "options: {lora: {rank: 2}}\n"
    )
    options = ("--seeds", "2", "--sampling-steps", "5", "--config", str(file))
    assert "LoRA serves it best." in printed(capsys, "study", "a.png", *options, "b.png")
    [(paths, settings, out)] = studies
    assert paths == [Path("a.png"), Path("b.png")]
    assert out == Path("study-mug")
    assert settings == StudySettings(
        class_noun="mug",
        seeds=2,
        generate=GenerateSettings(sampler="ddim", sampling_steps=5),
        options={"lora": {"rank": 2}},
    )


def test_study_says_verdict_scores_and_report(
    capsys: pytest.CaptureFixture[str],
    studies: list[tuple[Sequence[Path], StudySettings, Path]],
) -> None:
    assert main(["study", "p", "--class-noun", "teddy bear", "--out", "here"]) == 0
    out, error = capsys.readouterr()
    assert error == "working\n"
    for part in (
        "LoRA serves it best.",
        "Next: Export it.",
        "0.712 (0.650 to 0.778)",
        "mine.safetensors",
        "0.900",
        "0.310 (0.300 to 0.320)",
        f"Report: {Path('here') / 'report.html'}",
    ):
        assert part in out
    text = printed(capsys, "study", "p", "--class-noun", "teddy bear", "--json")
    assert json.loads(text) == RESULTS
    assert studies[-1][2] == Path("study-teddy-bear")


def test_methods_json(capsys: pytest.CaptureFixture[str]) -> None:
    rows = json.loads(printed(capsys, "methods", "--json"))
    assert [row["name"] for row in rows] == list(METHODS)
    for row in rows:
        method = METHODS[row["name"]]
        assert (row["title"], row["summary"]) == (method.title, method.summary)
        assert [s["name"] for s in row["settings"]] == list(method.Settings.model_fields)
        for preset in ("stable-diffusion", "toybox"):
            defaults = {s["name"]: s["default"][preset] for s in row["settings"]}
            assert defaults == method.Settings(**method.presets.get(preset, {})).model_dump()
        assert all(s["type"] and s["help"] for s in row["settings"])
    types = {s["name"]: s["type"] for s in rows[1]["settings"]}
    assert (types["steps"], types["store"]) == ("int", "difference | full")
    text = printed(capsys, "methods")
    assert all(f"{name}  " in text for name in METHODS)


def test_models_json_names_the_toybox_folder(capsys: pytest.CaptureFixture[str]) -> None:
    rows = {row["name"]: row for row in json.loads(printed(capsys, "models", "--json"))}
    assert set(rows["toybox"]) == {"name", "summary", "source", "preset", "suite"}
    index = json.loads((Path(rows["toybox"]["source"]) / "model_index.json").read_text())
    assert index["_class_name"] == "StableDiffusionPipeline"
    assert "sd-1.5" in printed(capsys, "models")


def test_metrics_json(capsys: pytest.CaptureFixture[str]) -> None:
    rows = json.loads(printed(capsys, "metrics", "--json"))
    assert [row["name"] for row in rows] == list(METRICS)
    assert rows[0]["explanation"] == METRICS["dino"].explanation
    assert "lower is better" in printed(capsys, "metrics")


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["stduy"], "did you mean study?"),
        (["toybox", "rendr"], "did you mean toybox render?"),
        (["toybox", "train", "--out", "o", "x"], "x is no option here"),
        (["--seeds"], "--seeds needs a command before it"),
        (["study", "a.png", "--class-nuon", "mug"], "did you mean --class-noun?"),
        (["study", "a.png", "--seed", "2"], "did you mean --seeds?"),
        (["study", "a.png"], "--class-noun is missing"),
        (["study", "--class-noun", "mug"], "PHOTOS are missing"),
        (["train", "--class-noun", "mug"], "PHOTOS are missing"),
        (["study", "a.png", "--class-noun", "mug", "--effort", "fast"], "'quick', 'standard'"),
        (["study", "a.png", "--class-noun", "mug", "--seeds", "many"], "seeds"),
        (["study", "a.png", "--class-noun", "mug", "--config", "no.yaml"], "no.yaml"),
        (["train", "a.png", "--class-noun", "mug", "--option", "steps"], "write NAME=VALUE"),
        (["train", "a.png", "--class-noun", "mug", "--method", "magic"], "magic"),
        (["train", "a.png", "--class-noun", "mug", "--model", "magic"], "--model magic"),
        (["generate", "--prompt", "a {}"], "RUN"),
        (["generate", "run", "--prompt", "a photo"], "no {}"),
        (["generate", "run", "--prompt", "a {}", "--count", "0"], "1 or more"),
        (["generate", "run", "--prompt", "a {}", "--seed", "-1"], "--seed"),
        (["generate", "no-such-run", "--prompt", "a {}"], "no-such-run"),
        (["evaluate", "a.png", "--references", "b.png"], "--class-noun is missing"),
        (["evaluate", "a.png", "--class-noun", "mug"], "--references"),
        (["evaluate", "--references", "b.png", "--class-noun", "mug"], "either IMAGES"),
        (
            ["evaluate", "a.png", "--references", "b", "--class-noun", "m", "--artefact", "m=f"],
            "either IMAGES",
        ),
        (["evaluate", "--references", "b", "--class-noun", "m", "--artefact", "m"], "PHRASE=FILE"),
        (["study", "a.png", "--class-noun", "mug", "--artefact", "m=no.pt"], "does not exist"),
        (["report", "no-such-study"], "no-such-study is no folder"),
        (["export", "no-such-run", "--format", "magic"], "--format magic"),
        (["export", "no-such-run", "--format", "kohya"], "no-such-run"),
    ],
)
def test_mistakes_are_told(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    argv: list[str],
    says: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert says in mistake(capsys, *argv)


def test_a_wrong_config_is_told(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "study.yaml"
    command = ("study", "a.png", "--class-noun", "mug", "--config", str(file))
    for text, says in {
        "sedes: 3": "sedes",
        "generate: 3": "generate",
        "seeds: [": "study.yaml",
        "- a": "name: value",
    }.items():
        file.write_text(text)
        assert says in mistake(capsys, *command)
        assert says in mistake(capsys, *command, "--sampling-steps", "4")


@pytest.mark.parametrize("command", ["study", "train"])
def test_out_that_is_a_file_is_told(
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    tiny_model: Path,
    photos: list[str],
    command: str,
) -> None:
    file = tmp_path / "out"
    file.write_text("mine")
    options = ("--class-noun", "mug", "--model", str(tiny_model), "--out", str(file))
    assert main([command, *photos, *options]) == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert last == f"error: {file} is a file: name a folder that is new or empty."
    assert file.read_text() == "mine"


def test_train_then_generate(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    tiny_model: Path,
    photos: list[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    options = ("--class-noun", "Tea Mug", "--model", str(tiny_model), "--snapshots", "0")
    command = ("train", *photos, *options, "--option", "steps=2,rank=1", "--json")
    run = json.loads(printed(capsys, *command))
    assert (run["method"], run["steps"], run["settings"]["rank"]) == ("lora", 2, 1)
    folder = Path("runs") / "lora-tea-mug"
    assert (folder / "artefact.safetensors").is_file()
    assert json.loads(printed(capsys, *command)) == run
    drawing = ("--count", "2", "--seed", "3", "--sampling-steps", "2", "--out", "drawn")
    text = printed(capsys, "generate", str(folder), "--prompt", "a photo of a {}", *drawing)
    files = [Path(line) for line in text.splitlines()]
    assert [Image.open(file).size for file in files] == [(16, 16)] * 2
    assert {file.parent for file in files} == {Path("drawn")}
    text = printed(
        capsys,
        "generate",
        str(folder),
        "--prompt",
        "a photo of a {}",
        *drawing,
        "--strength",
        "0.5",
    )
    weaker = [Path(line) for line in text.splitlines()]
    assert not set(weaker) & set(files) and all("strength-0.5" in file.name for file in weaker)


def test_toybox_render(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    text = printed(
        capsys, "toybox", "render", "--seed", "1", "--out", str(tmp_path), "--count", "2"
    )
    assert [Image.open(line).size for line in text.splitlines()] == [(SIZE, SIZE)] * 2
    assert json.loads((tmp_path / "toy.json").read_text())["seed"] == 1


def test_interruption_says_that_the_command_resumes(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*arguments: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(single, "train_run", interrupt)
    assert main(["train", "a.png", "--class-noun", "mug"]) == 130
    error = capsys.readouterr().err
    assert "same command" in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("kind", "whose"),
    [(torch.OutOfMemoryError, "the GPU"), (MemoryError, "this machine")],
)
def test_too_little_memory_is_told(
    kind: type[Exception],
    whose: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*arguments: Any) -> None:
        raise kind("out of memory")

    monkeypatch.setattr(single, "train_run", fail)
    assert main(["train", "a.png", "--class-noun", "mug"]) == 2
    error = capsys.readouterr().err
    assert f"the memory of {whose} is too small" in error
    assert "--gradient-checkpointing" in error and error.count("\n") == 2


def test_a_bug_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(single, "train_run", fail)
    with pytest.raises(ZeroDivisionError):
        main(["train", "a.png", "--class-noun", "mug"])
