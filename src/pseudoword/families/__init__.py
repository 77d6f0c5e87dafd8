"""The models that can be taught: a table of rows, and the loader."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pseudoword.errors import UserError

if TYPE_CHECKING:
    import torch

    from pseudoword.families.model import Model
    from pseudoword.settings import ComputeSettings, LoadSettings

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
    "sdxl": ModelRow(
        source="stabilityai/stable-diffusion-xl-base-1.0",
        preset="stable-diffusion-xl",
        summary="Stable Diffusion XL 1.0, 1024 px, from the Hugging Face hub",
        suite="classic",
        encoders=PHOTO_ENCODERS,
    ),
    "sd-3": ModelRow(
        source="stabilityai/stable-diffusion-3-medium-diffusers",
        preset="stable-diffusion-3",
        summary="Stable Diffusion 3 medium, 1024 px, from the Hugging Face hub (gated)",
        suite="classic",
        encoders=PHOTO_ENCODERS,
    ),
    "sd-3.5-medium": ModelRow(
        source="stabilityai/stable-diffusion-3.5-medium",
        preset="stable-diffusion-3",
        summary="Stable Diffusion 3.5 medium, 1024 px, from the Hugging Face hub (gated)",
        suite="classic",
        encoders=PHOTO_ENCODERS,
    ),
    "sd-3.5-large": ModelRow(
        source="stabilityai/stable-diffusion-3.5-large",
        preset="stable-diffusion-3",
        summary="Stable Diffusion 3.5 large, 1024 px, from the Hugging Face hub (gated)",
        suite="classic",
        encoders=PHOTO_ENCODERS,
    ),
}


def model_row(name: str) -> ModelRow:
    """The row of a model: one of MODELS, a folder, file or repository. Raises UserError."""
    if name in MODELS:
        return MODELS[name]
    path = Path(name)
    if path.is_file() and path.suffix != ".safetensors":
        raise UserError(
            f"--model {name} is no .safetensors file: other formats may run code when they are "
            "read.\nConvert it, or name the model's repository on the hub."
        )
    if not path.exists() and not re.fullmatch(r"[\w.-]+/[\w.-]+", name):
        raise UserError(
            f"--model {name} is not known: use {', '.join(MODELS)}, a diffusers folder, a "
            ".safetensors file or a hub name like owner/model."
        )
    preset = _guess_preset(name, path)
    what = "file" if path.is_file() else "diffusers folder" if path.exists() else "hub's"
    return ModelRow(
        source=name,
        preset=preset,
        summary=f"the {what} {name}",
        suite="classic",
        encoders=PHOTO_ENCODERS,
    )


def _guess_preset(name: str, path: Path) -> str:
    """The settings' presets are called like families, which a header or an index tells cheaply."""
    from pseudoword.families import loading
    from pseudoword.runs import read_json

    if path.is_file():
        return loading.preset_of_file(path)
    if (path / "model_index.json").is_file():
        return loading.preset_of_index(read_json(path / "model_index.json"))
    if path.exists():
        raise UserError(
            f"--model {name} has no model_index.json: name a folder in the diffusers layout."
        )
    return loading.preset_of_index(loading.fetch_index(name, name))


def load_model(
    name: str,
    device: "torch.device",
    loading: "LoadSettings | None" = None,
    compute: "ComputeSettings | None" = None,
    masters: bool = False,
) -> "Model":
    """Loads a model afresh, frozen. Raises UserError where it cannot be had.

    It computes as `compute` says, in float32 without it. `masters` keeps all weights in float32
    nevertheless, for a method to change them.
    """
    from pseudoword.families.loading import fetch, load_file, load_folder
    from pseudoword.families.model import FLOAT32
    from pseudoword.settings import LoadSettings

    loading = loading or LoadSettings()
    source = model_row(name).source
    path = Path(source)
    # A run remembers its model's name, and may be loaded from elsewhere.
    known = str(Path(name).resolve()) if name not in MODELS and path.exists() else name
    if loading.config_folder:
        if not path.is_file():
            raise UserError(f"--config-folder is for a single file, which --model {name} is not.")
        # As with the model itself, a run may be loaded from elsewhere.
        layout = str(Path(loading.config_folder).resolve())
        loading = loading.model_copy(update={"config_folder": layout})
    how = (loading, compute or FLOAT32, masters)
    if path.is_file():
        return load_file(known, path, device, *how)
    folder = path if path.exists() else fetch(name, source, loading.t5)
    return load_folder(known, folder, device, *how)


def known_fingerprint(name: str, loading: "LoadSettings") -> str | None:
    """`Model.fingerprint`, where it can be told without loading the model; else None.

    That is so of a folder, and of a model of the hub whose copy is on this machine.
    """
    from pseudoword.families.loading import fetched, folder_fingerprint

    source = model_row(name).source
    folder = Path(source) if Path(source).exists() else fetched(source)
    if folder is None or not folder.is_dir():
        return None
    return folder_fingerprint(name, folder, loading.t5)


def file_key(name: str, loading: "LoadSettings") -> str | None:
    """A hash of what `Model.fingerprint` of a single file depends on; None for other models.

    The fingerprint itself is told by the parts that the file is made into. Tokenizers that come
    from the hub, since no folder has them, are taken to stay as they are.
    """
    from pseudoword.compute import library_versions
    from pseudoword.runs import hash_json, kept_sha256
    from pseudoword.settings import ComputeSettings

    path = Path(model_row(name).source)
    if not path.is_file():
        return None
    folder = Path(loading.config_folder)
    layout = [*folder.glob("*.json"), *folder.glob("*/*")] if loading.config_folder else []
    texts = {
        str(file.relative_to(folder)): kept_sha256(file)
        for file in layout
        if file.suffix in (".json", ".txt", ".model")
    }
    versions = library_versions(ComputeSettings())
    return hash_json([kept_sha256(path), loading.t5, texts, versions])


def load_again(model: "Model") -> "Model":
    """The same model as it was before anything was taught to it, in float32."""
    return load_model(model.name, model.device, model.loading)
