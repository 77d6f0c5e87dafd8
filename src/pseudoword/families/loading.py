"""From a name to a model: found, told where it cannot be, loaded by its family."""

from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import torch

from pseudoword.compute import PRECISIONS, Stage, effective
from pseudoword.disk import download_error
from pseudoword.errors import UserError
from pseudoword.families.model import Model
from pseudoword.families.quantise import prepare, shield
from pseudoword.families.single_file import load_single_file
from pseudoword.families.stable_diffusion import StableDiffusion
from pseudoword.families.stable_diffusion_3 import StableDiffusion3
from pseudoword.families.stable_diffusion_xl import StableDiffusionXL
from pseudoword.families.valueless import Valueless
from pseudoword.light_imports import uncollected
from pseudoword.memory import lacking
from pseudoword.runs import hash_bytes, hash_json, kept_sha256, read_json
from pseudoword.settings import ComputeSettings, LoadSettings

FAMILIES: dict[str, type[Model]] = {
    "StableDiffusionPipeline": StableDiffusion,
    "StableDiffusionXLPipeline": StableDiffusionXL,
    "StableDiffusion3Pipeline": StableDiffusion3,
}
"""By the class that model_index.json names."""

T5_PARTS = ("text_encoder_3", "tokenizer_3")


def load_folder(
    name: str,
    folder: Path,
    device: torch.device,
    loading: LoadSettings,
    compute: ComputeSettings,
    masters: bool,
) -> Model:
    """Loads the parts of a diffusers folder, frozen, in evaluation mode.

    Raises UserError where the folder is of another family or not whole.
    """
    t5 = loading.t5
    index, family = _family(name, folder)
    present = [part for part in family.PARTS if t5 or part not in T5_PARTS]
    missing = [p for p in present if not (folder / p).is_dir()]
    if needed := [part for part in missing if part not in family.OPTIONAL]:
        raise _not_whole(name, f"there is no folder {needed[0]} in it")
    if t5 and (missing or family is not StableDiffusion3):
        raise UserError(f"--model {name} has no T5: leave out --t5.")
    compute = effective(compute, device)
    # Read in their precision at once: in float32 large models need twice the main memory.
    dtype = torch.float32 if masters else PRECISIONS[compute.precision]
    parts = {
        part: _load_part(
            name, folder, part, family.PARTS[part], torch.float32 if part == "vae" else dtype
        )
        for part in present
        if part not in missing
    }
    fingerprint = _folder_fingerprint(folder, index, sorted(parts))
    return finish(family, name, parts, index, fingerprint, device, loading, compute, masters)


def folder_fingerprint(name: str, folder: Path, t5: bool) -> str:
    """`Model.fingerprint` of a diffusers folder, of which nothing is loaded. Raises UserError."""
    index, family = _family(name, folder)
    parts = [part for part in family.PARTS if t5 or part not in T5_PARTS]
    return _folder_fingerprint(folder, index, sorted(p for p in parts if (folder / p).is_dir()))


def _folder_fingerprint(folder: Path, index: Mapping[str, Any], parts: list[str]) -> str:
    told = {key: value for key, value in index.items() if not key.startswith("_")}
    return hash_bytes(
        _fingerprint(folder, parts).encode(),
        # What else the index tells of a model: SDXL's guidance depends on it.
        hash_json({key: v for key, v in told.items() if not isinstance(v, list)}).encode(),
    )


SINGLE_FILES: dict[str, type[Model]] = {
    "sd1": StableDiffusion,
    "sd2": StableDiffusion,
    "sdxl": StableDiffusionXL,
    "sd3": StableDiffusion3,
}
"""By the family that the keys of a single file tell."""


