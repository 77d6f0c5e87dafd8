"""results.json from the scores of a made-up study."""

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pseudoword.errors import UserError
from pseudoword.metrics import METRICS
from pseudoword.metrics.design import ANY_SEED, Evidence, MethodInfo, Prompt, SetFeatures
from pseudoword.metrics.distances import cmmd, fid, kid, scd
from pseudoword.metrics.diversity import vendi
from pseudoword.metrics.drift import Drift
from pseudoword.metrics.stats import from_sample
from pseudoword.metrics.summary import summarise

KINDS = ["basic", "setting", "setting", "setting", "property", "accessory", "style", "neighbour"]
PROMPTS = [Prompt(f"{i:02}", f"a picture {i} of {{}}", kind) for i, kind in enumerate(KINDS)]
SEEDS, IMAGE_SEEDS = [0, 1, 2], [0, 1]
# DINO and CLIP-T: the untouched model 0.4 and 0.3, the photos 0.8 and 0.2.
TRUTH = {"dreambooth": (0.72, 0.28), "lora": (0.56, 0.28), "base_model": (0.40, 0.30)}
PHOTOS = np.random.default_rng(1).normal(size=(4, 6))


def rows(method: str, levels: tuple[float, float]) -> Iterator[dict[str, Any]]:
    rng = np.random.default_rng([41, *method.encode()])
    difficulty = np.random.default_rng(43).normal(size=len(PROMPTS))
    for seed in [-1] if method == "base_model" else SEEDS:
        for prompt, hard in zip(PROMPTS, difficulty, strict=True):
            for image_seed in IMAGE_SEEDS:
                for metric, level in zip(("dino", "clip_t"), levels, strict=True):
                    yield {
                        "method": method,
                        "seed": seed,
                        "prompt_id": prompt.id,
                        "prompt": prompt.template,
                        "kind": prompt.kind,
                        "image_seed": image_seed,
                        "file": f"runs/{method}-s{seed}/images/{prompt.id}-{image_seed}.png",
                        "metric": metric,
                        "value": level + 0.02 * hard + 0.01 * rng.normal(),
                    }


def features(truth: dict[str, tuple[float, float]] = TRUTH) -> SetFeatures:
    images = {}
    for number, method in enumerate(truth):
        frame = pd.DataFrame(list(rows(method, truth[method])))
        frame = frame[frame["metric"] == "dino"].reset_index(drop=True)
        rng = np.random.default_rng([47, number])
        images[method] = (frame, rng.normal(0.1 * number, 1.0, (len(frame), 6)))
    rng = np.random.default_rng(48)
    edit = {p.id: rng.normal(size=(2, 6)) for p in PROMPTS if p.kind != "basic"}
    return SetFeatures(images, PHOTOS, edit, "truth")


def evidence(truth: dict[str, tuple[float, float]] = TRUTH, **changes: Any) -> Evidence:
    titles = {"dreambooth": "DreamBooth", "lora": "LoRA"}
    cost = {"seconds": 60.0, "peak_memory_bytes": None, "trainable_parameters": 1000.0}
    return replace(
        Evidence(
            scores=pd.DataFrame([row for name in truth for row in rows(name, truth[name])]),
            prompts=PROMPTS,
            class_noun="mug",
            methods={name: MethodInfo(titles[name], cost, {0: 0.1, 1: 0.2}) for name in titles},
            encoders={
                "clip": "toybox-clip",
                "dino": "toybox-dino",
                "inception": "toybox-inception",
            },
            ceiling={"dino": np.array([0.78, 0.80, 0.82])},
            photos_clip_t={prompt.id: 0.20 for prompt in PROMPTS},
            features={"inception": features(truth)},
        ),
        **changes,
    )


@pytest.fixture(scope="module")
def results() -> dict[str, Any]:
    return summarise(evidence())


def test_the_winner_of_the_study_is_named(results: dict[str, Any]) -> None:
    assert (results["verdict"]["kind"], results["verdict"]["best"]) == ("winner", "dreambooth")
    row = results["normalised"]["dreambooth"]
    assert row["fidelity"]["value"] == pytest.approx(0.8, abs=0.03)
    assert row["adherence"]["value"] == pytest.approx(0.8, abs=0.05)
    assert row["overall"]["value"] == pytest.approx(
        row["fidelity"]["value"] * row["adherence"]["value"]
    )
    assert row["fidelity"]["low"] < row["fidelity"]["value"] < row["fidelity"]["high"]


