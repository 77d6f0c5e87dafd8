"""A batch is a function of seed, step and place, and every example gets its turn."""

import pytest
import torch

from pseudoword.dataset import Batch, Example, Examples, LatentView, draw_batch
from pseudoword.objective import Diffusion, FlowMatching
from pseudoword.settings import ObjectiveSettings

SHAPE = (4, 2, 2)
SIZES = (16, 16, 0, 0, 16, 16)
TIMESTEPS = 1000
OBJECTIVE = Diffusion("epsilon", torch.linspace(0.999, 0.005, TIMESTEPS))


def view(value: float, shape: tuple[int, ...] = SHAPE, mask: float | None = None) -> LatentView:
    masks = None if mask is None else torch.full((1, *shape[1:]), mask)
    return LatentView(torch.full(shape, float(value)), SIZES, masks)


def make_examples(count: int, weight: float = 1.0, prompts: int = 2) -> Examples:
    """Example i is filled with the number i, so that a batch tells which it drew."""
    texts = tuple(f"prompt {i}" for i in range(prompts))
    return Examples(tuple(Example((view(i),), texts) for i in range(count)), weight)


def draw(kinds: tuple[Examples, ...], batch_size: int, seed: int, step: int) -> Batch:
    (batch,) = draw_batch(kinds, batch_size, OBJECTIVE, seed, step)
    return batch


def drawn(batch: Batch) -> list[int]:
    return [int(latents.flatten()[0]) for latents in batch.latents]


@pytest.mark.parametrize(("small", "more"), [(1, 1), (1, 3), (2, 1), (3, 2)])
@pytest.mark.parametrize(("seed", "step"), [(0, 0), (1, 17), (2**31, 10**6)])
def test_noise_and_timestep_do_not_know_the_batch_size(
    seed: int, step: int, small: int, more: int
) -> None:
    kinds = (make_examples(5), make_examples(3, 0.5))
    narrow = draw(kinds, small, seed, step)
    wide = draw(kinds, small + more, seed, step)
    places = [*range(small), *range(small + more, 2 * small + more)]
    assert torch.equal(narrow.noise, wide.noise[places])
    assert torch.equal(narrow.timesteps, wide.timesteps[places])


@pytest.mark.parametrize("batch_size", [1, 2, 5])
@pytest.mark.parametrize(("seed", "count"), [(0, 1), (1, 2), (2, 5), (3, 7)])
def test_every_epoch_holds_every_example_once(seed: int, count: int, batch_size: int) -> None:
    kinds = (make_examples(count),)
    order: list[int] = []
    for step in range(2 * count):
        order += drawn(draw(kinds, batch_size, seed, step))
    for start in range(0, len(order), count):
        assert sorted(order[start : start + count]) == list(range(count))


def test_a_batch_can_be_drawn_again_and_leaves_global_state_alone() -> None:
    state = torch.random.get_rng_state()
    first, again = (draw((make_examples(5),), 4, 7, 3) for _ in range(2))
    for name in ("latents", "noise", "timesteps", "weights"):
        assert torch.equal(getattr(first, name), getattr(again, name))
    assert first.prompts == again.prompts
    assert torch.equal(torch.random.get_rng_state(), state)


def test_seeds_steps_places_and_kinds_have_noise_of_their_own() -> None:
    kinds = (make_examples(5), make_examples(5))
    rows = torch.cat(
        [draw(kinds, 3, seed, step).noise.flatten(1) for seed in range(3) for step in range(3)]
    )
    assert len(torch.unique(rows, dim=0)) == len(rows) == 54


def test_noise_is_unit_normal_and_timesteps_and_prompts_are_uniform() -> None:
    kinds = (make_examples(5, prompts=4),)
    batches = [draw(kinds, 8, 1, step) for step in range(250)]
    noise = torch.cat([batch.noise for batch in batches])
    assert abs(float(noise.mean())) < 0.03 and abs(float(noise.std()) - 1) < 0.03
    times = torch.cat([batch.timesteps for batch in batches])
    assert int(times.min()) >= 0 and int(times.max()) < TIMESTEPS
    assert torch.all((torch.histc(times.float(), 4, 0, TIMESTEPS) - 500).abs() < 100)
    prompts = [prompt for batch in batches for prompt in batch.prompts]
    assert all(abs(prompts.count(f"prompt {i}") - 500) < 100 for i in range(4))


