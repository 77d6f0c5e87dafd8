"""The tiny models of other families are what their pipelines expect."""

from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import pytest
import torch
from tiny import SIDE

PIPELINES = {
    "tiny_sd2_model": "StableDiffusionPipeline",
    "tiny_xl_model": "StableDiffusionXLPipeline",
    "tiny_sd3_model": "StableDiffusion3Pipeline",
    "tiny_sd35_t5_model": "StableDiffusion3Pipeline",
}
NO_T5 = "tiny_sd3_model"


def draw(pipeline: Any, prompt: str) -> np.ndarray:
    """A picture (SIDE, SIDE, 3) in [0, 1] of two steps from the noise of seed 0."""
    pipeline.set_progress_bar_config(disable=True)
    generator = torch.Generator().manual_seed(0)
    result = pipeline(
        prompt, num_inference_steps=2, guidance_scale=3.0, generator=generator, output_type="np"
    )
    picture: np.ndarray = result.images[0]
    return picture


@pytest.mark.parametrize("fixture", PIPELINES)
def test_the_pipeline_loads_and_reads_prompts(fixture: str, request: pytest.FixtureRequest) -> None:
    folder: Path = request.getfixturevalue(fixture)
    pipeline_class = getattr(diffusers, PIPELINES[fixture])
    # diffusers wants to be told that a text encoder is left out on purpose.
    without = dict.fromkeys(("text_encoder_3", "tokenizer_3")) if fixture == NO_T5 else {}
    pipeline = pipeline_class.from_pretrained(folder, local_files_only=True, **without)
    mug, ball = draw(pipeline, "a red mug"), draw(pipeline, "a blue ball on snow")
    assert mug.shape == (SIDE, SIDE, 3)
    assert np.isfinite(mug).all()
    assert np.abs(mug - ball).mean() > 0.002
    assert np.array_equal(mug, draw(pipeline, "a red mug"))


def test_the_t5_tokenizer_knows_the_words(tiny_sd35_t5_model: Path) -> None:
    from transformers import T5TokenizerFast

    tokenizer = T5TokenizerFast.from_pretrained(tiny_sd35_t5_model / "tokenizer_3")
    assert tokenizer.tokenize("a red mug") == ["▁a", "▁red", "▁mug"]
    assert tokenizer("mug").input_ids[-1] == tokenizer.eos_token_id
