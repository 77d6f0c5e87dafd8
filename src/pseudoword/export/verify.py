"""The proof of an export: what is loaded again holds the same numbers and draws the same."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pseudoword.artefact import LoadedRun
from pseudoword.export.parts import change, diffusers_phrase, named_parts, pipeline_of, tuner_layers
from pseudoword.families.model import Model
from pseudoword.generate import Request, generate, initial_noise, make_sampler
from pseudoword.settings import GenerateSettings

TOLERANCE = 3
"""Of 255. Merging a product into a weight changes the order of sums, and so the last bits."""
ROUNDING, FACTOR = 1 + 1e-6, 4
"""What noise is off by to see how far rounding carries, and how much more is borne."""
TEMPLATES = ("a photo of a {}", "a painting of a {} in the snow")
SETTINGS = GenerateSettings(sampling_steps=6)


@dataclass(frozen=True, eq=False)
class Reloaded:
    """A pipeline that `loader` loaded an export into, and how prompts to it word the concept."""

    pipeline: Any
    noun_phrase: str
    loader: str


def require_equal(what: str, actual: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> None:
    """Raises RuntimeError unless the names are the same and the numbers are but for rounding."""
    require_names(what, actual, expected)
    for name, value in expected.items():
        _require_close(f"{what} in {name}", actual[name], value)


def require_adapters(model: Model, expected: Model) -> None:
    """Raises RuntimeError unless the adapters of two models change the same by the same."""
    for (part, actual), own in zip(
        named_parts(model).items(), named_parts(expected).values(), strict=True
    ):
        layers, wanted = tuner_layers(actual), tuner_layers(own)
        require_names(f"adapters of {part}", layers, wanted)
        # One matrix after the other: together they may be larger than the model.
        for name, layer in wanted.items():
            _require_close(f"adapter of {part} in {name}", change(layers[name]), change(layer))


def require_names(what: str, actual: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
    """Raises RuntimeError unless the names are the same."""
    if actual.keys() != expected.keys():
        missing = sorted(expected.keys() - actual.keys())[:3]
        foreign = sorted(actual.keys() - expected.keys())[:3]
        raise RuntimeError(f"the exported {what} lacks {missing} and has {foreign} in excess")


def _require_close(what: str, actual: Tensor, expected: Tensor) -> None:
    if not torch.allclose(actual.to(expected), expected, rtol=1e-4, atol=1e-6):
        raise RuntimeError(f"the exported {what} has other numbers")


def largest_difference(run: LoadedRun, reloaded: Reloaded) -> int:
    """Largest difference (0 to 255) between the run's pictures and the reloaded pipeline's.

    Raises RuntimeError where it exceeds TOLERANCE, and by far what rounding does: the run's own
    pipeline then draws from noise that is off by its last bits.
    """
    prompts = [template.format(run.noun_phrase) for template in TEMPLATES]
    requests = [Request(prompt, seed) for seed, prompt in enumerate(prompts)]
    own = np.stack(generate(run.model, requests, SETTINGS)).astype(int)
    noise = initial_noise(run.model, range(len(TEMPLATES)))
    drawn = _draw(run.model, reloaded.pipeline, reloaded.noun_phrase, noise)
    difference = int(np.abs(drawn - own).max())
    if difference > TOLERANCE:
        again = _draw(run.model, pipeline_of(run.model), diffusers_phrase(run), noise * ROUNDING)
        if difference > FACTOR * np.abs(again - own).max():
            raise RuntimeError(
                f"the export draws other pictures than the run ({difference} of 255)"
            )
    return difference


def _draw(model: Model, pipeline: Any, noun_phrase: str, noise: Tensor) -> np.ndarray:
    pipeline.scheduler = make_sampler(model, SETTINGS)
    pipeline.set_progress_bar_config(disable=True)
    pictures: np.ndarray = pipeline(
        [template.format(noun_phrase) for template in TEMPLATES],
        latents=noise,
        height=model.resolution,
        width=model.resolution,
        num_inference_steps=SETTINGS.sampling_steps,
        guidance_scale=SETTINGS.guidance_scale,
        output_type="np",
    ).images
    return (pictures * 255).round().astype(int)