def test_it_is_json_without_nan_and_repeats(results: dict[str, Any]) -> None:
    text = json.dumps(results, allow_nan=False)
    assert json.loads(text) == results
    assert text == json.dumps(summarise(evidence()), allow_nan=False)


def test_scores_are_the_means_of_the_frame(results: dict[str, Any]) -> None:
    frame = evidence().scores
    for method, row in [*results["methods"].items(), ("base_model", results["base_model"])]:
        chosen = frame[(frame["method"] == method) & (frame["metric"] == "dino")]
        score = row["scores"]["dino"]
        assert score["value"] == pytest.approx(chosen["value"].mean())
        assert score["n"] == len(chosen)
        for kind in set(KINDS):
            expected = chosen.loc[chosen["kind"] == kind, "value"].mean()
            assert row["by_kind"][kind]["dino"]["value"] == pytest.approx(expected)
    runs = results["methods"]["lora"]["runs"]
    assert [run["seed"] for run in runs] == SEEDS
    assert [run["loss"] for run in runs] == [0.1, 0.2, None]
    mean = np.mean([run["dino"] for run in runs])
    assert mean == pytest.approx(results["methods"]["lora"]["scores"]["dino"]["value"])


def test_the_order_of_rows_does_not_matter(results: dict[str, Any]) -> None:
    shuffled = evidence().scores.sample(frac=1.0, random_state=0)
    assert summarise(evidence(scores=shuffled)) == results


def test_differences_are_of_all_pairs_and_narrower_than_their_parts(
    results: dict[str, Any],
) -> None:
    pairs = {(row["metric"], row["a"], row["b"]) for row in results["differences"]}
    assert len(pairs) == len(results["differences"]) == 2 * 3
    row = next(r for r in results["differences"] if r["metric"] == "dino" and r["b"] == "lora")
    a, b = (results["methods"][m]["scores"]["dino"] for m in ("dreambooth", "lora"))
    assert row["value"] == pytest.approx(a["value"] - b["value"])
    assert row["high"] - row["low"] < a["high"] - a["low"]


def mean_fid(method: str, basic: bool) -> float:
    """The mean over the method's trainings of each one's FID, of the plain or the edit prompts."""
    given = features()
    frame, vectors = given.images[method]
    chosen = (frame["prompt_id"] == "00").to_numpy() == basic
    reference = PHOTOS if basic else np.concatenate(list(given.edit.values()))
    seeds = frame["seed"].to_numpy()
    return float(np.mean([fid(vectors[chosen & (seeds == s)], reference) for s in set(seeds)]))


def test_differences_by_kind_are_those_of_their_prompts(results: dict[str, Any]) -> None:
    found = results["differences_by_kind"]
    assert set(found) == set(KINDS)
    for kind, rows in found.items():
        scores = {name: m["by_kind"][kind] for name, m in results["methods"].items()}
        for row in rows:
            expected = [scores[row[arm]][row["metric"]]["value"] for arm in ("a", "b")]
            assert row["value"] == pytest.approx(expected[0] - expected[1], abs=1e-12)


def test_set_distances_are_of_the_right_sets(results: dict[str, Any]) -> None:
    given = features()
    frame, vectors = given.images["lora"]
    basic = (frame["prompt_id"] == "00").to_numpy()
    scores = results["methods"]["lora"]["scores"]
    references = np.concatenate(list(given.edit.values()))
    assert scores["fid_basic"]["value"] == pytest.approx(mean_fid("lora", basic=True))
    assert scores["kid_basic"]["value"] == pytest.approx(kid(vectors[basic], PHOTOS))
    assert scores["fid_edit"]["value"] == pytest.approx(mean_fid("lora", basic=False))
    assert scores["kid_edit"]["value"] == pytest.approx(kid(vectors[~basic], references))
    assert scores["kid_edit"]["low"] < scores["kid_edit"]["value"] < scores["kid_edit"]["high"]
    assert (scores["kid_edit"]["n"], scores["kid_edit"]["n_reference"]) == (42, 14)
    assert scores["kid_basic"]["covariance_rank"] == 3
    assert scores["fid_basic"]["covariance_rank"] == 1
    assert "2048" in scores["fid_basic"]["warning"] and scores["kid_basic"]["warning"] is None


