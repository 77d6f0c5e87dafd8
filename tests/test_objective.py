"""The objective agrees with diffusers' schedulers at every noise level."""

import pytest
import torch
from diffusers import DDPMScheduler

from pseudoword.objective import Objective, PredictionType

SCHEDULER = DDPMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear")


def make_objective(prediction_type: PredictionType) -> Objective:
    return Objective(prediction_type, SCHEDULER.alphas_cumprod.float())


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
    losses = make_objective("epsilon").losses(prediction, target)
    assert losses.dtype == torch.float32
    for loss, wanted, got in zip(losses, target, prediction, strict=True):
        torch.testing.assert_close(loss, ((got.float() - wanted.float()) ** 2).mean())
