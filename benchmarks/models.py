"""The models of the benchmarks as diffusers folders: the toybox, and full sizes of chance weights.

How long a step takes does not depend on what the weights are. So the sizes of Stable Diffusion 1.5
and XL are measured without downloading them: `sd15-size` is 4.3 GB on disk, `sdxl-size` 14 GB.
"""

import contextlib
import multiprocessing
import shutil
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from pseudoword.families import MODELS
from pseudoword.families.configurations import CONFIGURATIONS, Configuration

SIZES = {"sd15-size": "sd-1.5", "sdxl-size": "sdxl"}
NAMES = ("toybox", *SIZES)
LENGTH = 77
WORDS = 49_408
"""CLIP's vocabulary and the tokens that it reads."""


def model_folder(name: str, models: Path) -> Path:
    """The diffusers folder of a model; one of chance weights is written into `models` once.

    Any other name is that of a diffusers folder.
    """
    if name == "toybox":
        return Path(MODELS[name].source)
    if name not in SIZES:
        return Path(name)
    folder = models / name
    if not (folder / "model_index.json").exists():
        # The index is written first: a folder that was interrupted must not look whole.
        unfinished = models / f"{name}.unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        # In a process of its own: what is measured may need all memory.
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
            pool.submit(_save, SIZES[name], unfinished).result()
        shutil.rmtree(folder, ignore_errors=True)
        unfinished.rename(folder)
    return folder


def _save(configuration: str, folder: Path) -> None:
    build(CONFIGURATIONS[configuration]).save_pretrained(folder, safe_serialization=True)


def build(configuration: Configuration) -> Any:
    """A pipeline of chance weights of a published model's sizes, float32."""
    import diffusers
    import torch
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    torch.manual_seed(0)
    large = configuration.family == "sdxl"
    tokenizer = build_tokenizer()

    def encoder(place: str, kind: Any) -> Any:
        options = configuration.parts[f"text_encoder{place}"]
        ends = {
            "bos_token_id": tokenizer.bos_token_id,
            "eos_token_id": tokenizer.eos_token_id,
            "pad_token_id": tokenizer.pad_token_id,
        }
        return kind(CLIPTextConfig(vocab_size=WORDS, **options, **ends))

    options = dict(configuration.scheduler)
    parts = {
        "vae": diffusers.AutoencoderKL(**configuration.parts["vae"]),
        "unet": diffusers.UNet2DConditionModel(**configuration.parts["unet"]),
        "scheduler": getattr(diffusers, options.pop("_class_name"))(**options),
        "tokenizer": tokenizer,
        "text_encoder": encoder("", CLIPTextModel),
    }
    if large:
        parts |= {
            "tokenizer_2": tokenizer,
            "text_encoder_2": encoder("_2", CLIPTextModelWithProjection),
        }
        return diffusers.StableDiffusionXLPipeline(**parts, add_watermarker=False)
    return diffusers.StableDiffusionPipeline(
        **parts, safety_checker=None, feature_extractor=None, requires_safety_checker=False
    )


def build_tokenizer() -> Any:
    """A tokenizer of the toybox's words that reads as many tokens as CLIP's."""
    from transformers import CLIPTokenizer

    own = Path(MODELS["toybox"].source) / "tokenizer"
    return CLIPTokenizer.from_pretrained(own, model_max_length=LENGTH)


@contextlib.contextmanager
def place(given: Path | None) -> Iterator[Path]:
    """A folder that stays, or one that is removed in the end."""
    import tempfile

    if given is not None:
        given.mkdir(parents=True, exist_ok=True)
        yield given
        return
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        yield Path(folder)
