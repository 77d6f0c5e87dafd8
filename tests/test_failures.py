"""A training that diverges: what is kept of it, and how a study goes on without it."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny import train_tiny

from pseudoword import study as studying
from pseudoword import train as loop
from pseudoword.artefact import load_run
from pseudoword.divergence import DivergedError, Divergence, Watch
from pseudoword.errors import UserError
from pseudoword.metrics.concepts import summarise_concepts
from pseudoword.progress import Silent
from pseudoword.report.across import write_summary
from pseudoword.report.markdown import write_markdown
from pseudoword.runs import read_json, write_json
from pseudoword.settings import GenerateSettings, StudySettings
from pseudoword.study import run_study
from pseudoword.toybox.photos import render_photo_set
from pseudoword.train import has_ended

CPU = torch.device("cpu")


@pytest.fixture
def late(monkeypatch: pytest.MonkeyPatch) -> None:
    """From the eighth step on, the learning rate is far too high."""
    usual = loop._set_rates

    def set_rates(optimizer: torch.optim.Optimizer, groups: Any, step: int, *rest: Any) -> None:
        usual(optimizer, groups, step, *rest)
        for group in optimizer.param_groups:
            group["lr"] *= 1e4 if step >= 7 else 1.0

    monkeypatch.setattr(loop, "_set_rates", set_rates)


@pytest.mark.usefixtures("late")
def test_the_last_sound_snapshot_is_kept(tiny_model: Path, tmp_path: Path) -> None:
    more = {"steps": 20, "snapshots": 10}
    with pytest.raises(DivergedError) as caught:
        train_tiny(tiny_model, "dreambooth", tmp_path, **more)
    # The eighth step spoils the snapshot after it, which shows in the ninth.
    run = json.loads((tmp_path / "run.json").read_text())
    assert run["diverged"]["step"] == 9 and run["snapshots"] == [2, 4, 6]
    assert "its loss rose from" in run["diverged"]["reason"]
    assert sorted(path.name for path in (tmp_path / "snapshots").iterdir()) == [
        "000002.safetensors",
        "000004.safetensors",
        "000006.safetensors",
    ]
    assert not (tmp_path / loop.ARTEFACT).exists()
    assert not (tmp_path / "checkpoint.safetensors").exists()
    told = str(caught.value)
    assert told.count("\n") == 1 and "by step 9" in told and "learning_rate" in told
    with pytest.raises(DivergedError) as again:
        has_ended(tmp_path)
    assert str(again.value) == told


@pytest.mark.usefixtures("late")
def test_a_run_that_diverged_is_drawn_with_only_as_asked(tiny_model: Path, tmp_path: Path) -> None:
    with pytest.raises(DivergedError):
        train_tiny(tiny_model, "dreambooth", tmp_path, steps=20, snapshots=10)
    assert load_run(tmp_path, CPU, step=6).choice.step == 6
    with pytest.raises(UserError, match=r"no end to draw with.*--checkpoint \(2, 4, 6\)"):
        load_run(tmp_path, CPU)
    with pytest.raises(UserError, match="those of 2, 4, 6"):
        load_run(tmp_path, CPU, step=20)


@pytest.mark.parametrize("loss", [math.nan, math.inf, -math.inf])
def test_a_loss_that_is_no_number(loss: float) -> None:
    with pytest.raises(Divergence, match="no finite number"):
        Watch().check_loss(1, loss)


@pytest.mark.parametrize(
    ("start", "loss", "diverged"),
    [(0.02, 9.0, False), (0.02, 11.0, True), (3.0, 29.0, False), (3.0, 31.0, True)],
)
def test_a_loss_has_blown_up_beyond_that_of_predicting_nothing(
    start: float, loss: float, diverged: bool
) -> None:
    watch = Watch()
    watch.start = torch.tensor(start)
    if diverged:
        with pytest.raises(Divergence, match="loss rose"):
            watch.check_loss(1, loss)
    else:
        watch.check_loss(1, loss)


def test_weights_that_are_no_numbers_reach_no_file(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = loop.Stepper.step

    def spoil(self: Any, optimizer: Any, parameters: Any) -> None:
        step(self, optimizer, parameters)
        with torch.no_grad():
            parameters[-1].view(-1)[0] = math.nan

    monkeypatch.setattr(loop.Stepper, "step", spoil)
    with pytest.raises(DivergedError, match="weights are no finite"):
        train_tiny(tiny_model, "lora", tmp_path, steps=3, snapshots=3)
    assert not list(tmp_path.rglob("*.safetensors"))


METHODS = ["textual-inversion", "lora"]


def settings() -> StudySettings:
    return StudySettings(
        class_noun="duck",
        methods=METHODS,
        seeds=2,
        effort="quick",
        pictures=1,
        strengths=[1.0],
        prompts=["a photo of a {}", "a photo of a {} in the snow"],
        options={
            "textual-inversion": {"steps": 6},
            "lora": {"steps": 6, "learning_rate": 1e6, "warmup_steps": 0},
        },
        generate=GenerateSettings(sampling_steps=2),
    )


class Notes(Silent):
    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    render_photo_set(1, folder, count=4)
    return folder


@pytest.fixture(scope="module")
def told() -> Notes:
    return Notes()


@pytest.fixture(scope="module")
def study(photos: Path, told: Notes, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """LoRA's trainings have nothing sound; the second one of Textual Inversion ends early."""
    out = tmp_path_factory.mktemp("out") / "study"
    train_into, check = studying.train_into, Watch.check_loss
    at_work: list[tuple[str, int]] = []

    def train(model: Any, method: Any, concept: Any, folder: Path, seed: int, *rest: Any) -> None:
        at_work.append((method.name, seed))
        train_into(model, method, concept, folder, seed, *rest)

    def check_loss(self: Watch, step: int, loss: float) -> None:
        check(self, step, loss)
        if at_work[-1] == ("textual-inversion", 1) and step == 5:
            raise Divergence(step, "its loss rose from 1 to 11")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(studying, "train_into", train)
        patch.setattr(Watch, "check_loss", check_loss)
        run_study([photos], settings(), out, told)
    return out


