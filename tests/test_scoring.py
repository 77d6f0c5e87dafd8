"""The pictures of a small study scored with the toybox's encoders."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from synthetic_study import draw

from pseudoword.concept import load_concept, save_photos
from pseudoword.errors import UserError
from pseudoword.evaluate import Judges, score_pictures
from pseudoword.forgetting import measure_drift
from pseudoword.logs import losses_sha256
from pseudoword.metrics.distances import directional_cosine, mean_cosine_to
from pseudoword.metrics.drift import same_seed_drift
from pseudoword.prompts import DriftPrompt, Prompt, fill
from pseudoword.runs import drift_path, picture_path, read_json, write_atomic, write_json
from pseudoword.scoring import Scored, score_study

SIZE, IMAGE_SEEDS = 64, (0, 1)
PROMPTS = (
    Prompt("00", "a photo of a {} in the snow", "setting"),
    Prompt("01", "a photo of a {}", "basic"),
    Prompt("02", "a pencil sketch of a {}", "style"),
)
DRIFT = (
    DriftPrompt("c0", "a photo of a {}", "class", "a photo of a mug"),
    DriftPrompt("o0", "a photo of a {}", "other", "a photo of a tree"),
)


class Silent:
    def note(self, text: str) -> None: ...

    def update(self, task: str, done: int, total: int, detail: str = "") -> None: ...


def save(path: Path, picture: Image.Image) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.save(path)


def draw_run(folder: Path, likeness: float, noise: int) -> None:
    for prompt in PROMPTS:
        for seed in IMAGE_SEEDS:
            path = picture_path(folder, prompt.id, seed)
            save(path, draw(likeness, int(prompt.id), noise + seed, SIZE))
    for prompt in DRIFT:
        for seed in IMAGE_SEEDS:
            save(drift_path(folder, prompt.id, seed), draw(likeness, 5, 50 + noise + seed, SIZE))
    write_json(folder / "run.json", {"cost": {"seconds": 1.0, "peak_memory_bytes": 1.0}})
    write_atomic(folder / "log.jsonl", '{"step": 10, "loss": 0.1}\n')


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Scored:
    out = tmp_path_factory.mktemp("study")
    for index in range(4):
        save(out / "given" / f"{index}.png", draw(1.0, index % 3, 100 + index, SIZE))
    concept = load_concept([out / "given"], "mug", SIZE)
    save_photos(concept, out)
    runs = {("lora", seed): out / "runs" / f"lora-s{seed}" for seed in (0, 1)}
    draw_run(out / "runs" / "base-model", 0.0, 0)
    for (_, seed), folder in runs.items():
        draw_run(folder, 0.6, 10 * seed)
    # One picture is a training photo, to the last pixel.
    copy = next(i for i, photo in enumerate(concept.photos) if not photo.held_out)
    photo = Image.open(out / "photos" / f"{copy:02d}.png")
    save(picture_path(runs["lora", 1], "02", 1), photo)
    return Scored(
        out=out,
        identity="",
        concept=concept,
        prompts=PROMPTS,
        image_seeds=IMAGE_SEEDS,
        titles={"lora": "LoRA"},
        runs=runs,
        base=out / "runs" / "base-model",
        drift=DRIFT,
        drift_seeds=IMAGE_SEEDS,
    )


@pytest.fixture(scope="module")
def judges() -> Judges:
    return Judges.load({r: f"toybox-{r}" for r in ("clip", "dino", "inception")}, "cpu", None)


@pytest.fixture(scope="module")
def results(study: Scored, judges: Judges) -> dict[str, Any]:
    return score_study(study, judges, Silent())


def opened(paths: Sequence[Path]) -> list[Image.Image]:
    return [Image.open(path).convert("RGB") for path in paths]


def test_all_metrics_that_the_study_can_have_are_there(results: dict[str, Any]) -> None:
    scores, base = results["methods"]["lora"]["scores"], results["base_model"]["scores"]
    sets = [
        f"{name}_{g}"
        for name in ("fid", "kid", "fd_dino", "scd", "cmmd")
        for g in ("basic", "edit")
    ]
    assert set(scores) == {
        "dino", "dino_train", "clip_i", "clip_i_train", "clip_t", "clip_dir", "nearest", "copied",
        "diversity", "lpips", *sets, "vendi", "pres", "drift",
    }  # fmt: skip
    assert set(base) == set(scores) - {"drift"}
    assert all(score["value"] is not None for score in scores.values())
    assert set(results["metrics"]) == set(scores)
    assert scores["diversity"]["value"] > 0 and scores["lpips"]["value"] > 0
    assert 1 < scores["vendi"]["value"] < scores["vendi"]["n"] == 6


def test_a_copied_photo_is_counted_and_shown(study: Scored, results: dict[str, Any]) -> None:
    assert results["methods"]["lora"]["scores"]["copied"]["value"] >= 1 / 12
    found = results["copying"]["lora"]
    first = found["pairs"][0]
    place = (first["seed"], first["prompt_id"], first["image_seed"])
    assert place == (1, "02", 1)
    assert first["value"] == pytest.approx(1, abs=1e-6) and first["value"] > found["limit"]
    copied = Image.open(picture_path(study.runs["lora", 1], "02", 1))
    assert np.array_equal(Image.open(study.out / first["photo"]), copied)
    assert set(results["copying"]) == {"lora", "base_model"}
    assert results["base_model"]["scores"]["copied"]["value"] == 0


def test_directions_start_at_the_same_training_and_seed(
    study: Scored, judges: Judges, results: dict[str, Any]
) -> None:
    import pandas as pd

    frame = pd.read_parquet(study.out / "scores.parquet")
    frame = frame[(frame["metric"] == "clip_dir") & (frame["method"] == "lora")]
    assert set(frame["prompt_id"]) == {"00", "02"} and len(frame) == 8
    row = frame[(frame["seed"] == 1) & (frame["prompt_id"] == "00") & (frame["image_seed"] == 1)]
    folder = study.runs["lora", 1]
    ends = judges.embed("clip", opened([picture_path(folder, p, 1) for p in ("00", "01")]))
    words = judges.encoders["clip"].embed_texts([fill(p.template, "mug") for p in PROMPTS[:2]])
    expected = directional_cosine(ends[:1], ends[1:], words[:1], words[1:])
    assert row["value"].item() == pytest.approx(expected[0], abs=1e-4)


def test_prior_leak_is_measured_on_its_own_prompts(
    study: Scored, judges: Judges, results: dict[str, Any]
) -> None:
    def pictures(folder: Path, prompt_id: str) -> np.ndarray:
        paths = [drift_path(folder, prompt_id, seed) for seed in IMAGE_SEEDS]
        return judges.embed("dino", opened(paths))

    photos = judges.embed("dino", [Image.fromarray(p.pixels) for p in study.concept.photos])
    scores = results["methods"]["lora"]["scores"]
    pres = [mean_cosine_to(pictures(folder, "c0"), photos) for folder in study.runs.values()]
    assert scores["pres"]["value"] == pytest.approx(np.mean(pres), abs=1e-4)
    drift = {
        kind: np.mean(
            [
                same_seed_drift(pictures(study.base, prompt_id), pictures(folder, prompt_id))
                for folder in study.runs.values()
            ]
        )
        for kind, prompt_id in (("class", "c0"), ("other", "o0"))
    }
    assert scores["drift"]["kinds"] == pytest.approx(drift, abs=1e-4)
    assert scores["drift"]["value"] == pytest.approx(np.mean(list(drift.values())), abs=1e-4)


def test_a_damaged_log_is_told(study: Scored, judges: Judges) -> None:
    log = study.runs["lora", 0] / "log.jsonl"
    whole = log.read_text()
    for damaged in (whole[:-5], whole.replace("loss", "moss"), "\0"):
        log.write_text(damaged)
        with pytest.raises(UserError, match=r"log\.jsonl is not readable"):
            score_study(study, judges, Silent())
    record = log.with_name("run.json")
    told = read_json(record)
    write_json(record, {**told, "losses_sha256": losses_sha256([(10, 0.1)])}, sealed=True)
    log.write_text(whole.replace("0.1", "0.2"))
    with pytest.raises(UserError, match=r"log\.jsonl was changed or damaged"):
        score_study(study, judges, Silent())
    write_json(record, told, sealed=True)
    log.write_text(whole)


def test_a_missing_drift_picture_is_told(study: Scored, judges: Judges) -> None:
    folders = study.folders()
    with pytest.raises(UserError, match=r"c0-2\.png is missing"):
        measure_drift(DRIFT, (0, 1, 2), folders, study.concept, judges)


def test_a_study_without_a_plain_prompt_has_no_directions(study: Scored, judges: Judges) -> None:
    found = score_study(replace(study, prompts=PROMPTS[::2], drift=()), judges, Silent())
    scores = found["methods"]["lora"]["scores"]
    assert "clip_dir" not in scores and "pres" not in scores
    assert scores["scd_edit"]["value"] is not None and scores["scd_basic"]["value"] is None


def test_one_training_photo_hides_copies(study: Scored, judges: Judges) -> None:
    few = replace(study.concept, photos=study.concept.photos[:1])
    scores = score_pictures(judges, opened([study.out / "photos" / "01.png"]), None, few)
    assert "copied" not in scores and 0 < scores["nearest"][0] < 1
