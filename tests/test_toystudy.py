"""Studies of many toys: small ones, whole."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pseudoword.concept import load_concept
from pseudoword.locks import HeldError, hold
from pseudoword.metrics.design import BASE
from pseudoword.metrics.distances import fid, kid
from pseudoword.progress import Silent
from pseudoword.prompts import custom_suite
from pseudoword.toybox.photos import SIZE
from pseudoword.toybox.world.concepts import concept_toy
from pseudoword.toystudy import run, validate
from pseudoword.toystudy.conclusions import judge_claims
from pseudoword.toystudy.measures import MEASURES, Measure
from pseudoword.toystudy.plan import CONCEPTS, ToyPlan
from pseudoword.toystudy.repeat import over_toys, repeat_study
from pseudoword.toystudy.run import read_scores
from pseudoword.toystudy.sets import set_distances
from pseudoword.toystudy.traps import TRAPS, TRUTH, trap_pictures
from pseudoword.toystudy.words import study_tables, validation_tables

FEW: dict[str, dict[str, Any]] = {
    "textual-inversion": {"steps": 3},
    "dreambooth": {"steps": 3, "prior_pictures": 1},
    "lora": {"steps": 3},
}
UNTOUCHED_IS_REFERENCE = ("FID prompt", "KID prompt")
PROMPTS = ["a photo of a {}", "a photo of a {} in the snow", "a photo of a {} wearing a red hat"]


@pytest.fixture(scope="module")
def plan(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> ToyPlan:
    """The figures are made alike of any model's pictures, and a random one draws them at once."""
    out = tmp_path_factory.mktemp("toys")
    changes = {"options": FEW, "prompts": PROMPTS, "generate": {"sampling_steps": 2}}
    toys = CONCEPTS[:2]
    return ToyPlan(
        out, toys, seeds=1, pictures=2, model=str(tiny_model), device="cpu", changes=changes
    )


@pytest.fixture(scope="module")
def repeated(plan: ToyPlan) -> dict[str, Any]:
    return repeat_study(plan, Silent())


@pytest.fixture(scope="module")
def validated(plan: ToyPlan, repeated: dict[str, Any]) -> dict[str, Any]:
    return validate.validate_metrics(plan, Silent())


@pytest.mark.usefixtures("repeated")
@pytest.mark.parametrize("work", [repeat_study, validate.validate_metrics])
def test_figures_over_toys_are_made_by_one_process_at_a_time(
    work: Callable[[ToyPlan, Silent], Any], plan: ToyPlan
) -> None:
    with hold(plan.out, print), pytest.raises(HeldError):
        work(plan, Silent())


def test_photos_are_not_rendered_anew_while_they_are_studied(
    plan: ToyPlan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    studied: list[Path] = []

    def study(photos: list[Path], *_: Any) -> None:
        notes = load_concept(photos, "mug", SIZE).notes
        assert not any(".lock" in note for note in notes)
        with pytest.raises(HeldError), hold(photos[0], print):
            pass
        studied.extend(photos)

    monkeypatch.setattr(run, "run_study", study)
    alone = replace(plan, out=tmp_path)
    run.run_toys(alone, Silent())
    assert studied == [alone.photos(toy) for toy in plan.toys]
    assert all(photos.is_dir() and not list(photos.glob(".*")) for photos in studied)


def test_the_study_reports_every_measure_with_intervals(
    plan: ToyPlan, repeated: dict[str, Any]
) -> None:
    assert set(repeated["measures"]) == set(MEASURES)
    for measure in repeated["measures"].values():
        assert set(measure["scores"]) == {*FEW, BASE}
        assert (measure["scores"][BASE] is None) == (measure["title"] in UNTOUCHED_IS_REFERENCE)
        for method in FEW:
            found = measure["scores"][method]
            assert found["low"] <= found["value"] <= found["high"] and found["n"] == 2
        assert len(measure["differences"]) == 3
    tables = study_tables(repeated)
    assert [len(rows) for rows in tables] == [1 + len(MEASURES), 1 + 3 * len(MEASURES), 13]


def test_per_picture_scores_are_whole(plan: ToyPlan, repeated: dict[str, Any]) -> None:
    frame = pd.read_parquet(plan.out / "scores.parquet")
    pictures = 2 * 4 * len(PROMPTS) * 2  # toys, methods and the untouched model, pictures
    assert len(frame) == pictures and set(frame["toy"]) == set(plan.toys)
    # Directional CLIP is of edit prompts alone.
    assert (frame["clip_dir"].isna() == (frame["kind"] == "basic")).all()
    numbers = frame.drop(columns="clip_dir").select_dtypes("number")
    assert np.isfinite(numbers.to_numpy()).all()
    base = frame[(frame["method"] == BASE) & (frame["toy"] == CONCEPTS[0])]
    for _, pair in base.groupby("prompt_id"):
        # of two pictures each is compared with the other, not with itself
        values = pair["clip_prompt"].to_numpy()
        assert values[0] == pytest.approx(values[1], abs=1e-5) and values[0] < 0.9999


def test_a_measure_is_the_mean_that_it_says(plan: ToyPlan, repeated: dict[str, Any]) -> None:
    scores = read_scores({toy: plan.folder(toy) for toy in plan.toys})
    chosen = scores[(scores["method"] == "lora") & (scores["kind"] != "basic")]
    told = repeated["measures"]["clip_t"]["scores"]["lora"]["value"]
    assert told == pytest.approx(chosen.groupby("toy")["clip_t"].mean().mean(), rel=1e-6)


def test_over_toys_by_hand() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(10, 3)) + [0.0, 3.0, 1.0]
    found = over_toys(values, Measure("x", "x", True), ["a", "b"])
    difference = values[:, 0] - values[:, 1]
    pair = found["differences"][0]
    half = 2.2622 * difference.std(ddof=1) / np.sqrt(10)
    assert pair["value"] == pytest.approx(difference.mean())
    assert pair["high"] - pair["value"] == pytest.approx(half, rel=1e-3)
    assert pair["ahead"] == int((difference > 0).sum())
    turned = over_toys(values, Measure("x", "x", False), ["a", "b"])
    assert turned["differences"][0]["ahead"] == int((difference < 0).sum())


