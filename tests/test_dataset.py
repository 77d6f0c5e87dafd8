"""A batch is a function of seed, step and place, and every example gets its turn."""

import pytest
import torch

from pseudoword.dataset import Batch, Examples, draw_batch

SHAPE = (4, 2, 2)
TIMESTEPS = 1000


def make_examples(count: int, weight: float = 1.0, prompts: int = 2) -> Examples:
    """Example i is filled with the number i, so that a batch tells which it drew."""
    latents = torch.arange(count, dtype=torch.float32)[:, None, None, None].expand(count, *SHAPE)
    return Examples(latents, tuple(f"prompt {i}" for i in range(prompts)), weight)


def drawn(batch: Batch) -> list[int]:
    return [int(latents.flatten()[0]) for latents in batch.latents]


@pytest.mark.parametrize(("small", "more"), [(1, 1), (1, 3), (2, 1), (3, 2)])
@pytest.mark.parametrize(("seed", "step"), [(0, 0), (1, 17), (2**31, 10**6)])
def test_noise_and_timestep_do_not_know_the_batch_size(
    seed: int, step: int, small: int, more: int
) -> None:
    kinds = (make_examples(5), make_examples(3, 0.5))
    narrow = draw_batch(kinds, small, TIMESTEPS, seed, step)
    wide = draw_batch(kinds, small + more, TIMESTEPS, seed, step)
    places = [*range(small), *range(small + more, 2 * small + more)]
    assert torch.equal(narrow.noise, wide.noise[places])
    assert torch.equal(narrow.timesteps, wide.timesteps[places])


@pytest.mark.parametrize("batch_size", [1, 2, 5])
@pytest.mark.parametrize(("seed", "count"), [(0, 1), (1, 2), (2, 5), (3, 7)])
def test_every_epoch_holds_every_example_once(seed: int, count: int, batch_size: int) -> None:
    kinds = (make_examples(count),)
    order: list[int] = []
    for step in range(2 * count):
        order += drawn(draw_batch(kinds, batch_size, TIMESTEPS, seed, step))
    for start in range(0, len(order), count):
        assert sorted(order[start : start + count]) == list(range(count))


def test_a_batch_can_be_drawn_again_and_leaves_global_state_alone() -> None:
    state = torch.random.get_rng_state()
    first, again = (draw_batch((make_examples(5),), 4, TIMESTEPS, 7, 3) for _ in range(2))
    for name in ("latents", "noise", "timesteps", "weights"):
        assert torch.equal(getattr(first, name), getattr(again, name))
    assert first.prompts == again.prompts
    assert torch.equal(torch.random.get_rng_state(), state)


def test_seeds_steps_places_and_kinds_have_noise_of_their_own() -> None:
    kinds = (make_examples(5), make_examples(5))
    rows = torch.cat(
        [
            draw_batch(kinds, 3, TIMESTEPS, seed, step).noise.flatten(1)
            for seed in range(3)
            for step in range(3)
        ]
    )
    assert len(torch.unique(rows, dim=0)) == len(rows) == 54


def test_noise_is_unit_normal_and_timesteps_and_prompts_are_uniform() -> None:
    kinds = (make_examples(5, prompts=4),)
    batches = [draw_batch(kinds, 8, TIMESTEPS, 1, step) for step in range(250)]
    noise = torch.cat([batch.noise for batch in batches])
    assert abs(float(noise.mean())) < 0.03 and abs(float(noise.std()) - 1) < 0.03
    times = torch.cat([batch.timesteps for batch in batches])
    assert int(times.min()) >= 0 and int(times.max()) < TIMESTEPS
    assert torch.all((torch.histc(times.float(), 4, 0, TIMESTEPS) - 500).abs() < 100)
    prompts = [prompt for batch in batches for prompt in batch.prompts]
    assert all(abs(prompts.count(f"prompt {i}") - 500) < 100 for i in range(4))


def test_class_pictures_follow_the_photos_with_their_weight_and_prompts() -> None:
    prior = Examples(torch.full((2, *SHAPE), 9.0), ("class",), 0.25)
    batch = draw_batch((make_examples(5), prior), 3, TIMESTEPS, 0, 0)
    assert batch.weights.tolist() == [1.0] * 3 + [0.25] * 3
    assert drawn(batch)[3:] == [9, 9, 9]
    assert batch.prompts[3:] == ("class",) * 3 and "class" not in batch.prompts[:3]