def load_file(
    name: str,
    path: Path,
    device: torch.device,
    loading: LoadSettings,
    compute: ComputeSettings,
    masters: bool,
) -> Model:
    """Loads a .safetensors file in the original layout. Raises UserError as its reader does."""
    configuration = Path(loading.config_folder) if loading.config_folder else None
    found = load_single_file(path, configuration, loading.t5)
    family = SINGLE_FILES[found.family]
    parts = {family.DENOISER: found.denoiser, "vae": found.autoencoder}
    parts["scheduler"] = found.scheduler
    for place, encoder, tokenizer in zip(
        ("", "_2", "_3"), found.text_encoders, found.tokenizers, strict=False
    ):
        parts |= {f"text_encoder{place}": encoder, f"tokenizer{place}": tokenizer}
    if loading.t5 and "text_encoder_3" not in parts:
        raise UserError(f"--model {name} holds no T5: leave out --t5.")
    fingerprint = hash_bytes(
        bytes.fromhex(kept_sha256(path)),
        *(hash_json(sorted(t.get_vocab().items())).encode() for t in found.tokenizers),
        *(repr(sorted(_config(part).items())).encode() for _, part in sorted(parts.items())),
        repr(sorted(parts)).encode(),
    )
    model = finish(family, name, parts, {}, fingerprint, device, loading, compute, masters)
    model.notes = tuple(found.notes)
    return model


def _config(part: Any) -> dict[str, Any]:
    """What a part is told beside its weights; a tokenizer has its vocabulary instead."""
    config = getattr(part, "config", {})
    told = dict(config.to_dict() if hasattr(config, "to_dict") else config)
    return {key: value for key, value in told.items() if not key.startswith("_")}


