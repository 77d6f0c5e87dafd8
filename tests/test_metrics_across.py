"""What is said over several concepts, against scipy and a known table."""

import numpy as np
import pytest
from scipy import stats as scipy_stats

from pseudoword.metrics.across import across, ranks
from pseudoword.metrics.across_verdict import verdict_across
from pseudoword.metrics.verdict import Verdict

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
