"""A small study that chooses: what is drawn with the choice, and what an interruption changes.

The tiny model draws noise, on which nothing could be chosen: so the scale is given, and the choice
falls on what is least like the default.
"""

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from pseudoword import selection
from pseudoword.artefact import load_run
from pseudoword.concept import load_concept
from pseudoword.drawing import draw_prompts
from pseudoword.metrics.candidates import Candidate, Cells, Scale
from pseudoword.metrics.stats import Resamples, resamples
from pseudoword.plan import Plan, make_plan
from pseudoword.progress import Silent
from pseudoword.prompts import custom_suite
from pseudoword.runs import read_json
from pseudoword.settings import GenerateSettings, StudySettings
from pseudoword.study import run_study
from pseudoword.toybox.photos import render_photo_set

PROMPTS = ["a photo of a {}", "a photo of a {} in the snow"]
DRAWING = GenerateSettings(sampling_steps=2)
ENCODERS = {f"{role}_encoder": f"toybox-{role}" for role in ("clip", "dino", "inception")}


def given_scale(
    untouched: Cells, ignoring: np.ndarray, ceiling: np.ndarray, edit: np.ndarray, seeds: int
) -> Scale:
    sampled = resamples(seeds, (~edit).astype(np.int64), draws=0)
    nothing = np.zeros(len(sampled.seeds))
    return Scale(nothing - 1, 1.0, nothing - 1, nothing + 1, edit, sampled)


def least_preferred(candidates: Sequence[Candidate], sampled: Resamples) -> Candidate:
    return candidates[-1]


@pytest.fixture(scope="module", autouse=True)
def _given_choice() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(selection, "find_scale", given_scale)
        patch.setattr(selection, "choose", least_preferred)
        yield


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    render_photo_set(1, folder, count=4)
    # The truth of a toy would be scored too, which takes longer than all the rest.
    (folder / "toy.json").unlink()
    return folder


def settings(model: Path, **changes: Any) -> StudySettings:
    usual: dict[str, Any] = {
        "model": str(model),
        **ENCODERS,
        "class_noun": "duck",
        "methods": ["textual-inversion", "lora"],
        "seeds": 2,
        "effort": "quick",
        "pictures": 1,
        "prompts": PROMPTS,
        "strengths": [0.5],
        "options": {name: {"steps": 2} for name in ("textual-inversion", "lora")},
        "generate": DRAWING,
    }
    return StudySettings(**(usual | changes))


