"""Models of every family and the toybox, computed and taught in the ways that settings name."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny import NOUN, OPTIONS, load_tiny, make_photo, make_photos
from torch import Tensor, nn

from pseudoword import train as loop
from pseudoword.families import load_model
from pseudoword.families.model import Model
from pseudoword.generate import Request, generate
from pseudoword.methods import make_method
from pseudoword.settings import ComputeSettings, GenerateSettings, LoadSettings

CPU = torch.device("cpu")
FAMILIES = ["tiny_model", "tiny_sd2_model", "tiny_xl_model", "tiny_sd3_model", "tiny_sd35_t5_model"]
DRAWING = GenerateSettings(sampling_steps=2)
TOYBOX = Path("toybox")
"""The packaged model: its widths are such that nf4 packs it."""
over_families = pytest.mark.parametrize("family", FAMILIES)


def load(folder: Path, masters: bool = False, **compute: Any) -> Model:
    if folder != TOYBOX and not masters and not compute:
        return load_tiny(folder)
    settings = ComputeSettings(**compute)
    loading = LoadSettings(t5="t5" in folder.name)
    return load_model(str(folder), CPU, loading, settings, masters)


def teach(folder: Path, name: str, out: Path, compute: dict[str, Any], **more: Any) -> Model:
    method = make_method(
        name, "stable-diffusion", {"steps": 6, "batch_size": 2, **OPTIONS[name], **more}
    )
    model = load(folder, "weights" in method.learns, **compute)
    photos = make_photos()
    if folder == TOYBOX:
        photos = [make_photo(p.pixels.repeat(4, axis=0).repeat(4, axis=1)) for p in photos]
    loop.train(model, method, NOUN, photos, out, seed=0)
    return model


def draw(model: Model, phrase: str) -> np.ndarray:
    return generate(model, [Request(f"a photo of a {phrase} in the snow", 3)], DRAWING)[0]


@torch.no_grad()
def predictions(model: Model) -> Tensor:
    """Of four fixed noisy latents (4, c, h, w)."""
    noise = torch.randn(4, *model.latent_shape, generator=torch.Generator().manual_seed(1))
    text = model.encode_prompts(["a photo of a mug", "a red cube"] * 2)
    return model.predict(noise, torch.tensor([100, 400, 600, 900]), text)


def relative_error(value: Tensor, truth: Tensor) -> float:
    return float((value - truth).square().mean().sqrt() / truth.square().mean().sqrt())


def frozen_parts(model: Model) -> dict[str, nn.Module]:
    return {"denoiser": model.denoiser} | {
        f"text_encoders.{i}": part for i, part in enumerate(model.text_encoders)
    }