def test_biased_distances_have_the_same_n_for_all_arms(results: dict[str, Any]) -> None:
    for group, n in (("basic", 2), ("edit", 14)):
        name = f"fid_{group}"
        arms = [*results["methods"].values(), results["base_model"]]
        assert {row["scores"][name]["n"] for row in arms} == {n}
        assert len({row["scores"][name]["covariance_rank"] for row in arms}) == 1
        assert len({row["scores"][name]["warning"] for row in arms}) == 1
        assert {row["scores"][f"kid_{group}"]["n"] for row in arms} == {n, n * len(SEEDS)}
    base = results["base_model"]["scores"]["fid_edit"]
    assert base["value"] == pytest.approx(mean_fid("base_model", basic=False))
    lora = results["methods"]["lora"]["scores"]["fid_basic"]
    # One plain prompt: only seeds are left out, and of a mean that is Student's interval.
    given, seeds = features(), []
    frame, vectors = given.images["lora"]
    for seed in SEEDS:
        one = ((frame["prompt_id"] == "00") & (frame["seed"] == seed)).to_numpy()
        seeds.append(fid(vectors[one], PHOTOS))
    assert lora["high"] == pytest.approx(from_sample(np.array(seeds)).high)


def test_one_picture_a_training_has_no_biased_distance() -> None:
    scores = evidence().scores
    found = summarise(evidence(scores=scores[scores["image_seed"] == 0]))
    row = found["methods"]["lora"]["scores"]
    assert row["fid_basic"]["value"] is None and row["fid_basic"]["n"] == 1
    assert "Not defined for 1 pictures" in row["fid_basic"]["warning"]
    assert row["kid_basic"]["value"] is not None and row["kid_basic"]["n"] == len(SEEDS)
    assert row["fid_edit"]["value"] is not None
    json.dumps(found, allow_nan=False)


def test_one_encoder_in_both_roles_tells_no_distance_twice() -> None:
    given = dict.fromkeys(("inception", "dino"), features())
    encoders = dict(evidence().encoders, inception="toybox-dino")
    found = summarise(evidence(features=given, encoders=encoders))
    rows = [row["scores"] for row in (*found["methods"].values(), found["base_model"])]
    for names in (found["metrics"], *rows):
        assert not {"fid_basic", "fid_edit"} & set(names)
        assert {"fd_dino_basic", "fd_dino_edit", "kid_basic", "kid_edit"} <= set(names)
    apart = summarise(evidence(features=given))
    assert {"fid_basic", "fid_edit"} <= set(apart["metrics"])
    for name in found["metrics"]:
        scores = [each["methods"]["lora"]["scores"][name]["value"] for each in (found, apart)]
        assert scores[0] == scores[1]


def test_a_set_is_not_compared_with_itself() -> None:
    given = replace(features(), edit_source="base_model")
    score = summarise(evidence(features={"inception": given}))["base_model"]["scores"]["kid_edit"]
    assert score["value"] is None and "themselves" in score["warning"]


def test_one_photo_gives_no_distance() -> None:
    given = replace(features(), photos=PHOTOS[:1])
    score = summarise(evidence(features={"inception": given}))["methods"]["lora"]["scores"][
        "fid_basic"
    ]
    assert score["value"] is None and score["low"] is None and score["warning"]


def with_more(metric: str, chosen: Sequence[Prompt], image_seeds: Sequence[int]) -> pd.DataFrame:
    """Rows of one more metric, for some prompts: 0.1 times the prompt's number."""
    frame = evidence().scores
    frame = frame[(frame["metric"] == "dino") & frame["image_seed"].isin(image_seeds)]
    frame = frame[frame["prompt_id"].isin({prompt.id for prompt in chosen})]
    return frame.assign(metric=metric, value=0.1 * frame["prompt_id"].astype(int))