@pytest.fixture(scope="module")
def study(photos: Path, tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("out") / "study"
    run_study([photos], settings(tiny_model), out, Silent())
    return out


def read(path: Path) -> Any:
    return read_json(path)


def test_the_choice_and_its_candidates_are_told(study: Path) -> None:
    found = read(study / "results.json")["selection"]
    assert found == read(study / "selection.json")
    for name, strength, tried in (
        ("textual-inversion", 1.0, [(1, 1.0), (2, 1.0)]),
        ("lora", 0.5, [(1, 0.5), (1, 1.0), (2, 1.0)]),
    ):
        row = found[name]
        assert (row["checkpoint"], row["strength"], row["problem"]) == (1, strength, None)
        assert [(c["step"], c["strength"]) for c in row["candidates"]] == tried
        assert [c["chosen"] for c in row["candidates"]] == [True, *[False] * (len(tried) - 1)]
        for seed in (0, 1):
            assert read(study / f"runs/{name}-s{seed}/chosen.json") == {
                "step": 1,
                "artefact": "snapshots/000001.safetensors",
                "strength": strength,
            }


def test_final_pictures_are_drawn_as_was_chosen(study: Path, tmp_path: Path) -> None:
    run = study / "runs" / "lora-s1"
    loaded = load_run(run, torch.device("cpu"), step=1, strength=0.5)
    suite = custom_suite(PROMPTS)
    phrase = loaded.noun_phrase
    draw_prompts(loaded.model, phrase, suite, [0], DRAWING, tmp_path, "again", Silent())
    for path in (tmp_path / "images").iterdir():
        assert path.read_bytes() == (run / "images" / path.name).read_bytes()


def test_final_prompts_and_seeds_are_drawn_once(study: Path) -> None:
    record = read(study / "study.json")
    validation = record["validation"]
    assert validation["disjoint"] and len(validation["prompts"]) == 4
    assert not set(PROMPTS) & {prompt["template"] for prompt in validation["prompts"]}
    seeds = [record[key]["image_seeds"] for key in ("validation", "drift")]
    seeds.append(record["image_seeds"])
    assert len({seed for group in seeds for seed in group}) == sum(map(len, seeds))
    for path in study.glob("runs/*/validation/**/*.png"):
        assert int(path.stem.split("-")[1]) in validation["image_seeds"]


def test_validation_pictures_count_through_the_choice_alone(
    study: Path, photos: Path, tiny_model: Path, tmp_path: Path
) -> None:
    out = tmp_path / "study"
    shutil.copytree(study, out)
    for path in out.glob("runs/*/validation/**/*.png"):
        Image.new("RGB", (32, 32), "white").save(path)
    run_study([photos], settings(tiny_model), out, Silent())
    assert read(out / "results.json") == read(study / "results.json")


class KilledError(Exception):
    """Stands for a power cut."""


def test_interrupted_anywhere_it_chooses_and_draws_the_same(
    study: Path,
    photos: Path,
    tiny_model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Killed while candidates draw, between choosing and drawing, and while strengths draw."""
    out = tmp_path / "study"
    shutil.copytree(study, out)
    for path in [*out.glob("selection.json"), *out.glob("runs/*/chosen.json")]:
        path.unlink()
    for path in [*out.glob("runs/*-s*/done"), *out.glob("runs/*-s*/images/*")]:
        path.unlink()
    lost = [*out.glob("runs/lora-s1/validation/*/images/*")]
    assert len(lost) == 12
    for path in lost:
        path.unlink()
    usual, calls = selection.draw_prompts, []

    def fail_at(call: int) -> None:
        def draw(*given: Any) -> None:
            calls.append(given)
            if len(calls) == call:
                raise KilledError
            usual(*given)

        calls.clear()
        monkeypatch.setattr(selection, "draw_prompts", draw)

    # The untouched model comes first; then two checkpoints and a strength are to be drawn.
    for call in (3, 3):
        fail_at(call)
        with pytest.raises(KilledError):
            run_study([photos], settings(tiny_model), out, Silent())
        assert not (out / "selection.json").exists()
    fail_at(0)
    run_study([photos], settings(tiny_model), out, Silent())
    for kind in ("selection.json", "results.json", "runs/*/chosen.json", "runs/*/**/*.png"):
        wanted = {p.relative_to(study): p.read_bytes() for p in study.glob(kind)}
        assert wanted and wanted == {p.relative_to(out): p.read_bytes() for p in out.glob(kind)}


def test_what_is_not_chosen_is_the_end_at_strength_1(
    photos: Path, tiny_model: Path, tmp_path: Path
) -> None:
    few = {"methods": ["lora"], "seeds": 1, "options": {"lora": {"steps": 2}}}
    wanted = settings(tiny_model, select=False, strengths=[], **few)
    out = tmp_path / "study"
    row = run_study([photos], wanted, out, Silent())["selection"]["lora"]
    assert (row["checkpoint"], row["strength"], len(row["candidates"])) == (2, 1.0, 1)
    assert row["candidates"][0]["overall"]["value"] is None and "not to choose" in row["problem"]
    assert not list(out.glob("runs/*/validation")) and list(out.glob("runs/*/drift"))
    assert read(out / "runs/lora-s0/chosen.json") == {
        "step": 2,
        "artefact": "artefact.safetensors",
        "strength": 1.0,
    }


def plan(photos: Path, tmp_path: Path, **changes: Any) -> Plan:
    wanted = settings(Path("toybox"), **changes)
    concept = load_concept([photos], wanted.class_noun, 128)
    return make_plan(wanted, concept, None, tmp_path, torch.device("cpu"))


def test_one_photo_gives_no_scale(photos: Path, tmp_path: Path) -> None:
    assert plan(photos, tmp_path).trial.obstacle is None
    assert "one photo" in str(plan(photos / "00.png", tmp_path).trial.obstacle)


def test_prompts_of_ones_own_are_not_chosen_on(photos: Path, tmp_path: Path) -> None:
    own = ["A {}", "a photo of a {} on the moon", "a photo of a {} wearing a  yellow hat"]
    trial = plan(photos, tmp_path, prompts=own).trial
    left = ["a pixel art picture of a {}"]
    assert [prompt.template for prompt in trial.prompts] == left
    assert len(trial.removed) == 3 and trial.obstacle is None
    trial = plan(photos, tmp_path, prompts=[*own, *left]).trial
    assert trial.prompts == () and "no validation prompt" in str(trial.obstacle)
