"""Encoders on tiny models with random weights, and their preprocessing against transformers'."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import (
    CLIPConfig,
    CLIPModel,
    CLIPTextConfig,
    CLIPTokenizer,
    CLIPVisionConfig,
    Dinov2Config,
    Dinov2Model,
    ResNetConfig,
    ResNetModel,
)
from transformers.models.bit.image_processing_pil_bit import BitImageProcessorPil
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from pseudoword.errors import UserError
from pseudoword.metrics.encoders import ENCODERS, load_encoder, preprocess

LETTERS = "abcdefghijklmnopqrstuvwxyz"


def picture(width: int, height: int, seed: int = 0) -> Image.Image:
    rng = np.random.default_rng([5, seed])
    coarse = rng.integers(0, 256, (height // 4 + 1, width // 4 + 1, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BILINEAR)


def save_clip(folder: Path) -> None:
    torch.manual_seed(0)
    words = [*LETTERS, *(letter + "</w>" for letter in LETTERS)]
    vocabulary = {word: i for i, word in enumerate([*words, "<|startoftext|>", "<|endoftext|>"])}
    bos, eos = vocabulary["<|startoftext|>"], vocabulary["<|endoftext|>"]
    small: dict[str, Any] = {
        "hidden_size": 16,
        "intermediate_size": 16,
        "num_attention_heads": 2,
        "num_hidden_layers": 1,
    }
    text = CLIPTextConfig(
        **small,
        vocab_size=len(vocabulary),
        max_position_embeddings=12,
        bos_token_id=bos,
        eos_token_id=eos,
        pad_token_id=eos,
    )
    vision = CLIPVisionConfig(**small, image_size=128, patch_size=16)
    config = CLIPConfig(
        text_config=text.to_dict(), vision_config=vision.to_dict(), projection_dim=8
    )
    CLIPModel(config).save_pretrained(folder)
    CLIPTokenizer(vocab=vocabulary, merges=[]).save_pretrained(folder)


def save_dino(folder: Path) -> None:
    torch.manual_seed(0)
    config = Dinov2Config(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, image_size=128, patch_size=16
    )
    Dinov2Model(config).save_pretrained(folder)


def save_inception(folder: Path) -> None:
    torch.manual_seed(0)
    config = ResNetConfig(embedding_size=8, hidden_sizes=[8, 12], depths=[1, 1], layer_type="basic")
    ResNetModel(config).save_pretrained(folder)


MAKERS = {"clip": (save_clip, 8), "dino": (save_dino, 16), "inception": (save_inception, 12)}


@pytest.mark.parametrize("role", MAKERS)
def test_pictures_become_vectors_whatever_the_batch(
    role: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save, dimension = MAKERS[role]
    save(tmp_path)
    encoder = load_encoder(f"toybox-{role}", "cpu", source=tmp_path)
    images = [picture(64, 64, 0), picture(80, 64, 1), picture(64, 100, 2)]
    together = encoder.embed_images(images)
    assert together.shape == (3, dimension) and together.dtype == np.float32
    assert encoder.embed_images([]).shape == (0, dimension)
    monkeypatch.setattr("pseudoword.metrics.encoders.BATCH_SIZE", 2)
    assert encoder.embed_images(images) == pytest.approx(together, abs=1e-5)
    assert np.ptp(together, axis=0).max() > 1e-3


def test_pooling_is_the_one_its_role_has(tmp_path: Path) -> None:
    save_dino(tmp_path)
    encoder = load_encoder("toybox-dino", source=tmp_path)
    pixels = preprocess(picture(64, 64), encoder.row)[None]
    with torch.inference_mode():
        cls = Dinov2Model.from_pretrained(tmp_path)(pixels).last_hidden_state[:, 0]
    assert encoder.embed_images([picture(64, 64)]) == pytest.approx(cls.numpy(), abs=1e-6)


def test_texts_are_told_apart_and_padding_does_not_count(tmp_path: Path) -> None:
    save_clip(tmp_path)
    encoder = load_encoder("toybox-clip", source=tmp_path)
    texts = ["a dog", "a dog in a fog", "a cat"]
    together = encoder.embed_texts(texts)
    assert together.shape == (3, 8)
    model, tokenizer = CLIPModel.from_pretrained(tmp_path), CLIPTokenizer.from_pretrained(tmp_path)
    for text, vector in zip(texts, together, strict=True):
        with torch.inference_mode():
            alone = model.get_text_features(**tokenizer(text, return_tensors="pt")).pooler_output
        assert vector == pytest.approx(alone[0].numpy(), abs=1e-5)
    assert np.abs(together[0] - together[2]).max() > 1e-4


def test_only_clip_reads(tmp_path: Path) -> None:
    save_dino(tmp_path)
    with pytest.raises(ValueError, match="no text"):
        load_encoder("toybox-dino", source=tmp_path).embed_texts(["a dog"])


def test_the_hash_follows_the_weights(tmp_path: Path) -> None:
    save_dino(tmp_path / "a")
    save_dino(tmp_path / "b")
    save_inception(tmp_path / "c")
    hashes = [
        load_encoder(name, source=tmp_path / folder).sha256
        for name, folder in (("toybox-dino", "a"), ("toybox-dino", "b"), ("toybox-inception", "c"))
    ]
    assert hashes[0] == hashes[1] != hashes[2]


@pytest.mark.parametrize("size", [(301, 200), (200, 333), (640, 481), (224, 224)])
@pytest.mark.parametrize("name", ["openai/clip-vit-base-patch32", "facebook/dinov2-base"])
def test_preprocessing_is_that_of_transformers(name: str, size: tuple[int, int]) -> None:
    row = ENCODERS[name]
    processor_class = CLIPImageProcessorPil if row.role == "clip" else BitImageProcessorPil
    processor = processor_class(
        size={"shortest_edge": row.resize},
        crop_size={"height": row.size, "width": row.size},
        resample=row.resample,
        image_mean=list(row.mean),
        image_std=list(row.std),
    )
    image = picture(*size)
    expected = processor(image, return_tensors="pt")["pixel_values"][0]
    assert preprocess(image, row) == pytest.approx(expected, abs=2e-6)


def test_clip_rows_hold_transformers_own_defaults() -> None:
    processor, row = CLIPImageProcessorPil(), ENCODERS["openai/clip-vit-large-patch14"]
    assert (row.mean, row.std) == (tuple(processor.image_mean), tuple(processor.image_std))
    assert row.resize == processor.size["shortest_edge"]
    assert row.size == processor.crop_size["height"]
    assert row.resample == processor.resample


def test_colour_modes_are_read_as_rgb() -> None:
    row = ENCODERS["toybox-dino"]
    grey = Image.new("L", (64, 64), 128)
    assert torch.equal(preprocess(grey, row), preprocess(grey.convert("RGB"), row))
    assert preprocess(Image.new("RGB", (10, 300)), row).shape == (3, 128, 128)


def test_an_unknown_encoder_is_told_with_those_there_are() -> None:
    with pytest.raises(UserError, match="toybox-clip"):
        load_encoder("clip-vit-b32")


def test_a_folder_without_weights_is_told(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({}))
    with pytest.raises(UserError, match=r"model\.safetensors"):
        load_encoder("toybox-clip", source=tmp_path)


def test_a_hub_model_that_cannot_be_had_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    row = ENCODERS["facebook/dinov2-small"]
    monkeypatch.setitem(ENCODERS, "facebook/dinov2-small", replace(row, revision="0" * 40))
    with pytest.raises(UserError, match="facebook/dinov2-small") as told:
        load_encoder("facebook/dinov2-small")
    assert "toybox-dino" in str(told.value) and len(str(told.value).splitlines()) <= 2