def test_a_metric_that_some_prompts_lack_is_a_mean_over_the_others() -> None:
    more = with_more("clip_dir", PROMPTS[1:], IMAGE_SEEDS)
    found = summarise(evidence(scores=pd.concat([evidence().scores, more])))
    scores = found["methods"]["lora"]["scores"]["clip_dir"]
    assert scores["value"] == pytest.approx(0.1 * np.mean(range(1, 8))) and scores["n"] == 42
    assert scores["low"] < scores["value"] < scores["high"]
    by_kind = found["methods"]["lora"]["by_kind"]
    assert "clip_dir" not in by_kind["basic"]
    assert by_kind["style"]["clip_dir"]["value"] == pytest.approx(0.6)
    assert found["methods"]["lora"]["runs"][0]["clip_dir"] == pytest.approx(scores["value"])
    row = next(r for r in found["differences"] if r["metric"] == "clip_dir" and r["b"] == "lora")
    assert row["value"] == pytest.approx(0) and row["n"] == 42
    json.dumps(found, allow_nan=False)


def test_other_metrics_may_lack_no_prompt() -> None:
    more = with_more("clip_i", PROMPTS[1:], IMAGE_SEEDS)
    with pytest.raises(UserError, match="clip_i is missing"):
        summarise(evidence(scores=pd.concat([evidence().scores, more])))


def test_pictures_among_themselves_have_a_value_a_training_and_prompt() -> None:
    within = with_more("diversity", PROMPTS, IMAGE_SEEDS[:1]).assign(image_seed=ANY_SEED)
    found = summarise(evidence(within=within))
    score = found["methods"]["lora"]["scores"]["diversity"]
    assert (score["value"], score["n"]) == (pytest.approx(0.35), len(SEEDS) * len(PROMPTS))
    assert found["base_model"]["scores"]["diversity"]["n"] == len(PROMPTS)
    assert found["methods"]["lora"]["by_kind"]["property"]["diversity"]["value"] == 0.4
    assert any(row["metric"] == "diversity" for row in found["differences"])


def test_every_encoder_has_its_distances_and_vendi_counts_each_training() -> None:
    given = features()
    found = summarise(evidence(features={"dino": given, "clip": given}))
    frame, vectors = given.images["lora"]
    basic = (frame["prompt_id"] == "00").to_numpy()
    scores = found["methods"]["lora"]["scores"]
    assert scores["scd_basic"]["value"] == pytest.approx(scd(vectors[basic], PHOTOS))
    assert scores["cmmd_basic"]["value"] == pytest.approx(cmmd(vectors[basic], PHOTOS))
    assert scores["fd_dino_basic"]["value"] == pytest.approx(mean_fid("lora", basic=True))
    assert "SCD" in scores["fd_dino_basic"]["warning"] and "fid_basic" not in scores
    each = [vendi(vectors[(frame["seed"] == seed).to_numpy()]) for seed in SEEDS]
    assert scores["vendi"]["value"] == pytest.approx(np.mean(each))
    n = len(PROMPTS) * len(IMAGE_SEEDS)
    assert scores["vendi"]["n"] == found["base_model"]["scores"]["vendi"]["n"] == n
    assert scores["vendi"]["low"] < scores["vendi"]["value"] < scores["vendi"]["high"]
    assert set(found["metrics"]) >= {"vendi", "scd_edit", "cmmd_edit", "fd_dino_edit"}


def test_drift_and_copying_are_told_as_measured() -> None:
    cells = np.random.default_rng(3).random((3, 2, 2))
    drift = Drift(["class", "other"], {"lora": cells[:, :1], "base_model": cells[:1, :1]}, {})
    copying = {"lora": {"limit": 0.9, "pairs": []}}
    found = summarise(evidence(drift=drift, copying=copying))
    scores = found["methods"]["lora"]["scores"]
    assert scores["pres"]["value"] == pytest.approx(cells[:, :1].mean()) and "drift" not in scores
    assert "pres" not in found["methods"]["dreambooth"]["scores"]
    assert found["copying"] == copying and found["metrics"]["pres"]["unit"] == "cosine"


def test_intervals_hold_no_value_that_a_score_cannot_have() -> None:
    frame = evidence().scores
    copied = frame[frame["metric"] == "dino"].assign(metric="copied")
    lucky = (copied["seed"] == 0) & (copied["prompt_id"] == PROMPTS[0].id)
    found = summarise(evidence(scores=pd.concat([frame, copied.assign(value=lucky * 1.0)])))
    for row in found["methods"].values():
        for scores in (row["scores"], *row["by_kind"].values()):
            share = scores["copied"]
            if share["low"] is not None:
                assert 0 <= share["low"] <= share["value"] <= share["high"] <= 1
    assert any(row["scores"]["copied"]["low"] == 0 for row in found["methods"].values())
    never = summarise(evidence(scores=pd.concat([frame, copied.assign(value=0.0)])))
    share = never["methods"]["lora"]["scores"]["copied"]
    assert (share["value"], share["low"], share["high"]) == (0, None, None)


