"""A small study from photos to report, and what running it again does."""

import json
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from pseudoword.errors import UserError
from pseudoword.progress import Silent
from pseudoword.prompts import custom_suite
from pseudoword.report.write import write_report
from pseudoword.runs import read_json, write_json
from pseudoword.settings import GenerateSettings, StudySettings, read_config
from pseudoword.study import run_study
from pseudoword.toybox.photos import SIZE, render_photo_set

METHODS = ("textual-inversion", "dreambooth", "lora")
PROMPTS = ["a photo of a {}", "a photo of a {} in the snow", "a purple {}"]


def settings(**changes: object) -> StudySettings:
    usual: dict[str, object] = {
        "class_noun": "duck",
        "seeds": 2,
        "effort": "quick",
        "prompts": PROMPTS,
        "strengths": [0.5, 1.0],
        "options": {name: {"steps": 2} for name in METHODS},
        "generate": GenerateSettings(sampling_steps=2),
    }
    usual["options"]["dreambooth"]["prior_pictures"] = 4  # type: ignore[index]
    return StudySettings(**(usual | changes))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    render_photo_set(1, folder, count=5)
    return folder


@pytest.fixture(scope="module")
def study(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("out") / "study"
    run_study([photos], settings(), out, Silent())
    return out


def test_the_folder_holds_the_contract(study: Path) -> None:
    results = json.loads((study / "results.json").read_text())
    assert set(results["methods"]) == set(METHODS)
    for found in [*results["methods"].values(), results["base_model"]]:
        assert {"dino", "clip_i", "clip_t", "fid_basic", "kid_edit"} <= set(found["scores"])
        assert set(found["scores"]["dino"]) >= {"value", "low", "high", "n"}
    for found in results["methods"].values():
        assert set(found["cost"]) == {
            "seconds",
            "peak_memory_bytes",
            "trainable_parameters",
            "artefact_bytes",
        }
    assert set(results["verdict"]["p_best"]) == set(METHODS)
    assert {"dino", "clip_i"} <= set(results["ceiling"])
    record = json.loads((study / "study.json").read_text())
    assert [photo["held_out"] for photo in record["photos"]].count(True) == 1
    assert (study / "report.html").stat().st_size > 50_000
    for method in METHODS:
        for seed in (0, 1):
            folder = study / "runs" / f"{method}-s{seed}"
            assert (folder / "done").exists() and (folder / "artefact.safetensors").exists()
            assert len(list((folder / "images").iterdir())) == len(PROMPTS) * 2


def test_what_is_chosen_is_drawn_with(study: Path) -> None:
    results = json.loads((study / "results.json").read_text())
    assert set(results["selection"]) == set(METHODS)
    for name, row in results["selection"].items():
        tried = {(found["step"], found["strength"]) for found in row["candidates"]}
        (chosen,) = (found for found in row["candidates"] if found["chosen"])
        best = (row["checkpoint"], row["strength"])
        assert (chosen["step"], chosen["strength"]) == best and row["problem"] is None
        weak = set() if name == "textual-inversion" else {(row["checkpoint"], 0.5)}
        assert tried == {(1, 1.0), (2, 1.0)} | weak
        for found in row["candidates"]:
            assert set(found["overall"]) == {"value", "low", "high"}
            reached = [max(0, found[key]["value"]) for key in ("fidelity", "adherence")]
            assert found["overall"]["value"] == pytest.approx(reached[0] * reached[1])
        for seed in (0, 1):
            run = study / "runs" / f"{name}-s{seed}"
            told = json.loads((run / "chosen.json").read_text())
            assert (told["step"], told["strength"]) == best and (run / told["artefact"]).is_file()
            for step, strength in tried:
                folder = run / "validation" / (f"{step}" if strength == 1 else f"{step}-x0.5")
                assert len(list((folder / "images").iterdir())) == len(row["prompts"])


def test_what_chooses_does_not_judge(study: Path) -> None:
    record = json.loads((study / "study.json").read_text())
    validation = record["validation"]
    assert validation["disjoint"] is True
    assert not {p["template"] for p in validation["prompts"]} & set(PROMPTS)
    seeds = [record["image_seeds"], validation["image_seeds"], record["drift"]["image_seeds"]]
    assert len({seed for group in seeds for seed in group}) == sum(map(len, seeds))
    frame = pd.read_parquet(study / "scores.parquet")
    assert set(frame["image_seed"]) == set(record["image_seeds"])
    assert not frame["file"].str.contains("validation|drift").any()


def test_pictures_without_the_concept(study: Path) -> None:
    results = json.loads((study / "results.json").read_text())
    prompts, seeds = results["drift"]["prompts"], results["drift"]["image_seeds"]
    assert [prompt["kind"] for prompt in prompts] == ["class", "other", "other", "other"]
    assert prompts[0]["text"] == "a photo of a duck"
    assert not any("duck" in prompt["text"] for prompt in prompts[1:])
    names = {f"{prompt['id']}-{seed}.png" for prompt in prompts for seed in seeds}
    for run in (study / "runs").iterdir():
        assert {path.name for path in (run / "drift").iterdir()} == names
    for name in METHODS:
        assert results["methods"][name]["scores"]["drift"]["value"] >= 0
        assert results["methods"][name]["scores"]["pres"]["value"] is not None


def test_kinds_of_prompts_are_kept_apart(study: Path) -> None:
    results = json.loads((study / "results.json").read_text())
    frame = pd.read_parquet(study / "scores.parquet")
    own = frame[(frame["method"] == "lora") & (frame["metric"] == "clip_t")]
    found = results["methods"]["lora"]["by_kind"]
    assert set(found) == set(own["kind"]) == {"basic", "setting"}
    for kind, rows in own.groupby("kind"):
        assert found[kind]["clip_t"]["value"] == pytest.approx(rows["value"].mean())
        assert found[kind]["clip_t"]["n"] == len(rows)


def test_its_settings_file_asks_for_the_same_study(study: Path) -> None:
    again = StudySettings.model_validate(read_config(study / "settings.yaml"))
    same = {"suite": "auto", "prompts": again.prompts}
    assert again == settings().model_copy(update=same)
    prompts = [vars(prompt) for prompt in custom_suite(again.prompts)]
    assert prompts == json.loads((study / "study.json").read_text())["prompts"]


def test_scores_have_a_row_an_image_and_metric(study: Path) -> None:
    frame = pd.read_parquet(study / "scores.parquet")
    metrics = {"dino", "dino_train", "clip_i", "clip_i_train", "clip_t", "nearest", "copied"}
    metrics |= {"right_toy", "right_scene", "right_both", "doubles_beaten", "truth_likeness"}
    assert set(frame["metric"]) == metrics | {"clip_dir"}
    runs = 1 + 2 * len(METHODS)
    edits = len(PROMPTS) - 1
    assert len(frame) == (len(metrics) * len(PROMPTS) + edits) * 2 * runs
    assert not frame.duplicated(["file", "metric"]).any()
    assert np.isfinite(frame["value"]).all()


def test_a_toy_brings_its_truth(study: Path) -> None:
    for prompt in ("00", "01", "02"):
        with Image.open(study / "truth" / f"{prompt}-0.png") as picture:
            assert picture.size == (SIZE, SIZE)
    results = json.loads((study / "results.json").read_text())
    assert results["base_model"]["scores"]["kid_edit"]["value"] is not None
    assert results["base_model"]["scores"]["kid_truth"]["value"] > 0
    # The oracle recognises true renders far better than what few steps have taught.
    for name in ("right_toy", "right_scene", "truth_likeness"):
        reached = results["methods"]["lora"]["scores"][name]
        assert reached["value"] < results["ceiling"][name]["value"] and reached["n"] == 12
    assert results["metrics"]["right_toy"]["encoder"] == "toybox-oracle"
    record = json.loads((study / "study.json").read_text())
    assert len(record["encoders"]["oracle"]["sha256"]) == 64
    page = (study / "report.html").read_text()
    assert "Right toy" in page and "known for toys only" in page


def test_without_a_rendered_prompt_there_is_no_truth(photos: Path, tmp_path: Path) -> None:
    few = {"methods": ["lora"], "seeds": 1, "options": {"lora": {"steps": 2}}}
    results = run_study(
        [photos],
        settings(prompts=["a photo of a {}", "Elmo holding a {}"], pictures=1, **few),
        tmp_path / "study",
        Silent(),
    )
    assert "right_toy" not in results["metrics"] and "kid_truth" not in results["metrics"]
    notes = json.loads((tmp_path / "study" / "study.json").read_text())["notes"]
    assert any("Elmo" in note and "truth" in note for note in notes)


def test_again_does_nothing_again(study: Path, photos: Path) -> None:
    before = {p: p.stat().st_mtime_ns for p in (study / "runs").rglob("*") if p.is_file()}
    first = (study / "results.json").read_text()
    run_study([photos], settings(), study, Silent())
    after = {p: p.stat().st_mtime_ns for p in (study / "runs").rglob("*") if p.is_file()}
    assert before == after
    assert (study / "results.json").read_text() == first


def test_a_finished_study_loads_no_model_and_opens_no_picture(
    study: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError("a finished study needs nothing of this")

    for place in ("study.load_model", "study.Judges.load", "evaluate.open_picture"):
        monkeypatch.setattr(f"pseudoword.{place}", never)
    expected = read_json(study / "results.json")
    assert run_study([photos], settings(), study, Silent()) == expected


def test_a_picture_that_was_removed_is_drawn_again(study: Path, photos: Path) -> None:
    picture = study / "runs/base-model/images/00-0.png"
    before, scores = picture.read_bytes(), (study / "scores.parquet").read_bytes()
    picture.unlink()
    run_study([photos], settings(), study, Silent())
    assert picture.read_bytes() == before
    assert (study / "scores.parquet").read_bytes() == scores


def test_scores_that_are_damaged_are_told_and_removed_made_again(study: Path, photos: Path) -> None:
    scores, results = study / "scores.parquet", read_json(study / "results.json")
    whole = scores.read_bytes()
    scores.write_bytes(whole[:100] + bytes([whole[100] ^ 1]) + whole[101:])
    with pytest.raises(UserError, match=r"scores\.parquet is damaged .*\nremove it and run"):
        write_report(study)
    scores.unlink()
    assert run_study([photos], settings(), study, Silent()) == results
    assert scores.read_bytes() == whole


def test_results_of_another_study_are_told(study: Path, photos: Path) -> None:
    results = read_json(study / "results.json")
    assert results["identity"] == (study / "identity.sha256").read_text()
    write_json(study / "results.json", results | {"identity": "0" * 64}, sealed=True)
    again = partial(run_study, [photos], settings(), study, Silent())
    for read in (again, partial(write_report, study)):
        with pytest.raises(
            UserError, match=r"results\.json belongs to another study .*\nremove it"
        ):
            read()
    write_json(study / "results.json", results, sealed=True)


@pytest.mark.parametrize(
    "name",
    ["runs/lora-s1/chosen.json", "photos/00.png", "truth/02-7.png", "identity.json"],
)
def test_what_was_removed_beside_pictures_is_written_again(
    name: str, study: Path, photos: Path
) -> None:
    before = (study / name).read_bytes()
    (study / name).unlink()
    run_study([photos], settings(), study, Silent())
    assert (study / name).read_bytes() == before


def test_scores_of_an_older_version_do_not_count_after_an_interruption(
    study: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record, results = read_json(study / "study.json"), read_json(study / "results.json")
    write_json(study / "study.json", record | {"pseudoword": "0"}, sealed=True)
    write_json(study / "results.json", {"of": "version 0"}, sealed=True)
    with monkeypatch.context() as patched:
        patched.setattr("pseudoword.study.score_study", interrupted)
        with pytest.raises(KeyboardInterrupt):
            run_study([photos], settings(), study, Silent())
    run_study([photos], settings(), study, Silent())
    assert read_json(study / "results.json").keys() == results.keys()


def interrupted(*_: object) -> None:
    raise KeyboardInterrupt


def test_a_lost_run_is_made_again_to_the_pixel(study: Path, photos: Path) -> None:
    folder = study / "runs" / "lora-s1"
    before = {p.name: p.read_bytes() for p in (folder / "images").iterdir()}
    for path in [*(folder / "images").iterdir(), folder / "run.json", folder / "done"]:
        path.unlink()
    run_study([photos], settings(), study, Silent())
    assert before == {p.name: p.read_bytes() for p in (folder / "images").iterdir()}


def test_other_settings_are_refused(study: Path, photos: Path) -> None:
    with pytest.raises(UserError, match="other settings"):
        run_study([photos], settings(seeds=3), study, Silent())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"methods": ["lora", "magic"], "options": {}}, "magic is not a method"),
        ({"methods": []}, "no method"),
        ({"methods": ["lora", "lora"], "options": {}}, "twice"),
        ({"model": "sd-99"}, "sd-99 is not known"),
        ({"prompts": ["a photo of nothing"]}, "{}"),
        ({"suite": "unknown", "prompts": []}, "unknown"),
        ({"options": {"lora": {"rank": 0}}}, "rank"),
        ({"options": {"lora": {"colour": 1}}}, "colour"),
        ({"device": "cuda:99"}, "cuda:99"),
        ({"clip_encoder": "nothing"}, "--clip-encoder nothing"),
        ({"clip_encoder": "toybox-dino"}, "--clip-encoder toybox-dino"),
        ({"suite": "classic"}, "exclude each other"),
        ({"select": False}, "--no-select"),
    ],
)
def test_mistakes_are_told_before_work(
    change: dict[str, object], message: str, photos: Path, tmp_path: Path
) -> None:
    with pytest.raises(UserError) as caught:
        run_study([photos], settings(**change), tmp_path / "out", Silent())
    assert message in str(caught.value) and str(caught.value).count("\n") <= 1
    assert not (tmp_path / "out").exists()


def test_an_out_folder_that_is_a_file(photos: Path, tmp_path: Path) -> None:
    path = tmp_path / "taken"
    path.write_text("mine")
    with pytest.raises(UserError, match="is a file"):
        run_study([photos], settings(), path, Silent())
    assert path.read_text() == "mine"
