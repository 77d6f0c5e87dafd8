"""Models of published sizes with random weights, in the diffusers layout."""

from pathlib import Path
from typing import Any

import torch

from pseudoword.families import load_model
from pseudoword.families.configurations import CONFIGURATIONS
from pseudoword.toybox.photos import SIZE

PUBLISHED = {"sd15": "sd-1.5", "sdxl": "sdxl"}
SIZES = {"toybox": SIZE, "sd15": 512, "sdxl": 1024}
"""Models that benchmarks know, with the side of their pictures."""
TOKENS = 77


def model_source(name: str, cache: Path) -> str:
    """What `--model` takes: the toybox's folder, or one of random weights, written once."""
    if name == "toybox":
        return str(toybox_folder())
    folder = cache / name
    if not (folder / "model_index.json").exists():
        _save(name, folder)
    return str(folder)


def toybox_folder() -> Path:
    import pseudoword.toybox

    return Path(pseudoword.toybox.__file__).parent / "weights" / "model"


def _save(name: str, folder: Path) -> None:
    import diffusers
    import transformers

    published = CONFIGURATIONS[PUBLISHED[name]]
    tokenizer = load_model("toybox", torch.device("cpu")).tokenizers[0]
    tokenizer.model_max_length = TOKENS
    parts: dict[str, Any] = {}
    for part, options in published.parts.items():
        if part == "unet":
            parts[part] = diffusers.UNet2DConditionModel(**options)
        elif part == "vae":
            parts[part] = diffusers.AutoencoderKL(**options)
        else:
            kind = transformers.CLIPTextModel
            if part == "text_encoder_2":
                kind = transformers.CLIPTextModelWithProjection
            parts[part] = kind(transformers.CLIPTextConfig(**options))
            parts[part.replace("text_encoder", "tokenizer")] = tokenizer
    scheduler = dict(published.scheduler)
    parts["scheduler"] = getattr(diffusers, scheduler.pop("_class_name"))(**scheduler)
    pipeline: Any = diffusers.StableDiffusionXLPipeline
    if name != "sdxl":
        pipeline = diffusers.StableDiffusionPipeline
        parts |= {"safety_checker": None, "feature_extractor": None}
        parts |= {"requires_safety_checker": False}
    pipeline(**parts).save_pretrained(folder)