def test_validation_covers_metrics_truths_and_traps(validated: dict[str, Any]) -> None:
    # three finished runs, two checkpoints of each, the untouched model
    assert validated["arms"] == 10 and validated["pictures_an_arm"] == 2 * len(PROMPTS)
    for section, metrics in (
        ("pictures", validate.PICTURE_METRICS),
        ("arms_ranked", validate.ARM_METRICS),
        ("methods", validate.ARM_METRICS),
        ("checkpoints", validate.ARM_METRICS),
    ):
        assert list(validated[section]) == list(metrics)
        for aspects in validated[section].values():
            assert set(aspects) == set(validate.ASPECTS)
    assert set(validated["traps"]["dino"]) == set(TRAPS)
    assert len(validation_tables(validated)) == 4 * 3 + 2


def test_the_truth_is_not_fooled(validated: dict[str, Any]) -> None:
    """The oracle, for whom traps are what they are, puts each below the truth where it is wrong."""
    traps = validated["traps"]
    for trap in ("other_toy", "near_double"):
        assert traps["right_toy"][trap]["fooled"] == 0.0
    for trap in ("ignored_prompt", "copied_photo"):
        assert traps["right_scene"][trap]["fooled"] == 0.0


def test_agreement_finds_a_perfect_and_a_reversed_metric() -> None:
    rng = np.random.default_rng(0)
    rows = [
        {"toy": toy, "prompt_id": "00", "arm": f"m:s{i}", **dict.fromkeys(validate.ASPECTS, value)}
        for toy in (1, 2, 3)
        for i, value in enumerate(rng.permutation(6))
    ]
    frame = pd.DataFrame(rows)
    for metric in validate.PICTURE_METRICS:
        frame[metric] = frame["right_toy"] * (-1 if metric == "clip_t" else 1)
    found = validate.compare_pictures(frame)
    assert found["dino"]["right_toy"]["spearman"]["value"] == pytest.approx(1)
    assert found["clip_t"]["right_toy"]["kendall"]["value"] == pytest.approx(-1)
    assert found["clip_t"]["right_toy"]["pairs_right"]["value"] == 0.0


def test_traps_are_what_they_say() -> None:
    prompts = custom_suite(["a photo of a {}", "a photo of a {} in the snow"])
    photos = [np.full((SIZE, SIZE, 3), level, np.uint8) for level in (10, 200)]
    drawn = trap_pictures(concept_toy(4), prompts, photos, 3)
    assert set(drawn) == {TRUTH, *TRAPS} and {len(p) for p in drawn.values()} == {6}
    assert [int(picture[0, 0, 0]) for picture in drawn["copied_photo"]] == [10, 200] * 3
    same = drawn["same_picture"]
    assert np.array_equal(same[0], same[2]) and not np.array_equal(same[0], same[3])
    assert np.array_equal(same[3], drawn[TRUTH][3])
    for name in ("other_toy", "near_double", "ignored_prompt"):
        assert not any(map(np.array_equal, drawn[name], drawn[TRUTH])), name


def test_again_gives_the_same_figures(plan: ToyPlan, repeated: dict[str, Any]) -> None:
    run = plan.folder(plan.toys[0]) / "runs" / "lora-s0" / "artefact.safetensors"
    before = run.stat().st_mtime_ns
    assert repeat_study(plan, Silent()) == repeated
    assert run.stat().st_mtime_ns == before