def test_the_study_goes_on_with_what_is_sound(study: Path, told: Notes) -> None:
    results = read_json(study / "results.json")
    assert list(results["methods"]) == ["textual-inversion"]
    assert set(results["selection"]) == set(results["verdict"]["p_best"]) == {"textual-inversion"}
    # The other training would have 4 and 6 as well.
    assert [row["step"] for row in results["selection"]["textual-inversion"]["candidates"]] == [2]
    failures = {(row["method"], row["seed"]): row for row in results["failures"]}
    assert set(failures) == {("textual-inversion", 1), ("lora", 0), ("lora", 1)}
    partial = failures["textual-inversion", 1]
    assert partial["takes_part"] and partial["step"] == 5 and "Step 2" in partial["text"]
    for seed in (0, 1):
        row = failures["lora", seed]
        assert not row["takes_part"] and "1e+06" in row["remedy"]
        assert not (study / "runs" / f"lora-s{seed}" / "images").exists()
    assert sum("diverged by step" in note for note in told.notes) == 3


def test_the_report_says_what_diverged(study: Path) -> None:
    page, text = (study / "report.html").read_text(), write_markdown(study).read_text()
    assert "LoRA diverged and is not compared" in page
    assert "Textual Inversion diverged</h3>" in page
    assert page.count("learning_rate, which is 1e+06") == 2
    wrong = text.split("## What went wrong")[1].split("\n## ")[0]
    assert wrong.count("diverged.**") == 3 and wrong.count("1e+06") == 2


def test_again_nothing_is_trained_again(
    study: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: Any) -> None:
        raise AssertionError("trained again")

    monkeypatch.setattr(studying, "train_into", refuse)
    first, again = (study / "results.json").read_text(), Notes()
    run_study([photos], settings(), study, again)
    assert (study / "results.json").read_text() == first
    assert sum("diverged by step" in note for note in again.notes) == 3


def test_a_summary_leaves_out_concepts_without_a_method(
    study: Path, small_study: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    small_study.rename(out / "whole")
    (out / "failed").symlink_to(study)
    found = summarise_concepts({name: out / name for name in ("failed", "whole")})
    assert set(found["methods"]) == {"textual-inversion", "lora", "dreambooth"}
    assert "diverged" in found["concepts"]["failed"]["left_out"]
    assert found["methods"]["textual-inversion"]["flags"]["diverged"]["in"] == ["failed"]
    write_json(out / "summary.json", {**found, "notes": [], "pseudoword": "0"})
    assert "A training diverged" in write_summary(out).read_text()


def test_nothing_sound_at_all_is_told(photos: Path, tmp_path: Path) -> None:
    alone = settings().model_copy(
        update={"methods": ["lora"], "seeds": 1, "options": {"lora": settings().options["lora"]}}
    )
    for _ in range(2):
        with pytest.raises(UserError, match="no method has a usable training") as caught:
            run_study([photos], alone, tmp_path / "out", Silent())
        assert str(caught.value).count("\n") == 1 and "1e+06" in str(caught.value)
