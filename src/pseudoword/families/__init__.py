"""The models that can be taught: a table of rows, and the loader."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pseudoword.errors import UserError

if TYPE_CHECKING:
    import torch

    from pseudoword.families.model import Model

WEIGHTS = Path(__file__).parent.parent / "toybox" / "weights"


@dataclass(frozen=True)
class ModelRow:
    """A model known by name. `preset` names the settings that suit a model of its size."""

    source: str
    preset: str
    summary: str
    suite: str
    encoders: dict[str, str]


PHOTO_ENCODERS = {
    "clip": "openai/clip-vit-base-patch32",
    "dino": "facebook/dinov2-base",
    "inception": "facebook/dinov2-base",
}

MODELS: dict[str, ModelRow] = {
    "toybox": ModelRow(
        source=str(WEIGHTS / "model"),
        preset="toybox",
        summary="small Stable Diffusion of a rendered toy world, 128 px, in the package",
        suite="toybox",
        encoders={"clip": "toybox-clip", "dino": "toybox-dino", "inception": "toybox-inception"},
    ),
    "sd-1.5": ModelRow(
        source="stable-diffusion-v1-5/stable-diffusion-v1-5",
        preset="stable-diffusion",
        summary="Stable Diffusion 1.5, 512 px, from the Hugging Face hub",
        suite="classic",
        encoders=PHOTO_ENCODERS,
    ),
    "sd-2.1": ModelRow(
        source="stabilityai/stable-diffusion-2-1",
        preset="stable-diffusion",
        summary="Stable Diffusion 2.1, v-prediction, 768 px, from the Hugging Face hub",
        suite="classic",
        encoders=PHOTO_ENCODERS,
    ),
}


def model_row(name: str) -> ModelRow:
    """The row of a model: one of MODELS, or a folder in the diffusers layout. Raises UserError."""
    if name in MODELS:
        return MODELS[name]
    folder = Path(name)
    if (folder / "model_index.json").is_file():
        return ModelRow(
            source=name,
            preset="stable-diffusion",
            summary=f"the diffusers folder {name}",
            suite="classic",
            encoders=PHOTO_ENCODERS,
        )
    if folder.exists():
        raise UserError(
            f"--model {name} has no model_index.json: name a folder in the diffusers layout."
        )
    raise UserError(f"--model {name} is not known: use {', '.join(MODELS)}, or a diffusers folder.")


def load_model(name: str, device: "torch.device") -> "Model":
    """Loads a model afresh, in float32, frozen. Raises UserError where it cannot be had."""
    from pseudoword.families.stable_diffusion import load_stable_diffusion

    source = model_row(name).source
    # A run remembers its model's name, and may be loaded from elsewhere.
    known = name if name in MODELS else str(Path(name).resolve())
    return load_stable_diffusion(known, source, device)
