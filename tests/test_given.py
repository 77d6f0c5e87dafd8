"""Artefacts of other trainers beside the methods of a study, and measured alone."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from foreign_files import ATTENTION, Chance, layers, write_kohya
from safetensors.torch import save_file
from tiny import load_tiny

from pseudoword.cli import main
from pseudoword.errors import UserError
from pseudoword.foreign.given import parse_artefact
from pseudoword.foreign.load import put_given
from pseudoword.generate import Request, generate
from pseudoword.progress import Silent
from pseudoword.runs import read_json
from pseudoword.settings import GenerateSettings, StudySettings
from pseudoword.study import run_study
from pseudoword.toybox.photos import render_photo_set

PROMPTS = ["a photo of a {}", "a photo of a {} in the snow", "a purple {}"]
DRAWING = GenerateSettings(sampling_steps=2)
ENCODERS = {f"{role}_encoder": f"toybox-{role}" for role in ("clip", "dino", "inception")}


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    render_photo_set(1, folder, count=5)
    return folder


@pytest.fixture(scope="module")
def files(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A LoRA in kohya's form and an embedding of A1111's, for the tiny model."""
    folder = tmp_path_factory.mktemp("files")
    model = load_tiny(tiny_model)
    named = {
        f"lora_unet_{name}".replace(".", "_"): layer
        for name, layer in layers(model.denoiser, ATTENTION).items()
    }
    write_kohya(folder / "My Duck.safetensors", named, chance=Chance(scale=0.3))
    table = model.text_encoders[0].get_input_embeddings().weight
    save_file({"emb_params": table[5:7].clone()}, folder / "duck.safetensors")
    return folder


def settings(model: Path, files: Path, **changes: Any) -> StudySettings:
    usual: dict[str, Any] = {
        "model": str(model),
        **ENCODERS,
        "class_noun": "duck",
        "methods": ["lora"],
        "seeds": 2,
        "effort": "quick",
        "pictures": 1,
        "prompts": PROMPTS,
        "options": {"lora": {"steps": 2}},
        "generate": DRAWING,
        "artefacts": [
            f"red duck={files / 'My Duck.safetensors'}@0.5",
            f"<duck>={files / 'duck.safetensors'}",
        ],
    }
    return StudySettings(**(usual | changes))