def preset_of_file(path: Path) -> str:
    """The family of a single file, by its header alone; the first one for what is no model."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "pt") as file:
            keys = list(file.keys())
    except (OSError, SafetensorError):
        return StableDiffusion.family  # told when it is loaded
    if any(".joint_blocks." in key for key in keys):
        return StableDiffusion3.family
    if any(key.startswith("conditioner.embedders.1.") for key in keys):
        return StableDiffusionXL.family
    return StableDiffusion.family


def preset_of_index(index: Mapping[str, Any]) -> str:
    """The family of a model_index.json; the first one for what cannot be taught."""
    return FAMILIES.get(str(index.get("_class_name")), StableDiffusion).family


def finish(
    family: type[Model],
    name: str,
    parts: Mapping[str, Any],
    index: Mapping[str, Any],
    fingerprint: str,
    device: torch.device,
    loading: LoadSettings,
    compute: ComputeSettings,
    masters: bool,
) -> Model:
    """A model of loaded parts, frozen, computing as told, and on its device.

    `masters` keeps all weights in float32, for a method to change them.
    """
    compute = effective(compute, device)
    modules = {k: part for k, part in parts.items() if isinstance(part, torch.nn.Module)}
    for key, part in modules.items():
        part.requires_grad_(False).eval()
        if key != "vae":
            shield(part, compute.precision, device)
            if not masters:
                prepare(part, compute)
        # Where it is on the CPU already, this still packs what prepare has left to the move.
        part.to("cpu" if compute.offload else device)
    channels = getattr(parts[family.DENOISER].config, "in_channels", 0)
    if channels != parts["vae"].config.latent_channels:
        raise UserError(
            f"--model {name} is for inpainting or editing (its denoiser reads {channels} channels):"
            "\nname a text-to-image model."
        )
    # Here, since it imports diffusers.
    from pseudoword.families.lean import make_lean

    make_lean(parts[family.DENOISER])
    model = family.assemble(name, parts, index, fingerprint, device, loading)
    model.compute = compute
    model.stage = Stage(device) if compute.offload else None
    return model


def _family(name: str, folder: Path) -> tuple[dict[str, Any], type[Model]]:
    if not (folder / "model_index.json").is_file():
        raise UserError(
            f"--model {name} has no model_index.json: name a repository or folder in the "
            "diffusers layout, or a .safetensors file."
        )
    return _family_of(name, read_json(folder / "model_index.json"))


def _family_of(name: str, index: Any) -> tuple[dict[str, Any], type[Model]]:
    known = index.get("_class_name") if isinstance(index, dict) else None
    if known not in FAMILIES:
        raise UserError(
            f"--model {name} is a {known}: only Stable Diffusion 1.x, 2.x, XL, 3 and 3.5 can be "
            "taught."
        )
    return index, FAMILIES[known]


def library_class(name: str) -> Any:
    """A class of diffusers or transformers."""
    with uncollected():
        import diffusers
        import transformers

        return getattr(diffusers, name, None) or getattr(transformers, name)


def _load_part(name: str, folder: Path, part: str, kind: str, dtype: torch.dtype) -> Any:
    from safetensors import SafetensorError

    load = library_class(kind)
    weights: dict[str, Any] = (
        {"use_safetensors": True, "dtype": dtype}
        if isinstance(load, type) and issubclass(load, torch.nn.Module)
        else {}
    )
    try:
        with Valueless():
            return load.from_pretrained(folder, subfolder=part, **weights)
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        if lacking(error):
            raise
        raise _not_whole(name, (str(error).splitlines() or [type(error).__name__])[0]) from None


def _not_whole(name: str, reason: str) -> UserError:
    return UserError(
        f"--model {name} is not whole ({reason[:150]}):\n"
        "name a diffusers folder that holds the .safetensors weights of every part."
    )


@cache
def fetch_index(name: str, source: str) -> dict[str, Any]:
    """model_index.json of a hub repository."""
    import huggingface_hub

    file = ask_hub(
        name, source, lambda: huggingface_hub.hf_hub_download(source, "model_index.json")
    )
    index = read_json(Path(file))
    return index if isinstance(index, dict) else {}


def fetch(name: str, source: str, t5: bool) -> Path:
    """The folder of a hub repository, fetched where it is not on this machine yet."""
    import huggingface_hub

    _, family = _family_of(name, fetch_index(name, source))
    parts = [part for part in family.PARTS if t5 or part not in T5_PARTS]
    files = ["*.json", "*.txt", "*.model", "model.safetensors"]
    files += ["diffusion_pytorch_model.safetensors", "*-0000?-of-0000?.safetensors"]
    patterns = ["model_index.json", *(f"{part}/{file}" for part in parts for file in files)]
    # Half-precision copies lie beside many models.
    leave = ["*.fp16*", "*.non_ema*"]
    return Path(
        ask_hub(
            name,
            source,
            lambda: huggingface_hub.snapshot_download(
                source, allow_patterns=patterns, ignore_patterns=leave
            ),
        )
    )


def fetched(source: str) -> Path | None:
    """The folder of a hub repository that is on this machine already; the hub is not asked."""
    import huggingface_hub
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        folder = Path(huggingface_hub.snapshot_download(source, local_files_only=True))
    except (HFValidationError, LocalEntryNotFoundError):
        return None
    # A single file's tokenizers may be all that was fetched of it.
    return folder if (folder / "model_index.json").is_file() else None


def ask_hub(name: str, source: str, ask: Callable[[], str]) -> str:
    """What `ask` gets from the hub or its cache.

    Raises UserError that tells apart what is gated, what does not exist, and being offline.
    """
    from huggingface_hub.errors import (
        EntryNotFoundError,
        GatedRepoError,
        HfHubHTTPError,
        HFValidationError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
    )

    try:
        return ask()
    except GatedRepoError:
        raise UserError(
            f"--model {name}: {source} is gated. Accept its licence at "
            f"https://huggingface.co/{source}\nand log in with `hf auth login`."
        ) from None
    except (RepositoryNotFoundError, HFValidationError):
        raise UserError(
            f"--model {name}: there is no public repository {source} on the hub.\n"
            "Check its spelling, or log in with `hf auth login` if it is private."
        ) from None
    except EntryNotFoundError as error:
        if not isinstance(error, LocalEntryNotFoundError):
            raise UserError(
                f"--model {name}: {source} has no model_index.json, so it is no model in the "
                "diffusers layout.\nDownload its .safetensors file and name that."
            ) from None
        raise _offline(name, source, error) from None
    except (HfHubHTTPError, OSError) as error:
        raise download_error(error) or _offline(name, source, error) from None


def _offline(name: str, source: str, error: Exception) -> UserError:
    reason = (str(error).splitlines() or [type(error).__name__])[0][:100]
    return UserError(
        f"--model {name}: {source} is not on this machine and cannot be fetched ({reason}).\n"
        "Go online once, name a folder or .safetensors file, or use --model toybox."
    )


def _fingerprint(folder: Path, parts: list[str]) -> str:
    """SHA-256 over everything that pictures depend on: weights, configurations, vocabulary."""
    files = [
        path
        for part in parts
        for path in sorted((folder / part).iterdir())
        if path.suffix in (".json", ".txt", ".model", ".safetensors")
    ]
    return hash_bytes(*(bytes.fromhex(kept_sha256(path)) for path in files))
