"""The published models that single files are of: their modules' configurations.

A folder in the diffusers layout says the same of itself; `read_configuration` reads it. Sizes and
schedules are those of the configuration files that are published with the models.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pseudoword.errors import UserError
from pseudoword.families.layouts import HOMES
from pseudoword.runs import read_json

Options = dict[str, Any]


@dataclass(frozen=True)
class Configuration:
    """What a model is made of.

    `family` is one of layouts.HOMES, `parts` are the configurations by their names in the diffusers
    layout, and `scheduler` is that of the scheduler with its "_class_name". `repository` on the
    Hugging Face hub has its tokenizers; none where a folder has them.
    """

    family: str
    parts: dict[str, Options]
    scheduler: Options
    repository: str | None = None


PIPELINES = {
    "StableDiffusionPipeline": "sd1",
    "StableDiffusionXLPipeline": "sdxl",
    "StableDiffusion3Pipeline": "sd3",
}
"""The families of diffusers' pipelines; the first loads SD 2.x too."""

# The published configurations give eos_token_id as 2, at which transformers pools the text at its
# highest token id. That is its end, unless words were added. The class's default (49407) always
# finds the end, so it stays.
CLIP_L: Options = {
    "hidden_size": 768,
    "intermediate_size": 3072,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "projection_dim": 768,
    "hidden_act": "quick_gelu",
}
# Its 24th and last layer is never read in SD 2.x.
OPEN_CLIP_H: Options = {
    "hidden_size": 1024,
    "intermediate_size": 4096,
    "num_hidden_layers": 23,
    "num_attention_heads": 16,
    "projection_dim": 512,
    "hidden_act": "gelu",
}
OPEN_CLIP_G: Options = {
    "hidden_size": 1280,
    "intermediate_size": 5120,
    "num_hidden_layers": 32,
    "num_attention_heads": 20,
    "projection_dim": 1280,
    "hidden_act": "gelu",
}
T5_XXL: Options = {
    "vocab_size": 32128,
    "d_model": 4096,
    "d_kv": 64,
    "d_ff": 10240,
    "num_layers": 24,
    "num_heads": 64,
    "feed_forward_proj": "gated-gelu",
    "tie_word_embeddings": False,
}
VAE: Options = {
    "block_out_channels": (128, 256, 512, 512),
    "layers_per_block": 2,
    "down_block_types": ("DownEncoderBlock2D",) * 4,
    "up_block_types": ("UpDecoderBlock2D",) * 4,
    "latent_channels": 4,
    "sample_size": 512,
    "scaling_factor": 0.18215,
}
VAE_3: Options = VAE | {
    "latent_channels": 16,
    "sample_size": 1024,
    "scaling_factor": 1.5305,
    "shift_factor": 0.0609,
    "use_quant_conv": False,
    "use_post_quant_conv": False,
}
UNET_2: Options = {
    "cross_attention_dim": 1024,
    "attention_head_dim": (5, 10, 20, 20),
    "use_linear_projection": True,
}
UNET_XL: Options = {
    "sample_size": 128,
    "block_out_channels": (320, 640, 1280),
    "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
    "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
    "transformer_layers_per_block": (1, 2, 10),
    "attention_head_dim": (5, 10, 20),
    "cross_attention_dim": 2048,
    "use_linear_projection": True,
    "addition_embed_type": "text_time",
    "addition_time_embed_dim": 256,
    "projection_class_embeddings_input_dim": 2816,
}
MMDIT: Options = {
    "sample_size": 128,
    "num_layers": 24,
    "num_attention_heads": 24,
    "caption_projection_dim": 1536,
    "pos_embed_max_size": 192,
}
BETAS: Options = {
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "steps_offset": 1,
}
PNDM: Options = BETAS | {
    "_class_name": "PNDMScheduler",
    "skip_prk_steps": True,
    "set_alpha_to_one": False,
}
V_PREDICTION: Options = BETAS | {
    "_class_name": "DDIMScheduler",
    "prediction_type": "v_prediction",
    "clip_sample": False,
    "set_alpha_to_one": False,
}
EULER: Options = BETAS | {"_class_name": "EulerDiscreteScheduler", "timestep_spacing": "leading"}
FLOW: Options = {"_class_name": "FlowMatchEulerDiscreteScheduler", "shift": 3.0}


