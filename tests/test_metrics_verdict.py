"""The verdict on made-up methods whose standing is known."""

import numpy as np
import pytest

from pseudoword.metrics.chances import probability_best
from pseudoword.metrics.stats import Resamples, resamples, weighted_means
from pseudoword.metrics.verdict import (
    Standing,
    Verdict,
    decide,
    normalise,
    overall_score,
    separated_pairs,
    separates,
    settling,
)

TITLES = {"dreambooth": "DreamBooth", "lora": "LoRA", "textual-inversion": "Textual Inversion"}


def sampled_for(n_seeds: int = 3, n_prompts: int = 10) -> Resamples:
    return resamples(n_seeds, np.zeros(n_prompts, dtype=np.int64), draws=1000)


def scores(mean: float, seed: int, sampled: Resamples, noise: float = 0.05) -> np.ndarray:
    """A method's mean score in every resample; its seeds and prompts vary by `noise`."""
    shape = (sampled.seeds.shape[1], sampled.prompts.shape[1])
    rng = np.random.default_rng([23, seed])
    effect = rng.normal(size=(shape[0], 1)) / 2 + rng.normal(size=shape)
    return weighted_means(mean + noise * (effect - effect.mean()), sampled)


def verdict_on(
    standings: dict[str, tuple[float, float]],
    noise: float = 0.05,
    sampled: Resamples | None = None,
    alike: bool = False,
) -> Verdict:
    """`standings` maps a method to its true fidelity and adherence."""
    sampled = sampled or sampled_for()
    luck = {method: 0 if alike else 2 * i for i, method in enumerate(standings)}
    standing = Standing(
        {m: scores(f, luck[m], sampled, noise) for m, (f, _) in standings.items()},
        {m: scores(a, luck[m] + 1, sampled, noise) for m, (_, a) in standings.items()},
        sampled,
        TITLES,
        "mug",
    )
    return decide(standing)


def test_a_clear_winner_wins() -> None:
    found = verdict_on(
        {"dreambooth": (0.8, 0.9), "lora": (0.4, 0.9), "textual-inversion": (0.2, 0.8)}
    )
    assert (found.kind, found.best) == ("winner", "dreambooth")
    assert found.p_best["dreambooth"] >= 0.95
    assert sum(found.p_best.values()) == pytest.approx(1.0)
    assert found.text.startswith("DreamBooth serves this mug best")
    assert "80\N{NO-BREAK SPACE}%" in found.text and "90\N{NO-BREAK SPACE}%" in found.text


def test_identical_methods_tie() -> None:
    found = verdict_on({"dreambooth": (0.7, 0.8), "lora": (0.7, 0.8)}, alike=True)
    assert (found.kind, found.best) == ("tie", None)
    assert found.p_best == {"dreambooth": 0.5, "lora": 0.5}
    assert "DreamBooth and LoRA" in found.text


def test_noise_separates_nothing() -> None:
    found = verdict_on({"dreambooth": (0.6, 0.8), "lora": (0.55, 0.8)}, noise=0.5)
    assert (found.kind, found.best) == ("not_enough_evidence", None)
    assert "does not separate" in found.text
    assert found.next_step


def test_two_leaders_ahead_of_the_rest_tie() -> None:
    found = verdict_on(
        {"dreambooth": (0.8, 0.9), "lora": (0.805, 0.9), "textual-inversion": (0.2, 0.9)}
    )
    assert (found.kind, found.best) == ("tie", None)
    assert "behind them: Textual Inversion" in found.text


def test_a_trade_off_names_both_sides() -> None:
    found = verdict_on({"dreambooth": (0.9, 0.5), "lora": (0.5, 0.9)})
    assert (found.kind, found.best) == ("trade_off", None)
    assert (found.likeness, found.scenes) == ("dreambooth", "lora")
    assert "Best likeness: DreamBooth" in found.text
    assert "Best in new scenes: LoRA" in found.text


def test_a_method_like_the_base_model_has_learnt_nothing() -> None:
    found = verdict_on({"dreambooth": (0.8, 0.9), "lora": (0.0, 1.0)})
    assert (found.kind, found.best) == ("winner", "dreambooth")
    assert "Of LoRA it is not sure" in found.text
    nothing = verdict_on({"dreambooth": (-0.1, 0.9), "lora": (0.0, 1.0)})
    assert (nothing.kind, nothing.best) == ("not_enough_evidence", None)
    assert nothing.text.startswith("No method has learnt this mug")


def test_obedience_alone_is_no_trade_off() -> None:
    """The untouched model obeys best; a method that has learnt nothing gains nothing by that."""
    found = verdict_on({"dreambooth": (0.8, 0.5), "lora": (0.0, 1.0)})
    assert found.kind == "winner"


def test_one_training_seed_never_wins() -> None:
    found = verdict_on({"dreambooth": (0.9, 0.9), "lora": (0.3, 0.9)}, sampled=sampled_for(1))
    assert (found.kind, found.best) == ("not_enough_evidence", None)
    assert "--seeds 3" in found.next_step


