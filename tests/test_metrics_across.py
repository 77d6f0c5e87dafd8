"""What is said over several concepts, against scipy and a known table."""

import numpy as np
import pytest
from scipy import stats as scipy_stats

from pseudoword.metrics.across import across, across_resampled, primary_across, ranks
from pseudoword.metrics.across_verdict import verdict_across
from pseudoword.metrics.stats import resamples
from pseudoword.metrics.verdict import Verdict, overall_score

METHODS = ("lora", "dreambooth", "textual-inversion")


def table(seed: int, levels: tuple[float, ...] = (0.0, 0.0, 0.0)) -> dict[str, np.ndarray]:
    """(8 concepts, 6 prompts): methods differ by `levels`, by concept, by prompt and by chance."""
    rng = np.random.default_rng([53, seed])
    shared = rng.normal(size=(8, 1)) + rng.normal(size=(1, 6))
    return {
        m: shared
        + level
        + 0.5 * rng.normal(size=(8, 1))
        + 0.3 * rng.normal(size=(1, 6))
        + 0.3 * rng.normal(size=(8, 6))
        for m, level in zip(METHODS, levels, strict=True)
    }


def test_means_by_concept_give_students_paired_test() -> None:
    values = {m: v.mean(axis=1) for m, v in table(0).items()}
    found = across(values, draws=100)
    row = found["differences"][0]
    expected = scipy_stats.ttest_rel(values["lora"], values["dreambooth"])
    assert (row["a"], row["b"], found["prompts"]) == ("lora", "dreambooth", None)
    assert row["p"] == pytest.approx(expected.pvalue)
    assert (row["low"], row["high"]) == pytest.approx(expected.confidence_interval(0.95))
    assert row["ahead"] == (values["lora"] > values["dreambooth"]).sum()
    assert row["p_holm"] >= row["p"]


def test_a_clear_leader_leads_whichever_way_is_better() -> None:
    values = table(1, (2.0, 0.0, 0.0))
    assert across(values)["p_best"]["lora"] > 0.95
    assert across(values)["ranks"]["mean"]["lora"] == 1.0
    lower = across(values, higher_is_better=False)
    assert lower["p_best"]["lora"] < 0.05 and lower["differences"][0]["ahead"] == 0


def test_friedman_is_that_of_scipy_also_with_ties() -> None:
    for seed, places in ((2, 6), (3, 0)):
        values = {m: np.round(v.mean(axis=1), places) for m, v in table(seed).items()}
        found, expected = ranks(values), scipy_stats.friedmanchisquare(*values.values())
        assert found is not None
        assert (found["statistic"], found["p"]) == pytest.approx(tuple(expected))


def test_nemenyi_is_that_of_demsar() -> None:
    """Demšar 2006, section 3.2.3: four classifiers on 14 data sets, q .05 = 2.569, CD 1.25."""
    rng = np.random.default_rng(4)
    found = ranks({str(i): rng.normal(size=14) for i in range(4)})
    assert found is not None
    assert found["critical_difference"] == pytest.approx(2.569 * np.sqrt(20 / (6 * 14)), rel=1e-3)


def test_what_ties_everywhere_has_no_statistic() -> None:
    found = ranks({"a": np.ones(4), "b": np.ones(4)})
    assert found is not None and found["p"] is None and found["mean"] == {"a": 1.5, "b": 1.5}
    assert ranks({"a": np.ones(4)}) is None


def test_intervals_over_concepts_cover() -> None:
    """The true difference is 0; leaving prompts alone would cover it in fewer studies."""
    covered, alone = [], []
    for study in range(300):
        values = table(100 + study)
        row = across(values, draws=2)["differences"][0]
        covered.append(row["low"] <= 0 <= row["high"])
        means = {m: v.mean(axis=1) for m, v in values.items()}
        row = across(means, draws=2)["differences"][0]
        alone.append(row["low"] <= 0 <= row["high"])
    assert 0.92 <= np.mean(covered) <= 0.985
    assert np.mean(alone) < np.mean(covered)


BASIC = np.arange(6) < 2


