"""The proof of an export: what is loaded again holds the same numbers and draws the same."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pseudoword.artefact import LoadedRun
from pseudoword.generate import Request, generate, initial_noise, make_sampler
from pseudoword.settings import GenerateSettings

TOLERANCE = 3
"""Of 255. Merging a product into a weight changes the order of sums, and so the last bits."""
TEMPLATES = ("a photo of a {}", "a painting of a {} in the snow")
SETTINGS = GenerateSettings(sampling_steps=6)


@dataclass(frozen=True, eq=False)
class Reloaded:
    """A pipeline that an export was loaded into, and how prompts word the concept to it."""

    pipeline: Any
    noun_phrase: str


def require_equal(what: str, actual: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> None:
    """Raises RuntimeError unless the names are the same and the numbers are but for rounding."""
    if actual.keys() != expected.keys():
        missing = sorted(expected.keys() - actual.keys())[:3]
        foreign = sorted(actual.keys() - expected.keys())[:3]
        raise RuntimeError(f"the exported {what} lacks {missing} and has {foreign} in excess")
    for name, value in expected.items():
        if not torch.allclose(actual[name].to(value), value, rtol=1e-4, atol=1e-6):
            raise RuntimeError(f"the exported {what} has other numbers in {name}")


def largest_difference(run: LoadedRun, reloaded: Reloaded) -> int:
    """Largest difference (0 to 255) between the run's pictures and the reloaded pipeline's.

    Raises RuntimeError where it exceeds TOLERANCE.
    """
    seeds = range(len(TEMPLATES))
    requests = [
        Request(template.format(run.noun_phrase), seed)
        for template, seed in zip(TEMPLATES, seeds, strict=True)
    ]
    own = np.stack(generate(run.model, requests, SETTINGS)).astype(int)
    pipeline = reloaded.pipeline
    pipeline.scheduler = make_sampler(run.model, SETTINGS)
    pipeline.set_progress_bar_config(disable=True)
    drawn = pipeline(
        [template.format(reloaded.noun_phrase) for template in TEMPLATES],
        latents=initial_noise(run.model, seeds),
        num_inference_steps=SETTINGS.sampling_steps,
        guidance_scale=SETTINGS.guidance_scale,
        output_type="np",
    ).images
    difference = int(np.abs((drawn * 255).round().astype(int) - own).max())
    if difference > TOLERANCE:
        raise RuntimeError(f"the export draws other pictures than the run ({difference} of 255)")
    return difference
