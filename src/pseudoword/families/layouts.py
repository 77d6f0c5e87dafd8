"""Where the parts of each family stand in a single file."""

from dataclasses import dataclass

DENOISER = "model.diffusion_model."


@dataclass(frozen=True)
class Home:
    """Where a part stands in a file: its kind (original_names.TABLES), its prefix, its class."""

    kind: str
    prefix: str
    library: str
    class_name: str


def _clip(kind: str, prefix: str, class_name: str = "CLIPTextModelWithProjection") -> Home:
    return Home(kind, prefix, "transformers", class_name)


T5 = Home("t5", "text_encoders.t5xxl.transformer.", "transformers", "T5EncoderModel")
UNET = Home("unet", DENOISER, "diffusers", "UNet2DConditionModel")
VAE = Home("vae", "first_stage_model.", "diffusers", "AutoencoderKL")
HOMES: dict[str, dict[str, Home]] = {
    "sd1": {
        "unet": UNET,
        "vae": VAE,
        "text_encoder": _clip("clip", "cond_stage_model.transformer.", "CLIPTextModel"),
    },
    "sd2": {
        "unet": UNET,
        "vae": VAE,
        "text_encoder": _clip("open-clip", "cond_stage_model.model.", "CLIPTextModel"),
    },
    "sdxl": {
        "unet": UNET,
        "vae": VAE,
        "text_encoder": _clip("clip", "conditioner.embedders.0.transformer.", "CLIPTextModel"),
        "text_encoder_2": _clip("open-clip", "conditioner.embedders.1.model."),
    },
    "sd3": {
        "transformer": Home("sd3", DENOISER, "diffusers", "SD3Transformer2DModel"),
        "vae": VAE,
        "text_encoder": _clip("clip", "text_encoders.clip_l.transformer."),
        "text_encoder_2": _clip("clip", "text_encoders.clip_g.transformer."),
        "text_encoder_3": T5,
    },
}
"""By family and part."""

LEFT_OUT: dict[str, str] = {
    r"(first_stage_model\.)?model_ema\.": "averaged (EMA) weights",
    r"first_stage_model\.loss\.": "the loss of the autoencoder's training",
    r".*\.position_ids$": "position numbers",
    r"(.*\.)?logit_scale$": "the scale of CLIP's training loss",
    r"cond_stage_model\.model\.(text_projection$|transformer\.resblocks\.23\.)": (
        "the end of the text encoder, which SD 2.x does not read"
    ),
    r"(.*alphas_cumprod(_prev)?|betas|posterior_.*|lvlb_weights|logvar|scale_factor"
    r"|denoiser\.sigmas)$": "the noise schedule",
    r"(v_pred|ztsnr)$": "marks of the objective",
}
"""Keys of published files that no part has a place for: a pattern => what it is."""

T5_COPY = "encoder.embed_tokens.weight"
"""T5's embeddings again: files hold them twice, and a module shares them with "shared.weight"."""

CLIP_L_PROJECTION = "text_encoders.clip_l.transformer.text_projection.weight"
"""SD 3 takes CLIP-L's pooled text as it is, so files may leave its projection out."""