@pytest.fixture(scope="module")
def study(
    tiny_model: Path, photos: Path, files: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    out = tmp_path_factory.mktemp("out") / "study"
    run_study([photos], settings(tiny_model, files), out, Silent())
    return out


@pytest.fixture(scope="module")
def plain(
    tiny_model: Path, photos: Path, files: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The same study without the artefacts."""
    out = tmp_path_factory.mktemp("out") / "plain"
    run_study([photos], settings(tiny_model, files, artefacts=[]), out, Silent())
    return out


def compared(results: dict[str, Any]) -> dict[str, Any]:
    for method in results["methods"].values():
        del method["cost"]
    # Which artefacts there are belongs to what a study is.
    del results["given"], results["identity"]
    return results


def test_the_comparison_of_methods_stays_as_it_is(study: Path, plain: Path) -> None:
    found, wanted = (read_json(f / "results.json") for f in (study, plain))
    assert wanted["given"] == [] and len(found["given"]) == 2
    assert compared(found) == compared(wanted)


def test_results_hold_scores_and_paired_differences(study: Path, files: Path) -> None:
    lora, word = json.loads((study / "results.json").read_text())["given"]
    assert (lora["name"], word["name"]) == ("given-my-duck", "given-duck")
    assert (lora["title"], lora["phrase"]) == ("My Duck.safetensors at 0.5", "red duck")
    assert lora["sha256"] == parse_artefact(f"x={files / 'My Duck.safetensors'}").sha256
    assert word["bytes"] == (files / "duck.safetensors").stat().st_size
    frame = pd.read_parquet(study / "scores.parquet").query("metric == 'dino'")
    cells = {
        name: rows.groupby("prompt_id")["value"].mean() for name, rows in frame.groupby("method")
    }
    for row in (lora, word):
        score = row["scores"]["dino"]
        assert score["value"] == pytest.approx(cells[row["name"]].mean()) and score["n"] == 3
        assert score["low"] < score["value"] < score["high"]
        assert {"clip_t", "right_toy", "kid_edit"} <= set(row["scores"])
        found = {d["b"]: d for d in row["differences"] if d["metric"] == "dino"}
        assert set(found) == {"lora", "base_model"}
        for other, difference in found.items():
            mean = (cells[row["name"]] - cells[other]).mean()
            assert difference["value"] == pytest.approx(mean)
            assert difference["low"] < mean < difference["high"]


def test_pictures_are_those_of_the_artefact(tiny_model: Path, study: Path, files: Path) -> None:
    from PIL import Image

    given = parse_artefact(f"red duck={files / 'My Duck.safetensors'}@0.5")
    loaded = put_given(load_tiny(tiny_model), given)
    wanted = [Request(p.replace("{}", "red duck"), 0) for p in PROMPTS]
    for index, pixels in enumerate(generate(loaded.model, wanted, DRAWING)):
        with Image.open(study / "runs" / "given-my-duck" / "images" / f"0{index}-0.png") as image:
            assert np.array_equal(np.asarray(image), pixels)
        with Image.open(study / "runs" / "base-model" / "images" / f"0{index}-0.png") as image:
            assert not np.array_equal(np.asarray(image), pixels)


def test_the_report_shows_them(study: Path) -> None:
    page = (study / "report.html").read_text()
    for part in ("My Duck.safetensors at 0.5", "red duck", "takes no part in the verdict"):
        assert part in page


def test_another_file_is_another_study(
    tiny_model: Path, study: Path, photos: Path, files: Path
) -> None:
    before = (study / "results.json").read_text()
    run_study([photos], settings(tiny_model, files), study, Silent())
    assert (study / "results.json").read_text() == before
    with pytest.raises(UserError, match="other settings"):
        one = settings(tiny_model, files).artefacts[:1]
        run_study([photos], settings(tiny_model, files, artefacts=one), study, Silent())


def test_evaluate_needs_no_study(
    tiny_model: Path, photos: Path, files: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    command = [
        "evaluate",
        "--references",
        str(photos),
        "--class-noun",
        "duck",
        "--prompt",
        "a photo of a {} in the snow",
        *("--model", str(tiny_model), "--clip-encoder", "toybox-clip"),
        *("--dino-encoder", "toybox-dino", "--inception-encoder", "toybox-inception"),
        "--pictures",
        "2",
        "--sampling-steps",
        "2",
        "--artefact",
        f"red duck={files / 'My Duck.safetensors'}",
        "--out",
        str(out),
    ]
    assert main(command) == 0
    text = capsys.readouterr().out
    assert "My Duck.safetensors" in text and "untouched model" in text
    results = read_json(out / "evaluation.json")
    assert results["given"][0]["scores"]["clip_t"]["n"] == 2
    assert [d["b"] for d in results["given"][0]["differences"]][:1] == ["base_model"]
    assert {"dino", "clip_i"} <= set(results["ceiling"]) and results["base_model"]["scores"]
    images = {p: p.stat().st_mtime_ns for p in (out / "runs").rglob("*.png")}
    assert len(images) == 4
    assert main([*command, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == results
    assert images == {p: p.stat().st_mtime_ns for p in (out / "runs").rglob("*.png")}


def test_a_file_for_another_model_is_told_before_training(
    tiny_model: Path, photos: Path, tmp_path: Path
) -> None:
    save_file(
        {"lora_te2_x.alpha": torch.ones(()), "b": torch.ones(2, 2, 2)}, tmp_path / "m.safetensors"
    )
    with pytest.raises(UserError, match="fit nothing in"):
        run_study(
            [photos],
            settings(tiny_model, tmp_path, artefacts=[f"mug={tmp_path / 'm.safetensors'}"]),
            tmp_path / "out",
            Silent(),
        )
    assert not (tmp_path / "out" / "runs" / "lora-s0").exists()
