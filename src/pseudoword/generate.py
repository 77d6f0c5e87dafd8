"""Drawing pictures: prompts and seeds mixed in one batch, guidance for both halves at once."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pseudoword.families.model import Model
from pseudoword.settings import GenerateSettings


@dataclass(frozen=True)
class Request:
    """One picture to draw: what, and from which initial noise."""

    prompt: str
    seed: int


def generate(
    model: Model,
    requests: Sequence[Request],
    settings: GenerateSettings,
    progress: Callable[[int], None] = lambda count: None,
) -> list[np.ndarray]:
    """Pictures uint8 (size, size, 3), one for each request, in order.

    A request's noise comes from its seed alone, so that any model, given the same request, starts
    from the same noise; how many pictures share a batch changes nothing but rounding.
    """
    pictures: list[np.ndarray] = []
    for start in range(0, len(requests), settings.batch_size):
        part = requests[start : start + settings.batch_size]
        pixels = model.decode_latents(generate_latents(model, part, settings))
        eight_bits = (pixels.permute(0, 2, 3, 1).float() * 127.5 + 127.5).round().clamp(0, 255)
        pictures.extend(eight_bits.to(torch.uint8).cpu().numpy())
        progress(len(pictures))
    return pictures


@torch.no_grad()
def generate_latents(
    model: Model, requests: Sequence[Request], settings: GenerateSettings
) -> Tensor:
    """Scaled latents (n, c, h, w) of one batch: classifier-free guidance (arXiv 2207.12598)."""
    scheduler = make_sampler(model, settings)
    latents = initial_noise(model, [r.seed for r in requests]) * scheduler.init_noise_sigma
    texts = list(dict.fromkeys(["", *(r.prompt for r in requests)]))
    encoded = model.encode_prompts(texts)
    guided = settings.guidance_scale != 1.0
    rows = [texts.index(r.prompt) for r in requests]
    states = encoded[[0] * len(rows) + rows if guided else rows]
    for timestep in scheduler.timesteps:
        doubled = torch.cat([latents, latents]) if guided else latents
        times = timestep.to(model.device).expand(len(doubled))
        prediction = model.predict(scheduler.scale_model_input(doubled, timestep), times, states)
        if guided:
            without, with_text = prediction.chunk(2)
            prediction = without + settings.guidance_scale * (with_text - without)
        latents = scheduler.step(prediction, timestep, latents, return_dict=False)[0]
    return latents


def initial_noise(model: Model, seeds: Sequence[int]) -> Tensor:
    """Unit normal noise (n, c, h, w): row i is a function of seeds[i] and the shape alone."""
    rows = [
        torch.randn(model.latent_shape, generator=torch.Generator().manual_seed(seed))
        for seed in seeds
    ]
    return torch.stack(rows).to(model.device)


def make_sampler(model: Model, settings: GenerateSettings) -> Any:
    """The model's own noise levels, walked by the sampler that the settings name."""
    from diffusers import DDIMScheduler, DPMSolverMultistepScheduler

    if settings.sampler == "ddim":
        # Latents have no bounds to be clipped to; schedulers for pixels clip unless told.
        scheduler = DDIMScheduler.from_config(model.scheduler_config, clip_sample=False)
    else:
        scheduler = DPMSolverMultistepScheduler.from_config(
            model.scheduler_config, algorithm_type="dpmsolver++", solver_order=2
        )
    scheduler.set_timesteps(settings.sampling_steps)
    return scheduler