def scores(seed: int, noise: float = 0.3) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Fidelity and adherence, some of them below 0; that of plain prompts is not to be read."""
    fidelity = {m: 0.5 + noise * v for m, v in table(seed).items()}
    adherence = {m: np.where(BASIC, np.nan, 0.5 + noise * v) for m, v in table(1000 + seed).items()}
    return fidelity, adherence


def test_overall_is_the_mean_of_the_concepts_own_scores() -> None:
    fidelity, adherence = scores(5)
    found = primary_across(fidelity, adherence, BASIC, draws=50)
    assert {part: row["prompts"] for part, row in found.items()} == {
        "overall": 6,
        "fidelity": 6,
        "adherence": 4,
    }
    own = {
        m: overall_score(fidelity[m].mean(axis=1), np.nanmean(adherence[m], axis=1))
        for m in METHODS
    }
    assert min(v.min() for v in own.values()) == 0.0
    for m in METHODS:
        assert found["overall"]["means"][m]["value"] == pytest.approx(own[m].mean())
    assert found["overall"]["ranks"] == ranks(own)


def test_overall_is_computed_anew_in_every_resample() -> None:
    """The same by loops over resamples and concepts."""
    fidelity, adherence = scores(6)
    sampled = resamples(8, BASIC.astype(np.int64), 50, 3)
    means, own = {}, {}
    for m in METHODS:
        by_row = np.array(
            [
                [
                    max(np.average(f, weights=w), 0) * max(np.average(a, weights=w[~BASIC]), 0)
                    for f, a in zip(fidelity[m], adherence[m][:, ~BASIC], strict=True)
                ]
                for w in sampled.prompts
            ]
        )
        means[m] = np.array(
            [np.average(v, weights=w) for v, w in zip(by_row, sampled.seeds, strict=True)]
        )
        own[m] = by_row[0]
    found = primary_across(fidelity, adherence, BASIC, draws=50, seed=3)["overall"]
    expected = across_resampled(means, own, sampled)
    for key in ("low", "high", "p", "p_holm"):
        rows = zip(found["differences"], expected["differences"], strict=True)
        assert all(row[key] == pytest.approx(other[key]) for row, other in rows)
    assert found["p_best"] == pytest.approx(expected["p_best"])


def test_a_tie_is_a_win_for_neither() -> None:
    values = {"a": np.array([0.1, 0.5, 0.5, 0.5]), "b": np.array([0.9, 0.5, 0.9, 0.4])}
    row = across(values, draws=2)["differences"][0]
    assert (row["ahead"], row["behind"]) == (1, 2)
    level = np.array([0.2, 0.4, 0.4, 0.5, 0.6, 0.5])
    overall = across({"a": level, "b": level + np.array([0.3, 0.31, 0.3, 0.29, 0.3, 0.0])})
    text = verdict_across(overall, overall, overall, {"a": "A", "b": "B"}).text
    assert "ahead of A for 5 of 6" in text


def test_a_winner_must_have_learnt_itself() -> None:
    """Its overall score is sure to be higher; its likeness is not sure to be above the floor."""
    rng = np.random.default_rng(9)
    luck = rng.normal(size=8)
    a, b = 0.1 + 0.3 * luck, 0.05 + 0.01 * luck
    fidelity = across({"a": a, "b": b})
    overall = across({"a": 0.5 + 0.01 * luck, "b": 0.1 + 0.01 * rng.normal(size=8)})
    assert fidelity["means"]["a"]["low"] < 0 < fidelity["means"]["b"]["low"]
    titles = {"a": "A", "b": "B"}
    found = verdict_across(overall, fidelity, fidelity, titles)
    assert (found.kind, found.best) == ("not_enough_evidence", None)
    assert "not sure that it has learnt" in found.text
    assert verdict_across(overall, overall, fidelity, titles).best == "a"


def test_concepts_that_would_settle_it_count_that_prompts_stay() -> None:
    """Where only prompts differ, more concepts do not help; where only concepts do, they do."""
    rng = np.random.default_rng(10)
    prompt, concept = rng.normal(size=(1, 6)), rng.normal(size=(8, 1))
    for luck, helps in ((prompt, False), (concept, True)):
        values = {"a": 0.5 + luck - luck.mean() + np.zeros((8, 6)), "b": np.zeros((8, 6))}
        needed = across(values, draws=2)["differences"][0]["concepts_needed"]
        assert (needed is not None and needed > 8) == helps


def verdict(levels: dict[str, tuple[float, float]], noise: float, n_concepts: int = 10) -> Verdict:
    """`levels` maps a method to its true fidelity and adherence."""
    rng = np.random.default_rng(8)
    fidelity, adherence = (
        {m: v[i] + noise * rng.normal(size=n_concepts) for m, v in levels.items()} for i in (0, 1)
    )
    overall = {m: fidelity[m] * adherence[m] for m in levels}
    found = [across(scores, draws=1000) for scores in (overall, fidelity, adherence)]
    return verdict_across(found[0], found[1], found[2], {m: m.upper() for m in levels})


def test_verdicts_over_concepts() -> None:
    winner = verdict({"a": (0.5, 0.9), "b": (0.8, 0.9)}, 0.05)
    assert (winner.kind, winner.best) == ("winner", "b")
    assert "ahead of A for 10 of 10" in winner.text
    tie = verdict({"a": (0.7, 0.9), "b": (0.7, 0.9)}, 0.02)
    assert (tie.kind, tie.best) == ("tie", None)
    assert tie.text.startswith(("A and B", "B and A"))
    traded = verdict({"a": (0.9, 0.5), "b": (0.5, 0.9)}, 0.05)
    assert (traded.kind, traded.likeness, traded.scenes) == ("trade_off", "a", "b")
    unsure = verdict({"a": (0.7, 0.9), "b": (0.6, 0.9)}, 0.3)
    assert (unsure.kind, unsure.best) == ("not_enough_evidence", None)
    assert "concepts" in unsure.next_step
    one = verdict({"a": (0.2, 0.9), "b": (0.8, 0.9)}, 0.0, n_concepts=1)
    assert one.kind == "not_enough_evidence" and "at least three" in one.next_step
    nothing = verdict({"a": (0.0, 1.0), "b": (0.0, 1.0)}, 0.2)
    assert nothing.kind == "not_enough_evidence" and "No method has learnt" in nothing.text
