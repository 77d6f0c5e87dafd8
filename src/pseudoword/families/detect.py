"""Which model a single file holds, by the names and shapes in its header."""

from collections.abc import Mapping

from pseudoword.errors import UserError
from pseudoword.families.layouts import DENOISER

Shapes = Mapping[str, tuple[int, ...]]
"""Key => shape, as in the header of a .safetensors file."""

CONTEXT = "transformer_blocks.0.attn2.to_k.weight"

SIGNATURES: dict[str, dict[str, tuple[int, ...]]] = {
    "sd-1.5": {
        "input_blocks.0.0.weight": (320, 4, 3, 3),
        f"input_blocks.1.1.{CONTEXT}": (320, 768),
    },
    "sd-2.1": {
        "input_blocks.0.0.weight": (320, 4, 3, 3),
        f"input_blocks.1.1.{CONTEXT}": (320, 1024),
    },
    "sdxl": {
        "input_blocks.0.0.weight": (320, 4, 3, 3),
        f"input_blocks.4.1.{CONTEXT}": (640, 2048),
    },
    "sd-3-medium": {"pos_embed": (1, 192**2, 1536)},
    "sd-3.5-medium": {"pos_embed": (1, 384**2, 1536)},
    "sd-3.5-large": {"pos_embed": (1, 192**2, 2432)},
}
"""Tensors of the denoiser that tell the configurations apart. SD 2.1's two sizes have the same."""

ADAPTER = "a LoRA or another adapter: name the model that it belongs to"
OTHERS: dict[str, str] = {
    "lora_down": ADAPTER,
    "lora_up": ADAPTER,
    "lora_A": ADAPTER,
    "lora.down": ADAPTER,
    "hada_w1": ADAPTER,
    "lokr_w": ADAPTER,
    "oft_blocks": ADAPTER,
    "oft_diag": ADAPTER,
    "control_model.": "a ControlNet, no model of its own",
    "motion_modules.": "an AnimateDiff module, no model of its own",
    "double_blocks.": "of the FLUX kind",
    "double_layers.": "AuraFlow",
    "clip_txt_mapper.": "Stable Cascade",
    "effnet_mapper.": "Stable Cascade",
    "cross_attn.kv_linear": "PixArt or Sana",
    "cap_embedder.": "of the Lumina kind",
    "img_mod.": "Qwen-Image",
    "edm_mean": "Playground 2.5",
    "conditioner.embedders.0.model.": "the refiner of SDXL: name the base model",
}
"""What other files are, by a piece of a key that only they have."""

INPUTS = {
    5: "takes a depth map",
    7: "enlarges pictures",
    8: "edits pictures (InstructPix2Pix)",
    9: "fills in masks (inpainting)",
}
"""What a Stable Diffusion of so many input channels does."""

PARTIAL: dict[str, str] = {
    "input_blocks.": "a denoiser alone, without text encoder and autoencoder",
    "joint_blocks.": "a denoiser alone, without text encoders and autoencoder",
    "down_blocks.": "a denoiser alone, in the diffusers layout: name its whole model folder",
    "transformer_blocks.": "a denoiser alone, in the diffusers layout: name its whole model folder",
    "text_model.": "a text encoder alone",
    "shared.": "a text encoder alone",
    "encoder.": "an autoencoder (VAE) alone",
    "first_stage_model.": "an autoencoder (VAE) alone",
}
"""What a file without DENOISER in it is, by how its keys begin; the first that fits."""

SUPPORTED = "Stable Diffusion 1.x, 2.x, XL, 3 and 3.5 can be taught."


def detect(shapes: Shapes) -> str:
    """The name in CONFIGURATIONS of the model that a file holds.

    SD 2.1 base has the same tensors as SD 2.1 and is called that. Raises UserError where it is of
    another family, a part of a model or of another size.
    """
    refuse_others(shapes)
    for name, signature in SIGNATURES.items():
        if all(shapes.get(DENOISER + key) == shape for key, shape in signature.items()):
            return name
    raise UserError(
        "it is a Stable Diffusion of a size that is not published:\n"
        "name a diffusers folder of the same size with --config-folder."
    )


def refuse_others(shapes: Shapes) -> None:
    """Raises UserError where a file holds no whole Stable Diffusion that draws from text alone."""
    what = _other(shapes)
    if what:
        raise UserError(f"it is {what}.\n{SUPPORTED}")


def _other(shapes: Shapes) -> str | None:
    for piece, what in OTHERS.items():
        if any(piece in key for key in shapes):
            return what
    if not any(key.startswith(DENOISER) for key in shapes):
        return _partial(shapes)
    first = shapes.get(f"{DENOISER}input_blocks.0.0.weight", ())
    inputs = first[1] if len(first) == 4 else 0
    if inputs in INPUTS:
        return f"a model that {INPUTS[inputs]}, with {inputs} input channels"
    known = ("input_blocks.0.", "joint_blocks.0.")
    if not any(key.startswith(DENOISER + block) for key in shapes for block in known):
        return "of another family"
    return None


def _partial(shapes: Shapes) -> str:
    for start, what in PARTIAL.items():
        if any(key.startswith(start) for key in shapes):
            return what
    if 0 < len(shapes) <= 4 and all(len(shape) <= 2 for shape in shapes.values()):
        return "an embedding (textual inversion): name the model that it belongs to"
    return "no model in the original checkpoint layout"
