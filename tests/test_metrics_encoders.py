"""Encoders on tiny models with random weights, and their preprocessing against transformers'."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
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
    ViTConfig,
    ViTModel,
)
from transformers.image_utils import (
    IMAGENET_DEFAULT_MEAN,
    IMAGENET_DEFAULT_STD,
    OPENAI_CLIP_MEAN,
    OPENAI_CLIP_STD,
)
from transformers.models.bit.image_processing_pil_bit import BitImageProcessorPil
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from pseudoword.errors import UserError
from pseudoword.metrics.encoders import ENCODERS, PICKLE, load_encoder, preprocess
from pseudoword.metrics.perceptual import coarse_features

PUBLISHED = {
    "openai/clip-vit-base-patch32": (224, 224),
    "openai/clip-vit-large-patch14": (224, 224),
    "openai/clip-vit-large-patch14-336": (336, 336),
    "facebook/dino-vits16": (256, 224),
    "facebook/dinov2-base": (256, 224),
    "facebook/dinov2-small": (256, 224),
    "facebook/dinov2-large": (224, 224),
}
"""The shorter edge and the crop, as published with each encoder or with the metric it is for."""
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


@pytest.mark.parametrize("role", MAKERS)
def test_one_look_gives_the_vectors_and_what_is_where(
    role: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    MAKERS[role][0](tmp_path)
    encoder = load_encoder(f"toybox-{role}", source=tmp_path)
    images = [picture(64, 64, seed) for seed in range(3)]
    vectors, places = encoder.look(images)
    assert np.array_equal(vectors, encoder.embed_images(images))
    assert places.dtype == np.float16 and len(places) == 3
    # Every place of every layer is an average of vectors of length 1.
    assert np.all((places.astype(np.float64) ** 2).sum(axis=1) <= 1.001)
    assert encoder.look([])[0].shape == vectors[:0].shape
    monkeypatch.setattr("pseudoword.metrics.encoders.BATCH_SIZE", 2)
    assert encoder.look(images)[1] == pytest.approx(places, abs=1e-3)


def test_coarse_features_are_their_definition() -> None:
    """Two pictures of 8 x 8 patches, six layers of tokens: by loops over layers and places."""
    torch.manual_seed(0)
    states = [torch.randn(2, 1 + 64, 5, dtype=torch.float64) for _ in range(7)]
    norm = torch.nn.LayerNorm(5, elementwise_affine=False)
    distances = []
    for layer in (2, 4, 6):
        tokens = norm(states[layer])[:, 1:]
        tokens = (tokens / tokens.norm(dim=2, keepdim=True)).reshape(2, 8, 8, 5)
        for y in range(4):
            for x in range(4):
                cells = tokens[:, 2 * y : 2 * y + 2, 2 * x : 2 * x + 2].reshape(2, 4, 5).mean(1)
                distances.append(float(((cells[0] - cells[1]) ** 2).sum()))
    found = coarse_features([state.float() for state in states], norm)
    assert float(((found[0] - found[1]) ** 2).sum()) == pytest.approx(np.mean(distances), rel=1e-5)


class Harmful:
    """What runs code when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (print, ("run",))


def test_dino_of_dreambooth_is_read_from_its_pickle(tmp_path: Path) -> None:
    """A ViT without a pooler, by torch's weights-only loader."""
    torch.manual_seed(0)
    size = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
    model = ViTModel(ViTConfig(**size, intermediate_size=16), add_pooling_layer=False)
    model.config.save_pretrained(tmp_path)
    torch.save(model.state_dict(), tmp_path / PICKLE)
    encoder = load_encoder("facebook/dino-vits16", source=tmp_path)
    pixels = preprocess(picture(300, 260), encoder.row)[None]
    with torch.inference_mode():
        expected = model.eval()(pixels).last_hidden_state[:, 0]
    assert encoder.embed_images([picture(300, 260)]) == pytest.approx(expected.numpy(), abs=1e-6)

    torch.save({"layernorm.weight": Harmful()}, tmp_path / PICKLE)
    with pytest.raises(Exception, match=r"[Ww]eights.only"):
        load_encoder("facebook/dino-vits16", source=tmp_path)


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
@pytest.mark.parametrize("name", PUBLISHED)
def test_preprocessing_is_that_of_transformers(name: str, size: tuple[int, int]) -> None:
    row, (resize, crop) = ENCODERS[name], PUBLISHED[name]
    clip = row.role == "clip"
    processor_class = CLIPImageProcessorPil if clip else BitImageProcessorPil
    processor = processor_class(
        size={"shortest_edge": resize},
        crop_size={"height": crop, "width": crop},
        resample=Image.Resampling.BICUBIC,
        image_mean=OPENAI_CLIP_MEAN if clip else IMAGENET_DEFAULT_MEAN,
        image_std=OPENAI_CLIP_STD if clip else IMAGENET_DEFAULT_STD,
    )
    image = picture(*size)
    expected = processor(image, return_tensors="pt")["pixel_values"][0]
    assert np.abs(preprocess(image, row).numpy() - np.asarray(expected)).max() < 2e-6


def test_every_published_encoder_is_pinned_and_checked() -> None:
    hub = {name: row for name, row in ENCODERS.items() if row.revision is not None}
    assert set(hub) == set(PUBLISHED)
    for row in hub.values():
        assert row.revision is not None and len(row.revision) == 40 and int(row.revision, 16)
        assert row.source in ENCODERS and hasattr(transformers, row.architecture)


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
