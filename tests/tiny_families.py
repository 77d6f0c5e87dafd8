"""Random models of every family, small enough for tests.

Each builder writes a pipeline of random weights (seed 0) in the diffusers layout: pictures of
tiny.SIDE pixels (the latents are half of that), the words of tiny.WORDS.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from tiny import SIDE, WORDS

BETAS = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}


def build_sd1(folder: Path, prediction_type: str) -> Path:
    """Stable Diffusion 1.x, also with the objective of its followers."""
    from transformers import CLIPTextModel

    tokenizer = clip_tokenizer()
    with seeded():
        autoencoder = build_autoencoder(latent_channels=4)
        unet = build_unet(attention_head_dim=2)
        text_encoder = CLIPTextModel(clip_config(tokenizer, 24, "quick_gelu"))
        make_prompts_matter([text_encoder], unet, ".attn2.")
    settings = {"prediction_type": prediction_type, "timestep_spacing": "trailing"}
    return save_sd(folder, autoencoder, text_encoder, tokenizer, unet, settings)


def build_sd2(folder: Path) -> Path:
    """Stable Diffusion 2.x: OpenCLIP's activation, linear projections, v-prediction."""
    from transformers import CLIPTextModel

    tokenizer = clip_tokenizer()
    with seeded():
        # The layer that SD 2.x does not read is dropped, as in its published folder.
        text_encoder = CLIPTextModel(clip_config(tokenizer, 24, "gelu"))
        autoencoder = build_autoencoder(latent_channels=4)
        unet = build_unet(attention_head_dim=[2, 4], use_linear_projection=True)
        make_prompts_matter([text_encoder], unet, ".attn2.")
    settings = {"prediction_type": "v_prediction"}
    return save_sd(folder, autoencoder, text_encoder, tokenizer, unet, settings)


def save_sd(
    folder: Path,
    autoencoder: Any,
    text_encoder: Any,
    tokenizer: Any,
    unet: Any,
    scheduler: dict[str, Any],
) -> Path:
    """A pipeline of one text encoder, with these settings of the scheduler."""
    from diffusers import DDIMScheduler
    from diffusers import StableDiffusionPipeline as Pipeline

    usual = {**BETAS, "steps_offset": 1, "clip_sample": False, "set_alpha_to_one": False}
    pipeline = Pipeline(
        vae=autoencoder,
        text_encoder=text_encoder,
        tokenizer=tokenizer,
        unet=unet,
        scheduler=DDIMScheduler(**usual, **scheduler),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipeline.save_pretrained(folder, safe_serialization=True)
    return folder


def build_xl(folder: Path) -> Path:
    """Stable Diffusion XL: the block layout of the true one, so its modules have the same names."""
    from diffusers import EulerDiscreteScheduler, UNet2DConditionModel
    from diffusers import StableDiffusionXLPipeline as Pipeline
    from transformers import CLIPTextModel, CLIPTextModelWithProjection

    tokenizer, tokenizer_2 = clip_tokenizer(), clip_tokenizer(pad_token="!")
    with seeded():
        text_encoder = CLIPTextModel(clip_config(tokenizer, 24, "quick_gelu"))
        text_encoder_2 = CLIPTextModelWithProjection(clip_config(tokenizer_2, 32, "gelu"))
        autoencoder = build_autoencoder(latent_channels=4)
        unet = UNet2DConditionModel(
            sample_size=SIDE // 2,
            block_out_channels=(16, 16, 32),
            layers_per_block=2,
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
            transformer_layers_per_block=[1, 1, 2],
            attention_head_dim=[2, 2, 4],
            cross_attention_dim=24 + 32,
            use_linear_projection=True,
            addition_embed_type="text_time",
            addition_time_embed_dim=8,
            # The pooled text, and the six numbers of size and crop.
            projection_class_embeddings_input_dim=32 + 6 * 8,
            norm_num_groups=4,
        )
        make_prompts_matter([text_encoder, text_encoder_2], unet, ".attn2.")
    pipeline = Pipeline(
        vae=autoencoder,
        text_encoder=text_encoder,
        text_encoder_2=text_encoder_2,
        tokenizer=tokenizer,
        tokenizer_2=tokenizer_2,
        unet=unet,
        scheduler=EulerDiscreteScheduler(**BETAS, timestep_spacing="leading", steps_offset=1),
        add_watermarker=False,
    )
    pipeline.save_pretrained(folder, safe_serialization=True)
    return folder


def build_sd3(folder: Path, t5: bool, dual: bool) -> Path:
    """Stable Diffusion 3; with `dual`, 3.5 medium: normed queries and keys, dual attention.

    `t5`: with the third text encoder, else without it as many people run these models.
    """
    import torch
    from diffusers import FlowMatchEulerDiscreteScheduler, SD3Transformer2DModel
    from diffusers import StableDiffusion3Pipeline as Pipeline
    from transformers import CLIPTextModelWithProjection, T5Config, T5EncoderModel

    tokenizer, tokenizer_2 = clip_tokenizer(), clip_tokenizer(pad_token="!")
    tokenizer_3 = t5_tokenizer() if t5 else None
    text_encoder_3 = None
    with seeded():
        text_encoder = CLIPTextModelWithProjection(clip_config(tokenizer, 24, "quick_gelu"))
        text_encoder_2 = CLIPTextModelWithProjection(clip_config(tokenizer_2, 32, "gelu"))
        # SD 3 takes CLIP-L's pooled text as it is; single files may leave this out.
        torch.nn.init.eye_(text_encoder.text_projection.weight)
        text_encoders: list[Any] = [text_encoder, text_encoder_2]
        if tokenizer_3:
            text_encoder_3 = T5EncoderModel(
                T5Config(
                    vocab_size=len(tokenizer_3),
                    d_model=64,
                    d_kv=16,
                    d_ff=96,
                    num_layers=2,
                    num_heads=4,
                    feed_forward_proj="gated-gelu",
                )
            )
            text_encoders.append(text_encoder_3)
        autoencoder = build_autoencoder(
            latent_channels=16,
            shift_factor=0.0609,
            use_quant_conv=False,
            use_post_quant_conv=False,
        )
        transformer = SD3Transformer2DModel(
            sample_size=SIDE // 2,
            patch_size=2,
            in_channels=16,
            out_channels=16,
            num_layers=2,
            attention_head_dim=8,
            num_attention_heads=4,
            joint_attention_dim=64,
            caption_projection_dim=32,
            pooled_projection_dim=24 + 32,
            pos_embed_max_size=8,
            qk_norm="rms_norm" if dual else None,
            dual_attention_layers=(0,) if dual else (),
        )
        make_prompts_matter(text_encoders, transformer, ".add_")
    pipeline = Pipeline(
        vae=autoencoder,
        text_encoder=text_encoder,
        text_encoder_2=text_encoder_2,
        text_encoder_3=text_encoder_3,
        tokenizer=tokenizer,
        tokenizer_2=tokenizer_2,
        tokenizer_3=tokenizer_3,
        transformer=transformer,
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0),
    )
    pipeline.save_pretrained(folder, safe_serialization=True)
    return folder