def test_a_single_method_is_compared_with_the_base_model_alone() -> None:
    found = verdict_on({"lora": (0.6, 0.8)})
    assert (found.kind, found.best) == ("winner", "lora")
    assert "no other method was run" in found.text


def test_more_seeds_are_advised_where_they_would_help() -> None:
    """Two seeds that differ a lot, prompts that do not: more seeds separate the methods."""
    sampled = sampled_for(2)
    luck = np.array([[0.06], [-0.06]]) * np.ones((1, 10))
    standing = Standing(
        {
            "dreambooth": weighted_means(0.8 + luck, sampled),
            "lora": weighted_means(0.6 - luck, sampled),
        },
        {m: scores(0.9, i, sampled, 0.01) for i, m in enumerate(("dreambooth", "lora"))},
        sampled,
        TITLES,
        "mug",
    )
    found = decide(standing)
    assert found.kind == "not_enough_evidence"
    assert found.next_step.startswith("Run with --seeds ")
    seeds = int(found.next_step.split()[3])
    assert 2 < seeds <= 10
    advised = settling(standing)
    assert advised is not None
    assert (advised["a"], advised["b"], advised["seeds"]) == ("dreambooth", "lora", seeds)


def test_well_measured_equals_tie_and_badly_measured_ones_do_not() -> None:
    """Equal for practical purposes is something to show, not what is left without evidence."""
    alike = {"dreambooth": (0.7, 0.8), "lora": (0.71, 0.8)}
    assert verdict_on(alike, noise=0.02).kind == "tie"
    found = verdict_on(alike, noise=0.2)
    assert found.kind == "not_enough_evidence"
    assert "Choose by cost" in found.next_step or "--seeds" in found.next_step


def test_a_sure_lead_that_makes_no_difference_is_a_tie() -> None:
    near = {"dreambooth": (0.74, 0.8), "lora": (0.70, 0.8)}
    assert verdict_on(near, noise=0.002).kind == "tie"
    far = {"dreambooth": (0.9, 0.8), "lora": (0.70, 0.8)}
    assert verdict_on(far, noise=0.002).best == "dreambooth"


def test_what_varies_too_much_is_not_called_unlearnt() -> None:
    found = verdict_on({"dreambooth": (0.7, 0.8), "lora": (0.6, 0.8)}, noise=2.0)
    assert "seems to have learnt" in found.text and "--seeds" in found.next_step


def test_who_is_surely_behind_is_named_where_the_first_two_are_not_told_apart() -> None:
    found = verdict_on(
        {"dreambooth": (0.8, 0.9), "lora": (0.78, 0.9), "textual-inversion": (0.1, 0.9)}, noise=0.15
    )
    assert (found.kind, found.best) == ("not_enough_evidence", None)
    assert "from LoRA; behind them: Textual Inversion" in found.text


def test_what_is_surely_behind_is_no_side_of_a_trade_off() -> None:
    """The most obedient method has hardly learnt: the trade-off is between the other two."""
    found = verdict_on(
        {"dreambooth": (0.9, 0.5), "lora": (0.5, 0.9), "textual-inversion": (0.1, 1.0)}, noise=0.03
    )
    assert (found.kind, found.likeness, found.scenes) == ("trade_off", "dreambooth", "lora")


def test_normalised_scores_hit_their_ends() -> None:
    score = np.array([0.2, 0.5, 0.8])
    assert normalise(score, 0.2, 0.8) == pytest.approx([0.0, 0.5, 1.0])
    assert overall_score(np.array([-0.5, 0.5]), np.array([-1.0, 0.5])) == pytest.approx([0, 0.25])


def test_a_scale_needs_its_ends_apart() -> None:
    sampled = sampled_for()
    floor = scores(0.4, 0, sampled)
    assert separates(floor, np.full_like(floor, 0.8), sampled)
    assert not separates(floor, np.full_like(floor, 0.4), sampled)
    assert not separates(floor, np.full_like(floor, 0.1), sampled)


def test_p_best_orders_methods_and_pairs_are_directed() -> None:
    sampled = sampled_for()
    overall = {"a": scores(0.5, 0, sampled), "b": scores(0.6, 1, sampled)}
    shares = probability_best(overall, sampled)
    assert shares["b"] > shares["a"] and sum(shares.values()) == pytest.approx(1.0)
    assert separated_pairs(overall, sampled) == {("b", "a")}


def test_where_nothing_is_replicated_nothing_is_said_of_chance() -> None:
    """One training, one plain and one edit prompt: high scores, but no knowing how they vary."""
    sampled = resamples(1, np.array([0, 1]), draws=100)
    standings = {"dreambooth": (0.9, 0.9), "lora": (0.3, 0.9)}
    found = verdict_on(standings, sampled=sampled)
    assert (found.kind, found.best) == ("not_enough_evidence", None)
    assert "DreamBooth leads" in found.text and "--seeds 3" in found.next_step