def test_photos_lie_beside_the_studies(plan: ToyPlan, repeated: dict[str, Any]) -> None:
    assert [p.name for p in sorted(Path(plan.out / "photos").iterdir())] == ["toy-100", "toy-101"]


def arms_frame(arms: dict[str, float]) -> pd.DataFrame:
    """Arms of three toys with the same values of every metric and truth."""
    rows = [
        {"toy": toy, "arm": arm, **dict.fromkeys((*validate.ARM_METRICS, *validate.ASPECTS), value)}
        for toy in (1, 2, 3)
        for arm, value in arms.items()
    ]
    return pd.DataFrame(rows)


def test_methods_are_ranked_without_checkpoints_and_traps() -> None:
    truth = {"a:s0": 0.2, "a:s1": 0.4, "a:s0@5": 9.0, "b:s0": 0.5, "b:s1": 0.5, BASE: 0.1}
    frame = arms_frame(truth | {"trap:same_picture": 5.0, "trap:truth": 6.0})
    # The metric has the two methods, and nothing but these, the wrong way round.
    wrong = {"a:s0": 3.0, "a:s1": 3.0, "b:s0": 1.0, "b:s1": 2.0}
    frame["dino"] = frame["arm"].map(wrong).fillna(frame["dino"])
    found = validate.compare_methods(frame)
    assert found["dino"]["right_toy"]["pairs_right"]["value"] == 0.0
    assert found["clip_i"]["right_toy"]["pairs_right"]["value"] == 1.0
    # lower is better
    assert found["fid_basic"]["right_toy"]["pairs_right"]["value"] == 0.0


def test_checkpoints_are_ranked_within_a_run() -> None:
    arms = {"a:s0@1": 0.1, "a:s0@2": 0.2, "a:s0": 0.3, "b:s0@1": 7.0, "b:s0": 8.0, "a:s1": 0.0}
    frame = arms_frame(arms)
    frame["clip_t"] = (
        frame["arm"].map({"a:s0@1": 3.0, "a:s0@2": 2.0, "a:s0": 1.0}).fillna(frame["clip_t"])
    )
    found = validate.compare_checkpoints(frame)
    assert found["dino"]["right_both"]["spearman"]["value"] == pytest.approx(1.0)
    # all pairs of a wrong, the one of b right
    assert found["clip_t"]["right_both"]["pairs_right"]["value"] == pytest.approx(0.5)


def test_a_trap_lies_on_the_scale_of_means() -> None:
    arms = {BASE: 1.0, f"trap:{TRUTH}": 3.0, **{f"trap:{name}": 2.0 for name in TRAPS}}
    frame = arms_frame(arms)
    frame.loc[(frame["arm"] == "trap:other_toy") & (frame["toy"] == 1), "dino"] = 5.0
    # a metric that rates the truth no higher than the untouched model has no scale
    frame.loc[frame["arm"] == f"trap:{TRUTH}", "clip_t"] = 0.5
    found = validate.compare_traps(frame)
    assert found["dino"]["near_double"]["value"] == pytest.approx(0.5)
    assert found["dino"]["other_toy"]["value"] == pytest.approx(1.0)
    assert found["dino"]["other_toy"]["fooled"] == pytest.approx(1 / 3)
    assert "value" not in found["clip_t"]["near_double"]


def test_conclusions_hold_fail_or_stay_open() -> None:
    rng = np.random.default_rng(0)
    clear = rng.normal(size=(10, 4)) * 0.1 + [0.0, 5.0, 1.0, 0.0]
    open_ = rng.normal(size=(10, 4))
    methods = list(FEW)
    measures = {
        name: over_toys(clear if name in ("clip_image", "right_both") else open_, measure, methods)
        for name, measure in MEASURES.items()
    }
    measures["fid_image"] = over_toys(clear, MEASURES["fid_image"], methods)
    best, scenes = judge_claims(measures)
    assert best["by_measure"]["clip_image"] == "holds"
    assert best["by_measure"]["fid_image"] == "fails"
    assert best["by_measure"]["dino"] == "not separated"
    assert scenes["by_measure"]["right_both"] == "fails"


def test_distances_of_sets_that_are_too_small_are_not_defined() -> None:
    rng = np.random.default_rng(0)
    vectors, basic = rng.normal(size=(7, 4)), np.array([True] + [False] * 6)
    photos, untouched = rng.normal(size=(5, 4)), rng.normal(size=(6, 4))
    found = set_distances(vectors, basic, photos, untouched)
    assert np.isnan(found["fid_basic"]) and np.isnan(found["kid_basic"])
    assert found["fid_edit"] == pytest.approx(fid(vectors[1:], untouched))
    assert found["kid_edit"] == pytest.approx(kid(vectors[1:], untouched))
    assert np.isnan(set_distances(vectors, basic, photos, None)["kid_edit"])