def _stable_diffusion_3(repository: str, **changes: Any) -> Configuration:
    parts = {
        "transformer": MMDIT | changes,
        "vae": VAE_3,
        "text_encoder": CLIP_L,
        "text_encoder_2": OPEN_CLIP_G,
        "text_encoder_3": T5_XXL,
    }
    return Configuration("sd3", parts, FLOW, repository)


CONFIGURATIONS: dict[str, Configuration] = {
    "sd-1.5": Configuration(
        "sd1",
        {
            "unet": {"sample_size": 64, "cross_attention_dim": 768},
            "vae": VAE,
            "text_encoder": CLIP_L,
        },
        PNDM,
        "stable-diffusion-v1-5/stable-diffusion-v1-5",
    ),
    "sd-2.1": Configuration(
        "sd2",
        {
            "unet": UNET_2 | {"sample_size": 96, "upcast_attention": True},
            "vae": VAE | {"sample_size": 768},
            "text_encoder": OPEN_CLIP_H,
        },
        V_PREDICTION,
        "stabilityai/stable-diffusion-2-1",
    ),
    "sd-2.1-base": Configuration(
        "sd2",
        {"unet": UNET_2 | {"sample_size": 64}, "vae": VAE, "text_encoder": OPEN_CLIP_H},
        PNDM,
        "stabilityai/stable-diffusion-2-1-base",
    ),
    "sdxl": Configuration(
        "sdxl",
        {
            "unet": UNET_XL,
            "vae": VAE | {"sample_size": 1024, "scaling_factor": 0.13025},
            "text_encoder": CLIP_L,
            "text_encoder_2": OPEN_CLIP_G,
        },
        EULER,
        "stabilityai/stable-diffusion-xl-base-1.0",
    ),
    "sd-3-medium": _stable_diffusion_3("stabilityai/stable-diffusion-3-medium-diffusers"),
    "sd-3.5-medium": _stable_diffusion_3(
        "stabilityai/stable-diffusion-3.5-medium",
        pos_embed_max_size=384,
        qk_norm="rms_norm",
        dual_attention_layers=tuple(range(13)),
    ),
    "sd-3.5-large": _stable_diffusion_3(
        "stabilityai/stable-diffusion-3.5-large",
        num_layers=38,
        num_attention_heads=38,
        caption_projection_dim=2432,
        qk_norm="rms_norm",
    ),
}
"""By name; what a configuration leaves out is the default of the module's class."""


def read_configuration(folder: Path) -> Configuration:
    """The configuration of a model folder in the diffusers layout. Raises UserError."""
    pipeline = read_json(folder / "model_index.json").get("_class_name")
    if pipeline not in PIPELINES:
        raise UserError(
            f"--model-config {folder} is of a {pipeline}:\n"
            f"name a model folder of one of {', '.join(PIPELINES)}."
        )
    family = PIPELINES[pipeline]
    files = {part: folder / part / "config.json" for part in HOMES[family]}
    # The one part that may be left out.
    if not (folder / "text_encoder_3").is_dir():
        files.pop("text_encoder_3", None)
    parts = {part: read_json(file) for part, file in files.items()}
    # transformers leaves out nothing here: the activation is always written.
    if family == "sd1" and is_open_clip(parts["text_encoder"]):
        family = "sd2"
    return Configuration(family, parts, read_json(folder / "scheduler" / "scheduler_config.json"))


def is_open_clip(text_encoder: Options) -> bool:
    """Whether a text encoder is OpenCLIP's, as in SD 2.x: SD 1.x's activates otherwise."""
    return text_encoder.get("hidden_act") == "gelu"
