"""A random Stable Diffusion small enough for tests, and short trainings of it."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from pseudoword.concept import Photo
    from pseudoword.families.model import Model
    from pseudoword.train import Prior

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


def build_model(folder: Path, prediction_type: str) -> Path:
    """Writes a StableDiffusionPipeline of random weights (seed 0) in the diffusers layout."""
    import torch
    from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
    from diffusers import StableDiffusionPipeline as Pipeline
    from transformers import CLIPTextConfig, CLIPTextModel

    from pseudoword.toybox.recipe.tokenizer import MAX_LENGTH, build_tokenizer

    torch.set_num_threads(1)
    tokenizer = build_tokenizer(WORDS)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        autoencoder = AutoencoderKL(
            down_block_types=("DownEncoderBlock2D",) * 2,
            up_block_types=("UpDecoderBlock2D",) * 2,
            block_out_channels=(8, 16),
            latent_channels=4,
            norm_num_groups=4,
            sample_size=SIDE,
            scaling_factor=1.0,
        )
        unet = UNet2DConditionModel(
            sample_size=SIDE // 2,
            block_out_channels=(16, 32),
            layers_per_block=1,
            down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
            up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
            cross_attention_dim=24,
            attention_head_dim=2,
            norm_num_groups=4,
        )
        text_encoder = CLIPTextModel(
            CLIPTextConfig(
                vocab_size=len(tokenizer),
                hidden_size=24,
                intermediate_size=48,
                num_hidden_layers=2,
                num_attention_heads=2,
                max_position_embeddings=MAX_LENGTH,
                bos_token_id=tokenizer.bos_token_id,
                eos_token_id=tokenizer.eos_token_id,
                pad_token_id=tokenizer.pad_token_id,
            )
        )
        # At their usual start of 0.02 all words would look alike to a random denoiser.
        torch.nn.init.normal_(text_encoder.get_input_embeddings().weight, std=1.0)
        for name, module in unet.named_modules():
            if ".attn2." in name and isinstance(module, torch.nn.Linear):
                torch.nn.init.normal_(module.weight, std=0.5)
    scheduler = DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        prediction_type=prediction_type,
        timestep_spacing="trailing",
        steps_offset=1,
        clip_sample=False,
        set_alpha_to_one=False,
    )
    pipeline = Pipeline(
        vae=autoencoder,
        text_encoder=text_encoder,
        tokenizer=tokenizer,
        unet=unet,
        scheduler=scheduler,
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipeline.save_pretrained(folder, safe_serialization=True)
    return folder


def load_tiny(folder: Path) -> "Model":
    """A fresh copy of a model that `build_model` wrote, on the CPU."""
    import torch

    from pseudoword.families import load_model

    return load_model(str(folder), torch.device("cpu"))


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
    model_folder: Path, name: str, folder: Path, prior: "Prior | None" = None, **more: Any
) -> "Model":
    """Trains method `name` for a few steps into `folder`; returns the model as training left it."""
    from pseudoword.methods import make_method
    from pseudoword.train import train

    model = load_tiny(model_folder)
    keywords = {key: more.pop(key) for key in ("snapshots", "progress") if key in more}
    seed = more.pop("seed", 0)
    changes = {"steps": 6, "batch_size": 2, **OPTIONS[name], **more}
    method = make_method(name, "stable-diffusion", changes)
    train(model, method, NOUN, make_photos(), folder, seed=seed, prior=prior, **keywords)
    return model