@contextmanager
def seeded() -> Iterator[None]:
    """Weights drawn within are the same each time, and the global chance is left alone."""
    import torch

    torch.set_num_threads(1)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


def build_autoencoder(**options: Any) -> Any:
    from diffusers import AutoencoderKL

    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        block_out_channels=(8, 16),
        norm_num_groups=4,
        sample_size=SIDE,
        scaling_factor=1.0,
        **options,
    )


def build_unet(**options: Any) -> Any:
    """The denoiser of SD 1.x and 2.x: two levels, the first with cross-attention."""
    from diffusers import UNet2DConditionModel

    return UNet2DConditionModel(
        sample_size=SIDE // 2,
        block_out_channels=(16, 32),
        layers_per_block=1,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        cross_attention_dim=24,
        norm_num_groups=4,
        **options,
    )


def clip_tokenizer(pad_token: str | None = None) -> Any:
    """The tokenizer of tiny.WORDS; SDXL and SD 3 pad their second one with another token."""
    from pseudoword.toybox.recipe.tokenizer import build_tokenizer

    tokenizer = build_tokenizer(WORDS)
    if pad_token:
        tokenizer.pad_token = pad_token
    return tokenizer


def clip_config(tokenizer: Any, width: int, activation: str) -> Any:
    from transformers import CLIPTextConfig

    return CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=width,
        projection_dim=width,
        intermediate_size=2 * width,
        num_hidden_layers=2,
        num_attention_heads=2,
        hidden_act=activation,
        max_position_embeddings=tokenizer.model_max_length,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )


def t5_tokenizer() -> Any:
    """A unigram T5 tokenizer in which each of tiny.WORDS is one token, and others are letters."""
    from transformers import T5TokenizerFast

    special = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -2.0)]
    whole = [(f"▁{word}", -1.0) for word in WORDS]
    letters = [(chr(code), -9.0) for code in range(33, 127)]
    return T5TokenizerFast(vocab=[*special, *whole, *letters], extra_ids=0, model_max_length=32)


def make_prompts_matter(text_encoders: list[Any], denoiser: Any, part: str) -> None:
    """At their usual start of 0.02 all words would look alike to a random denoiser.

    `part` is found in the names of the denoiser's layers that read the text.
    """
    import torch

    for text_encoder in text_encoders:
        torch.nn.init.normal_(text_encoder.get_input_embeddings().weight, std=1.0)
    for name, module in denoiser.named_modules():
        if part in name and isinstance(module, torch.nn.Linear):
            torch.nn.init.normal_(module.weight, std=0.5)


def draw(pipeline: Any, prompt: str) -> np.ndarray:
    """A picture (SIDE, SIDE, 3) in [0, 1] of two steps from the noise of seed 0."""
    import torch

    pipeline.set_progress_bar_config(disable=True)
    generator = torch.Generator().manual_seed(0)
    result = pipeline(
        prompt, num_inference_steps=2, guidance_scale=3.0, generator=generator, output_type="np"
    )
    picture: np.ndarray = result.images[0]
    return picture