def test_metrics_explain_themselves(results: dict[str, Any]) -> None:
    assert set(results["metrics"]) == {
        "dino", "clip_t", "fid_basic", "kid_basic", "fid_edit", "kid_edit",
    }  # fmt: skip
    assert results["metrics"]["dino"]["encoder"] == "toybox-dino"
    assert set(results["metrics"]) < set(METRICS)
    assert results["ceiling"]["dino"]["value"] == pytest.approx(0.8)
    assert results["floor"] == results["base_model"]["scores"]


def test_one_photo_gives_no_ceiling_and_no_winner() -> None:
    found = summarise(evidence(ceiling={"dino": np.empty(0), "clip_i": np.empty(0)}))
    assert found["ceiling"] == {}
    assert found["verdict"]["kind"] == "not_enough_evidence"
    assert "One photo" in found["verdict"]["text"]
    assert "at least three" in found["verdict"]["next_step"]


def test_a_ceiling_no_higher_than_the_floor_gives_no_winner() -> None:
    found = summarise(evidence(ceiling={"dino": np.array([0.38, 0.41, 0.40])}))
    assert found["verdict"]["kind"] == "not_enough_evidence"
    assert found["verdict"]["best"] is None
    assert "cannot tell this mug" in found["verdict"]["text"]
    assert found["normalised"]["lora"]["fidelity"] == {"value": None, "low": None, "high": None}
    assert found["normalised"]["lora"]["adherence"]["value"] is not None
    json.dumps(found, allow_nan=False)


def test_photos_that_fit_every_prompt_give_no_winner() -> None:
    found = summarise(evidence(photos_clip_t={prompt.id: 0.31 for prompt in PROMPTS}))
    assert found["verdict"]["best"] is None
    assert "CLIP-T cannot tell" in found["verdict"]["text"]


def test_a_trade_off_is_seen_through_the_scores() -> None:
    truth = {"dreambooth": (0.76, 0.25), "lora": (0.60, 0.29), "base_model": (0.40, 0.30)}
    found = summarise(evidence(truth))["verdict"]
    assert (found["kind"], found["best"]) == ("trade_off", None)


def test_the_base_model_has_no_interval_on_a_single_prompt(results: dict[str, Any]) -> None:
    base, method = results["base_model"], results["methods"]["lora"]
    for row in (base["scores"]["kid_basic"], base["by_kind"]["basic"]["dino"]):
        assert row["value"] is not None and row["low"] is None and row["high"] is None
    assert base["by_kind"]["setting"]["dino"]["low"] is not None
    assert method["scores"]["kid_basic"]["low"] < method["scores"]["kid_basic"]["high"]
    assert method["by_kind"]["basic"]["dino"]["low"] is not None


def test_a_missing_picture_is_named() -> None:
    scores = evidence().scores
    gap = (scores["method"] == "lora") & (scores["seed"] == 2) & (scores["prompt_id"] == "03")
    with pytest.raises(UserError, match=r"lora's dino is missing for seed 2, prompt 03"):
        summarise(evidence(scores=scores[~gap]))


def test_a_study_of_one_seed_and_one_prompt_has_no_intervals() -> None:
    scores = evidence().scores
    few = scores[scores["seed"].isin([-1, 0]) & (scores["prompt_id"] == "00")]
    found = summarise(evidence(scores=few, prompts=PROMPTS[:1], features={}))
    score = found["methods"]["lora"]["scores"]["dino"]
    assert score["low"] is None and score["n"] == 2
    assert found["verdict"]["best"] is None
    json.dumps(found, allow_nan=False)


def test_statistics_need_no_torch() -> None:
    code = (
        "import sys; import pseudoword.metrics; assert not {'numpy', 'pandas'} & set(sys.modules);"
        "import pseudoword.metrics.summary, pseudoword.metrics.encoders, pseudoword.metrics.cache;"
        "assert not {'torch', 'transformers', 'pandas', 'huggingface_hub'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
