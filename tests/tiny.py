"""What tests teach random models (tiny_families.py): a word, photos, and short trainings."""

import copy
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from pseudoword.concept import Photo
    from pseudoword.families.model import Model
    from pseudoword.kept import Kept

WORDS = "a an and ball beach blue cube in mug of on photo red snow the toy".split()
SIDE = 16
"""Pixels; the latents are half of that."""
NOUN = "mug"

ATTENTION = {"targets": "attention", "train_text_encoder": False}
OPTIONS: dict[str, dict[str, Any]] = {
    "textual-inversion": {"learning_rate": 1e-1, "templates": "plain"},
    "dreambooth": {"learning_rate": 1e-3, "prior_weight": 0.0},
    "lora": {"learning_rate": 1e-2, "rank": 2, "alpha": 4.0},
    "dora": {"learning_rate": 1e-2, "rank": 2, "alpha": 4.0},
    "loha": {"learning_rate": 3e-2, "rank": 2, "alpha": 4.0, **ATTENTION},
    "lokr": {"learning_rate": 1e-2, "rank": 2, "alpha": 4.0, **ATTENTION},
    "oft": {"learning_rate": 1e-2, "block_size": 8},
    "boft": {"learning_rate": 1e-2, "block_size": 4, "factors": 2},
    "custom-diffusion": {
        "learning_rate": 1e-2,
        "word_learning_rate": 1e-2,
        "prior_weight": 0.0,
    },
    "pivotal-tuning": {
        "vectors": 1,
        "learning_rate": 1e-2,
        "word_learning_rate": 1e-1,
        "rank": 2,
        "alpha": 4.0,
        "templates": "plain",
        **ATTENTION,
    },
    "full-fine-tuning": {"learning_rate": 1e-3, "text_learning_rate": 1e-2},
}
"""Learning rates at which a handful of steps changes the pictures of a random model."""


def load_tiny(folder: Path) -> "Model":
    """A fresh copy of a model of tiny_families.py, on the CPU: T5 is read where there is one."""
    return copy.deepcopy(_loaded(folder))


@cache
def _loaded(folder: Path) -> "Model":
    """Read once: a copy takes a quarter of the time."""
    import torch

    from pseudoword.families import load_model
    from pseudoword.settings import LoadSettings

    return load_model(str(folder), torch.device("cpu"), LoadSettings(t5="t5" in folder.name))


def make_photos(count: int = 3) -> "list[Photo]":
    """Pictures (SIDE, SIDE, 3) of a bright square that moves over a dark ground."""
    photos = []
    for index in range(count):
        pixels = np.full((SIDE, SIDE, 3), 30, np.uint8)
        pixels[4 + index : 10 + index, 3:9] = (230, (60 + 40 * index) % 256, 20)
        photos.append(make_photo(pixels))
    return photos


def make_photo(pixels: np.ndarray, **more: Any) -> "Photo":
    """A photo of these pixels, as the intake would make it."""
    from pseudoword.concept import Photo
    from pseudoword.views import View

    height, width = pixels.shape[:2]
    views = (View(pixels, None, (height, width), (0, 0)),)
    return Photo(
        **{
            "name": "photo",
            "pixels": pixels,
            "sha256": "0",
            "original_width": width,
            "original_height": height,
            "views": views,
            **more,
        }
    )


def train_tiny(
    model_folder: Path, name: str, folder: Path, prior: "Kept | None" = None, **more: Any
) -> "Model":
    """Trains method `name` for a few steps into `folder`; returns the model as training left it."""
    from pseudoword.methods import make_method
    from pseudoword.train import train

    model = load_tiny(model_folder)
    names = ("snapshots", "progress", "checkpoints", "note")
    keywords = {key: more.pop(key) for key in names if key in more}
    seed = more.pop("seed", 0)
    changes = {"steps": 6, "batch_size": 2, **OPTIONS[name], **more}
    method = make_method(name, "stable-diffusion", changes)
    train(model, method, NOUN, make_photos(), folder, seed=seed, prior=prior, **keywords)
    return model
