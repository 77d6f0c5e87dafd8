"""The objective agrees with diffusers' schedulers at every noise level."""

import pytest
import torch
from diffusers import DDPMScheduler, FlowMatchEulerDiscreteScheduler
from diffusers.training_utils import compute_snr

from pseudoword.errors import UserError
from pseudoword.objective import (
    Diffusion,
    FlowMatching,
    PredictionType,
    objective_of,
    squared_errors,
)

CPU = torch.device("cpu")
SCHEDULER = DDPMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear")


def make_objective(prediction_type: PredictionType) -> Diffusion:
    return Diffusion(prediction_type, SCHEDULER.alphas_cumprod.float())


def draw(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(5)
    first, second = torch.randn(2, count, 4, 3, 3, generator=generator)
    return first, second


def test_noise_and_targets_equal_diffusers() -> None:
    timesteps = torch.arange(1000)
    latents, noise = draw(1000)
    epsilon, velocity = make_objective("epsilon"), make_objective("v_prediction")
    for objective in (epsilon, velocity):
        assert objective.timesteps == 1000
        noisy = objective.add_noise(latents, noise, timesteps)
        torch.testing.assert_close(noisy, SCHEDULER.add_noise(latents, noise, timesteps))
    assert torch.equal(epsilon.target(latents, noise, timesteps), noise)
    expected = SCHEDULER.get_velocity(latents, noise, timesteps)
    torch.testing.assert_close(velocity.target(latents, noise, timesteps), expected)


def test_noise_and_velocity_are_a_rotation_of_signal_and_noise() -> None:
    timesteps = torch.tensor([0, 400, 999])
    latents, noise = draw(3)
    objective = make_objective("v_prediction")
    noisy = objective.add_noise(latents, noise, timesteps)
    target = objective.target(latents, noise, timesteps)
    torch.testing.assert_close(noisy**2 + target**2, latents**2 + noise**2)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_losses_are_float32_means_of_each_sample(dtype: torch.dtype) -> None:
    prediction, target = (part.to(dtype) for part in draw(5))
    losses = squared_errors(prediction, target)
    assert losses.dtype == torch.float32
    for loss, wanted, got in zip(losses, target, prediction, strict=True):
        torch.testing.assert_close(loss, ((got.float() - wanted.float()) ** 2).mean())


def test_a_mask_leaves_out_its_black_places_and_no_weight() -> None:
    prediction, target = draw(2)
    masks = torch.zeros(2, 1, 3, 3)
    masks[0, 0, 1, 1] = 1.0
    masks[1] = 0.5
    losses = squared_errors(prediction, target, masks)
    errors = (prediction - target).square()
    torch.testing.assert_close(losses[0], errors[0, :, 1, 1].mean())
    torch.testing.assert_close(losses[1], errors[1].mean())


@pytest.mark.parametrize("prediction_type", ["epsilon", "v_prediction"])
def test_min_snr_weights_are_those_of_the_paper(prediction_type: PredictionType) -> None:
    timesteps = torch.arange(1000)
    weights = make_objective(prediction_type).min_snr_weights(timesteps, 5.0)
    snr = compute_snr(SCHEDULER, timesteps)
    divisor = snr if prediction_type == "epsilon" else snr + 1
    torch.testing.assert_close(weights, snr.clamp(max=5.0) / divisor, rtol=1e-4, atol=1e-6)


def test_a_flow_is_that_of_its_scheduler() -> None:
    scheduler = FlowMatchEulerDiscreteScheduler(shift=3.0)
    objective = objective_of(scheduler, CPU)
    latents, noise = draw(1000)
    timesteps = scheduler.timesteps
    noisy = objective.add_noise(latents, noise, timesteps)
    torch.testing.assert_close(noisy, scheduler.scale_noise(latents, timesteps, noise))
    # One exact step along the flow from any of its points arrives at the picture.
    share = (timesteps / 1000)[:, None, None, None]
    end = noisy - share * objective.target(latents, noise, timesteps)
    torch.testing.assert_close(end, latents, atol=1e-5, rtol=1e-5)
    with pytest.raises(UserError, match="min_snr_gamma"):
        objective.min_snr_weights(timesteps, 5.0)


def test_the_schedulers_kind_tells_the_objective() -> None:
    assert isinstance(objective_of(SCHEDULER, CPU), Diffusion)
    flow = objective_of(FlowMatchEulerDiscreteScheduler(shift=2.0), CPU)
    assert isinstance(flow, FlowMatching) and flow.shift == 2.0
