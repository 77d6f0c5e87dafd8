"""Pictures are those of StableDiffusionPipeline, and a request's picture is its own affair."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import (
    DDIMScheduler,
    DPMSolverMultistepScheduler,
    SchedulerMixin,
    StableDiffusionPipeline,
)
from tiny import SIDE, load_tiny

from pseudoword.families.model import Model
from pseudoword.generate import Request, generate, initial_noise, make_sampler
from pseudoword.settings import GenerateSettings

REQUESTS = [
    Request("a photo of a mug", 0),
    Request("a red mug in the snow", 1),
    Request("a photo of a mug", 2),
]
SAMPLERS: dict[str, Callable[[Any], SchedulerMixin]] = {
    "ddim": DDIMScheduler.from_config,
    "dpm++": lambda config: DPMSolverMultistepScheduler.from_config(
        config, algorithm_type="dpmsolver++", solver_order=2
    ),
}


@pytest.fixture(scope="module")
def model(tiny_model: Path) -> Model:
    return load_tiny(tiny_model)


def difference(first: list[np.ndarray], second: list[np.ndarray]) -> int:
    return int(np.abs(np.stack(first).astype(int) - np.stack(second).astype(int)).max())


@pytest.mark.parametrize("guidance_scale", [1.0, 5.0])
@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("folder", ["tiny_model", "tiny_epsilon_model"])
def test_pictures_equal_the_pipelines(
    folder: str, sampler: Any, guidance_scale: float, request: pytest.FixtureRequest
) -> None:
    path = request.getfixturevalue(folder)
    pipeline = StableDiffusionPipeline.from_pretrained(path, local_files_only=True)
    pipeline.scheduler = SAMPLERS[sampler](pipeline.scheduler.config)
    pipeline.set_progress_bar_config(disable=True)
    theirs = pipeline(
        [r.prompt for r in REQUESTS],
        generator=[torch.Generator().manual_seed(r.seed) for r in REQUESTS],
        num_inference_steps=5,
        guidance_scale=guidance_scale,
    ).images
    settings = GenerateSettings(sampler=sampler, sampling_steps=5, guidance_scale=guidance_scale)
    ours = generate(load_tiny(path), REQUESTS, settings)
    assert difference(ours, [np.asarray(picture) for picture in theirs]) <= 1


def test_batching_changes_nothing_but_rounding(model: Model) -> None:
    pictures = [
        generate(model, REQUESTS, GenerateSettings(sampling_steps=5, batch_size=size))
        for size in (1, 2, 3)
    ]
    assert difference(pictures[0], pictures[1]) <= 1
    assert difference(pictures[0], pictures[2]) <= 1
    assert all(p.shape == (SIDE, SIDE, 3) and p.dtype == np.uint8 for p in pictures[0])


def test_seed_prompt_and_guidance_each_matter(model: Model) -> None:
    plain = GenerateSettings(sampling_steps=3)
    (first,), (again,) = (generate(model, REQUESTS[:1], plain) for _ in range(2))
    assert np.array_equal(first, again)
    others = [
        generate(model, [Request(REQUESTS[0].prompt, 1)], plain),
        generate(model, [Request("a toy on the beach", 0)], plain),
        generate(model, REQUESTS[:1], GenerateSettings(sampling_steps=3, guidance_scale=9.0)),
        generate(model, REQUESTS[:1], GenerateSettings(sampling_steps=3, sampler="ddim")),
    ]
    assert all(difference([first], other) > 3 for other in others)


def test_noise_is_a_function_of_the_seed_alone(model: Model) -> None:
    state = torch.random.get_rng_state()
    noise = initial_noise(model, [3, 4, 3])
    assert noise.shape == (3, *model.latent_shape)
    assert torch.equal(noise[0], noise[2]) and not torch.equal(noise[0], noise[1])
    assert torch.equal(initial_noise(model, [4])[0], noise[1])
    assert torch.equal(torch.random.get_rng_state(), state)


def test_progress_counts_pictures(model: Model) -> None:
    counts: list[int] = []
    generate(model, REQUESTS, GenerateSettings(sampling_steps=1, batch_size=2), counts.append)
    assert counts == [2, 3]


def test_latents_are_never_clipped(model: Model) -> None:
    """A folder whose scheduler says nothing of it must not get DDIM's default for pixels."""
    model.scheduler_config.pop("clip_sample")
    try:
        sampler = make_sampler(model, GenerateSettings(sampler="ddim"))
    finally:
        model.scheduler_config["clip_sample"] = False
    assert sampler.config.clip_sample is False


def test_latents_and_pixels_are_each_others_inverse_in_scale(model: Model) -> None:
    """Encoding scales by the factor that decoding takes out again."""
    pixels = torch.linspace(-1, 1, 3 * SIDE * SIDE).reshape(1, 3, SIDE, SIDE)
    posterior = model.autoencoder.encode(pixels).latent_dist.mean
    before = model.autoencoder.config.scaling_factor
    model.autoencoder.register_to_config(scaling_factor=0.5)
    try:
        latents = model.encode_pixels(pixels)
        decoded = model.decode_latents(latents)
    finally:
        model.autoencoder.register_to_config(scaling_factor=before)
    torch.testing.assert_close(latents, posterior * 0.5)
    torch.testing.assert_close(decoded, model.autoencoder.decode(posterior).sample.clamp(-1, 1))
