"""Drawing pictures: prompts and seeds mixed in one batch, guidance for both halves at once."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from pseudoword.errors import UserError
from pseudoword.families.model import Model, Text
from pseudoword.memory import Portion
from pseudoword.objective import FlowMatching
from pseudoword.settings import GenerateSettings

T = TypeVar("T")
ONE_PICTURE = "Try --quantise nf4, --offload (on a GPU), or a smaller --model."
DPM: tuple[str, dict[str, Any]] = (
    "DPMSolverMultistepScheduler",
    {"algorithm_type": "dpmsolver++", "solver_order": 2},
)
SAMPLERS: dict[str, tuple[str, dict[str, Any]]] = {
    "auto": DPM,
    "dpm++": DPM,
    # Latents have no bounds to be clipped to; schedulers for pixels clip unless told.
    "ddim": ("DDIMScheduler", {"clip_sample": False}),
    "euler": ("EulerDiscreteScheduler", {}),
}
"""diffusers' scheduler and what is changed in the model's configuration of it."""
FLOW_SAMPLERS: dict[str, tuple[str, dict[str, Any]]] = {
    "auto": ("FlowMatchEulerDiscreteScheduler", {}),
    "euler": ("FlowMatchEulerDiscreteScheduler", {}),
}


@dataclass(frozen=True)
class Request:
    """One picture to draw: what, and from which initial noise."""

    prompt: str
    seed: int


@torch.inference_mode()
def generate(
    model: Model,
    requests: Sequence[Request],
    settings: GenerateSettings,
    progress: Callable[[int], None] = lambda count: None,
    portion: Portion | None = None,
) -> list[np.ndarray]:
    """Pictures uint8 (size, size, 3), one for each request, in order.

    A request's noise comes from its seed alone, so that any model, given the same request, starts
    from the same noise; how many pictures share a batch changes nothing but rounding. A batch that
    does not fit into memory is halved; `portion` remembers that from call to call.
    """
    pictures: list[np.ndarray] = []
    portion = portion or drawing_portion("pictures")
    for start in range(0, len(requests), settings.batch_size):
        part = requests[start : start + settings.batch_size]
        pictures += in_portions(portion, part, lambda few: _pictures(model, few, settings))
        progress(len(pictures))
    return pictures


def drawing_portion(task: str, note: Callable[[str], None] = lambda text: None) -> Portion:
    """How many pictures of a task are drawn at once; `note` is told where all do not fit."""
    return Portion(task, ONE_PICTURE, note)


def in_portions(
    portion: Portion, requests: Sequence[Request], draw: Callable[[Sequence[Request]], Iterable[T]]
) -> list[T]:
    """What `draw` gives of each of the requests, which it gets as many of as fit into memory."""

    def attempt(most: int) -> list[T]:
        starts = range(0, len(requests), most)
        return [one for start in starts for one in draw(requests[start : start + most])]

    return portion.run(attempt, len(requests))


def _pictures(
    model: Model, requests: Sequence[Request], settings: GenerateSettings
) -> list[np.ndarray]:
    pixels = model.decode_latents(generate_latents(model, requests, settings))
    eight_bits = (pixels.permute(0, 2, 3, 1).float() * 127.5 + 127.5).round().clamp(0, 255)
    return list(eight_bits.to(torch.uint8).cpu().numpy())


@torch.no_grad()
def generate_latents(
    model: Model, requests: Sequence[Request], settings: GenerateSettings
) -> Tensor:
    """Scaled latents (n, c, h, w) of one batch: classifier-free guidance (arXiv 2207.12598)."""
    scheduler = make_sampler(model, settings)
    # Samplers of flow matching start from plain noise and take latents as they are.
    latents = initial_noise(model, [r.seed for r in requests])
    latents = latents * getattr(scheduler, "init_noise_sigma", 1.0)
    scale = getattr(scheduler, "scale_model_input", lambda latents, timestep: latents)
    texts = list(dict.fromkeys(r.prompt for r in requests))
    encoded = model.encode_prompts(texts)
    guided = settings.guidance_scale != 1.0
    rows = [texts.index(r.prompt) for r in requests]
    text = encoded.rows(rows)
    if guided:
        text = Text.cat([model.encode_unconditional().rows([0] * len(rows)), text])
    for timestep in scheduler.timesteps:
        doubled = torch.cat([latents, latents]) if guided else latents
        times = timestep.to(model.device).expand(len(doubled))
        prediction = model.predict(scale(doubled, timestep), times, text)
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
    """The model's own noise levels, walked by the sampler that the settings name.

    Raises UserError where the sampler does not fit the model's objective.
    """
    import diffusers

    samplers = FLOW_SAMPLERS if isinstance(model.objective, FlowMatching) else SAMPLERS
    if settings.sampler not in samplers:
        raise UserError(
            f"--sampler {settings.sampler} does not fit {model.name}: use {', '.join(samplers)}."
        )
    kind, changes = samplers[settings.sampler]
    scheduler = getattr(diffusers, kind).from_config(model.scheduler_config, **changes)
    scheduler.set_timesteps(settings.sampling_steps)
    return scheduler
