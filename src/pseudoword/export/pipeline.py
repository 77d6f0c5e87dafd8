"""A whole model with the concept merged in, as a diffusers pipeline folder."""

from pathlib import Path
from typing import Any

import torch
from torch import nn

from pseudoword.artefact import LoadedRun
from pseudoword.export.factors import lora_factors
from pseudoword.export.verify import Reloaded, require_equal
from pseudoword.families import load_again
from pseudoword.families.model import Model
from pseudoword.generate import make_sampler
from pseudoword.settings import GenerateSettings


def pipeline_of(model: Model) -> Any:
    """A StableDiffusionPipeline that shares the parts of `model` and samples as pseudoword does."""
    from diffusers import StableDiffusionPipeline

    return StableDiffusionPipeline(
        vae=model.autoencoder,
        text_encoder=model.text_encoders[0],
        tokenizer=model.tokenizers[0],
        unet=model.denoiser,
        scheduler=make_sampler(model, GenerateSettings()),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def write_pipeline(run: LoadedRun, folder: Path) -> str:
    """The model as the run left it, with nothing beside its weights: DreamBooth."""
    pipeline_of(run.model).save_pretrained(folder, safe_serialization=True)
    return "."


def write_merged_lora(run: LoadedRun, folder: Path) -> str:
    """The untouched model with each factor product added to its matrix."""
    pipeline_of(_merged_lora(run)).save_pretrained(folder, safe_serialization=True)
    return "."


def write_extended_vocabulary(run: LoadedRun, folder: Path) -> str:
    """The untouched model with the new word in its tokenizer and its embedding table."""
    pipeline_of(_extended(run)).save_pretrained(folder, safe_serialization=True)
    return "."


def reload_pipeline(run: LoadedRun, untouched: Model, path: Path) -> Reloaded:
    return _reload(run, run.model, path, run.noun_phrase)


def reload_merged_lora(run: LoadedRun, untouched: Model, path: Path) -> Reloaded:
    return _reload(run, _merged_lora(run), path, run.noun_phrase)


def reload_extended_vocabulary(run: LoadedRun, untouched: Model, path: Path) -> Reloaded:
    return _reload(run, _extended(run), path, first_word(run))


def first_word(run: LoadedRun) -> str:
    """The placeholder alone: diffusers itself adds the words of further vectors to a prompt."""
    return run.noun_phrase.split()[0]


def _reload(run: LoadedRun, written: Model, path: Path, noun_phrase: str) -> Reloaded:
    from diffusers import StableDiffusionPipeline

    pipeline = StableDiffusionPipeline.from_pretrained(
        path, use_safetensors=True, dtype=torch.float32, local_files_only=True
    ).to(run.model.device)
    parts: list[tuple[str, nn.Module, nn.Module]] = [
        ("UNet", pipeline.unet, written.denoiser),
        ("text encoder", pipeline.text_encoder, written.text_encoders[0]),
        ("autoencoder", pipeline.vae, written.autoencoder),
    ]
    for what, part, own in parts:
        require_equal(what, part.state_dict(), own.state_dict())
    return Reloaded(pipeline, noun_phrase)


@torch.no_grad()
def _merged_lora(run: LoadedRun) -> Model:
    model = load_again(run.model)
    pairs = [(run.model.denoiser, model.denoiser)]
    pairs += zip(run.model.text_encoders, model.text_encoders, strict=True)
    for adapted, plain in pairs:
        for name, factors in lora_factors(adapted).items():
            plain.get_submodule(name).weight += factors.product
    return model


@torch.no_grad()
def _extended(run: LoadedRun) -> Model:
    model = load_again(run.model)
    words = run.noun_phrase.split()
    for index, encoder in enumerate(model.text_encoders):
        tokenizer = model.tokenizers[index]
        tokenizer.add_tokens(words)
        size = max(len(tokenizer), encoder.get_input_embeddings().num_embeddings)
        encoder.resize_token_embeddings(size, mean_resizing=False)
        rows = run.method.state(run.model)[f"text_encoders.{index}"]
        ids = tokenizer.convert_tokens_to_ids(words)
        encoder.get_input_embeddings().weight[ids] = rows
    return model