def test_class_pictures_follow_the_photos_with_their_weight_and_prompts() -> None:
    prior = Examples((Example((view(9),), ("class",)),) * 2, 0.25)
    batch = draw((make_examples(5), prior), 3, 0, 0)
    assert batch.weights.tolist() == [1.0] * 3 + [0.25] * 3
    assert batch.kinds == (0, 0, 0, 1, 1, 1)
    assert drawn(batch)[3:] == [9, 9, 9]
    assert batch.prompts[3:] == ("class",) * 3 and "class" not in batch.prompts[:3]


def test_every_view_of_a_picture_is_drawn_and_changes_no_noise() -> None:
    one = Examples((Example((view(0),), ("a",)),), 1.0)
    three = Examples((Example((view(0), view(1), view(2)), ("a",)),), 1.0)
    seen = set()
    for step in range(20):
        plain, batch = draw((one,), 2, 0, step), draw((three,), 2, 0, step)
        seen |= set(drawn(batch))
        assert torch.equal(plain.noise, batch.noise)
        assert torch.equal(plain.timesteps, batch.timesteps)
    assert seen == {0, 1, 2}


def test_shapes_have_batches_of_their_own_and_the_same_noise() -> None:
    wide = (4, 2, 3)
    pictures = (Example((view(0),), ("a",)), Example((view(1, wide),), ("b",)))
    batches = draw_batch((Examples(pictures, 1.0),), 4, OBJECTIVE, 0, 0)
    assert sorted(batch.latents.shape for batch in batches) == [(2, *SHAPE), (2, *wide)]
    for batch in batches:
        assert batch.noise.shape == batch.latents.shape
        assert set(batch.prompts) == ({"a"} if batch.latents.shape[1:] == SHAPE else {"b"})


def test_a_picture_without_a_mask_counts_everywhere() -> None:
    pictures = (Example((view(0, mask=0.25),), ("a",)), Example((view(1),), ("b",)))
    batch = draw((Examples(pictures, 1.0),), 2, 0, 0)
    assert batch.masks is not None
    means = {i: float(mask.mean()) for i, mask in zip(drawn(batch), batch.masks, strict=True)}
    assert means == {0: 0.25, 1: 1.0}
    assert draw((make_examples(2),), 2, 0, 0).masks is None


def test_noise_offset_adds_a_constant_to_each_channel() -> None:
    kinds = (make_examples(5),)
    (plain,) = draw_batch(kinds, 3, OBJECTIVE, 0, 0)
    (offset,) = draw_batch(kinds, 3, OBJECTIVE, 0, 0, ObjectiveSettings(noise_offset=0.1))
    shift = (offset.noise - plain.noise).flatten(2)
    torch.testing.assert_close(shift, shift[..., :1].expand_as(shift), atol=1e-6, rtol=0)
    assert shift.abs().max() > 0.01 and len(torch.unique(shift[..., 0].round(decimals=5))) == 12
    assert torch.equal(plain.timesteps, offset.timesteps) and plain.prompts == offset.prompts


def test_flow_matchings_timesteps_are_shifted_logit_normal() -> None:
    objective = FlowMatching(shift=3.0)
    times = [draw_batch((make_examples(3),), 8, objective, 0, s)[0].timesteps for s in range(200)]
    share = torch.cat(times) / 1000
    # Undoing the shift gives back logits of a unit normal.
    plain = share / (3 - 2 * share)
    logits = torch.log(plain / (1 - plain))
    assert abs(float(logits.mean())) < 0.1 and abs(float(logits.std()) - 1) < 0.1


def test_timesteps_are_drawn_as_told() -> None:
    def times(objective: Diffusion | FlowMatching, **options: str) -> torch.Tensor:
        chosen = ObjectiveSettings.model_validate(options)
        kinds = (make_examples(3),)
        drawn = [draw_batch(kinds, 8, objective, 0, s, chosen)[0].timesteps for s in range(200)]
        return torch.cat(drawn).double()

    flow = FlowMatching()
    assert torch.equal(times(OBJECTIVE), times(OBJECTIVE, timesteps="uniform"))
    assert torch.equal(times(flow), times(flow, timesteps="logit-normal"))
    for objective, most in ((OBJECTIVE, OBJECTIVE.timesteps), (flow, 1000)):
        middle = times(objective, timesteps="logit-normal") / most
        assert abs(float(torch.logit(middle.clamp(min=1e-4)).std()) - 1) < 0.1
        even = times(objective, timesteps="uniform") / most
        assert abs(float(even.std()) - 12**-0.5) < 0.02 and even.min() >= 0 and even.max() < 1
