"""Stable Diffusion 1.x and 2.x (and the toybox, which has their architecture)."""

import hashlib
from functools import cache
from pathlib import Path
from typing import Any

import torch

from pseudoword.errors import UserError
from pseudoword.families.model import Model
from pseudoword.objective import Objective
from pseudoword.runs import hash_bytes, read_json

PARTS = ("scheduler", "text_encoder", "tokenizer", "unet", "vae")


def load_stable_diffusion(name: str, source: str, device: torch.device) -> Model:
    """Loads the parts from a diffusers folder or hub name, float32, frozen, in evaluation mode."""
    folder = _local_folder(name, source)
    index = read_json(folder / "model_index.json")
    family = index.get("_class_name")
    if family != "StableDiffusionPipeline":
        raise UserError(
            f"--model {name} is a {family}: only Stable Diffusion 1.x and 2.x can be taught so far."
        )
    from safetensors import SafetensorError

    try:
        denoiser, autoencoder, text_encoder, tokenizer, scheduler = _load_parts(folder)
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0][:150]
        raise UserError(
            f"--model {name} is not whole ({reason}):\n"
            "name a diffusers folder with .safetensors weights in unet, vae and text_encoder."
        ) from None
    for part in (denoiser, autoencoder, text_encoder):
        part.requires_grad_(False).eval().to(device)
    scale = 2 ** (len(autoencoder.config.block_out_channels) - 1)
    side = denoiser.config.sample_size
    return Model(
        name=name,
        tokenizers=[tokenizer],
        text_encoders=[text_encoder],
        denoiser=denoiser,
        autoencoder=autoencoder,
        scheduler_config=dict(scheduler.config),
        objective=Objective(scheduler.config.prediction_type, scheduler.alphas_cumprod.float()),
        resolution=side * scale,
        latent_shape=(denoiser.config.in_channels, side, side),
        fingerprint=_fingerprint(folder),
        device=device,
    )


def _load_parts(folder: Path) -> tuple[Any, Any, Any, Any, Any]:
    from diffusers import AutoencoderKL, DDPMScheduler, UNet2DConditionModel
    from transformers import CLIPTextModel, CLIPTokenizer

    missing = [part for part in PARTS if not (folder / part).is_dir()]
    if missing:
        raise FileNotFoundError(f"there is no folder {missing[0]} in it")
    load: dict[str, Any] = {"use_safetensors": True, "dtype": torch.float32}
    return (
        UNet2DConditionModel.from_pretrained(folder, subfolder="unet", **load),
        AutoencoderKL.from_pretrained(folder, subfolder="vae", **load),
        CLIPTextModel.from_pretrained(folder, subfolder="text_encoder", **load),
        CLIPTokenizer.from_pretrained(folder, subfolder="tokenizer"),
        DDPMScheduler.from_pretrained(folder, subfolder="scheduler"),
    )


def _local_folder(name: str, source: str) -> Path:
    """The folder of `source`, downloaded where it is a hub name that is not here yet."""
    if Path(source).is_dir():
        return Path(source)
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    patterns = ["*.json", "*.txt", "*/model.safetensors", "*/diffusion_pytorch_model.safetensors"]
    try:
        return Path(snapshot_download(source, allow_patterns=patterns))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        reason = str(error).splitlines()[0][:100] if str(error) else type(error).__name__
        raise UserError(
            f"--model {name}: {source} is not on this machine and cannot be fetched ({reason}).\n"
            "Go online, accept its licence on the hub if it has one, or use --model toybox."
        ) from None


def _fingerprint(folder: Path) -> str:
    """SHA-256 over everything that pictures depend on: weights, configurations, vocabulary."""
    files = [
        path
        for part in PARTS
        for path in sorted((folder / part).iterdir())
        if path.suffix in (".json", ".txt", ".safetensors")
    ]
    return hash_bytes(*(_file_hash(path, path.stat().st_mtime_ns) for path in files))


@cache
def _file_hash(path: Path, modified: int) -> bytes:
    """A model is loaded afresh for every training: its files are read once, unless they change."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()
