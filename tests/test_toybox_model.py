"""The toybox weights that ship: whole, small, in the public layouts, and good."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open

from pseudoword.families import MODELS, WEIGHTS, load_model
from pseudoword.generate import Request, generate
from pseudoword.metrics.distances import kid
from pseudoword.metrics.encoders import load_encoder
from pseudoword.progress import Silent
from pseudoword.settings import GenerateSettings
from pseudoword.toybox import check
from pseudoword.toybox.oracle import load_oracle
from pseudoword.toybox.photos import SIZE
from pseudoword.toybox.reader import load_reader
from pseudoword.toybox.recipe.data import HELD_OUT_SEED, Pictures
from pseudoword.toybox.recipe.judges import reader_accuracy
from pseudoword.toybox.recipe.oracle import oracle_accuracy
from pseudoword.toybox.recipe.tokenizer import RARE_WORDS
from pseudoword.toybox.world import sample_scene
from pseudoword.toybox.world.render import render_many
from pseudoword.toybox.world.vocabulary import CLASSES


def test_weights_are_small_and_16_bit() -> None:
    files = list(WEIGHTS.rglob("*.safetensors"))
    assert len(files) == 8
    assert sum(path.stat().st_size for path in files) <= 60 * 2**20
    for path in files:
        with safe_open(path, "np") as file:
            kinds = {str(file.get_slice(key).get_dtype()) for key in file.keys()}
        assert kinds <= {"F16", "I64"}, path


def test_plain_diffusers_loads_the_folder() -> None:
    from diffusers import StableDiffusionPipeline

    pipeline = StableDiffusionPipeline.from_pretrained(MODELS["toybox"].source)
    pipeline.set_progress_bar_config(disable=True)
    generator = torch.Generator().manual_seed(0)
    picture = pipeline(
        "a photo of a red mug", num_inference_steps=2, generator=generator, output_type="np"
    ).images[0]
    assert picture.shape == (SIZE, SIZE, 3)


def test_text_is_pooled_at_the_end_token() -> None:
    """With an end token of id 2, transformers would pool at the largest id instead."""
    model = load_model("toybox", torch.device("cpu"))
    ids = model.tokenize(["a photo of a red mug in the snow"])
    output = model.text_encoders[0](ids)
    end = int((ids[0] == model.tokenizers[0].eos_token_id).nonzero()[0])
    assert 0 < end < ids.shape[1] - 1
    assert torch.equal(output.pooler_output[0], output.last_hidden_state[0, end])


def test_rare_words_are_single_tokens_beside_class_nouns() -> None:
    tokenizer = load_model("toybox", torch.device("cpu")).tokenizers[0]
    for word in RARE_WORDS:
        assert word not in CLASSES
        assert len(tokenizer(f"{word} mug", add_special_tokens=False).input_ids) == 2


def test_a_small_check_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Thirty captions: far above chance (1 in 16, 12, 12, 4); the full check is a command."""
    monkeypatch.setattr(check, "SMALL_TOYS", 10)
    found = check.check_toybox(Silent(), captions=30)
    assert found["class"] > 0.6 and found["colour"] > 0.6 and found["setting"] > 0.6
    assert found["pattern"] > 0.5
    assert found["psnr"] >= 30
    # Of so few pictures the distance is noisy, but both have it to the same renders.
    assert found["kid"] - found["kid_renders"] < 0.3


def test_the_reader_reads_true_renders() -> None:
    """More of them than the small check draws: thirty tell an accuracy to some six points."""
    scenes = [sample_scene(HELD_OUT_SEED + index) for index in range(250)]
    pictures = Pictures(render_many(scenes, SIZE), HELD_OUT_SEED)
    found = reader_accuracy(load_reader(), pictures)
    vectors = load_encoder("toybox-inception").embed_images(
        [Image.fromarray(picture) for picture in pictures.pixels]
    )
    assert abs(kid(vectors[::2], vectors[1::2])) < 0.05, "one half of the renders is as the other"
    assert min(found[name] for name in ("class", "colour", "setting")) > 0.85


def test_the_oracle_knows_a_toy_among_near_doubles() -> None:
    """Of true renders in any style and setting; guessing would be right once in a hundred."""
    found = oracle_accuracy(load_oracle(), SIZE, toys=16)
    assert found["toy"] > 0.4
    assert found["setting"] > 0.9 and found["style"] > 0.9


def test_the_prompt_decides_what_is_drawn(tmp_path: Path) -> None:
    model = load_model("toybox", torch.device("cpu"))
    drawing = GenerateSettings(sampling_steps=8)
    prompts = ["a photo of a red ball in the snow", "a photo of a red ball at night"]
    snow, night = generate(model, [Request(prompt, 0) for prompt in prompts], drawing)
    assert np.mean(snow) > np.mean(night) + 40
