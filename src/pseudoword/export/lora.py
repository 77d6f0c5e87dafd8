"""LoRA as files: for diffusers' loader, in Kohya's names, and as PEFT adapters."""

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pseudoword.artefact import LoadedRun
from pseudoword.export.factors import lora_factors, products
from pseudoword.export.pipeline import pipeline_of
from pseudoword.export.verify import Reloaded, require_equal
from pseudoword.families.model import Model

DIFFUSERS_FILE = "pytorch_lora_weights.safetensors"
SD2_TEXT_WIDTH = 1024


def write_diffusers(run: LoadedRun, folder: Path) -> str:
    """`unet.<module>.lora_A.weight` and its kin, for `load_lora_weights`.

    The scale is multiplied into the second factor, because many readers of this format take it
    for 1 whatever alpha was.
    """
    tensors = {}
    for prefix, part in _diffusers_parts(run.model):
        for name, factors in lora_factors(part).items():
            tensors[f"{prefix}{name}.lora_A.weight"] = factors.down
            tensors[f"{prefix}{name}.lora_B.weight"] = factors.up * factors.scale
    _save(folder / DIFFUSERS_FILE, tensors, {"format": "pt"})
    return "."


def write_kohya(run: LoadedRun, folder: Path) -> str:
    """`lora_unet_<module>.lora_down.weight`, `.lora_up.weight` and `.alpha`, with its metadata."""
    tensors: dict[str, Tensor] = {}
    for prefix, part in _diffusers_parts(run.model):
        text = prefix.startswith("text_encoder.")
        for name, factors in lora_factors(part).items():
            module = f"text_model.{name.removeprefix('text_model.')}" if text else name
            key = f"{'lora_te' if text else 'lora_unet'}_{module.replace('.', '_')}"
            tensors[f"{key}.lora_down.weight"] = factors.down
            tensors[f"{key}.lora_up.weight"] = factors.up
            tensors[f"{key}.alpha"] = torch.tensor(factors.alpha)
    title = file_stem(run)
    _save(folder / f"{title}.safetensors", tensors, _kohya_metadata(run, title, tensors))
    return f"{title}.safetensors"


def write_peft(run: LoadedRun, folder: Path) -> str:
    """An adapter of the UNet in `folder`, and one of the text encoder in its `text_encoder/`."""
    for place, part in _peft_parts(run.model, folder):
        tensors = {}
        for name, factors in lora_factors(part).items():
            tensors[f"base_model.model.{name}.lora_A.weight"] = factors.down
            tensors[f"base_model.model.{name}.lora_B.weight"] = factors.up
        if tensors:
            place.mkdir(exist_ok=True)
            _save(place / "adapter_model.safetensors", tensors, {"format": "pt"})
            # The folder that the model was loaded from is no business of the adapter's users.
            config = replace(part.peft_config["default"], base_model_name_or_path=None)
            config.save_pretrained(str(place))
    return "."


def reload_by_diffusers(run: LoadedRun, untouched: Model, path: Path) -> Reloaded:
    """Through `load_lora_weights`, which reads both diffusers' and Kohya's names."""
    pipeline = pipeline_of(untouched)
    file = path / DIFFUSERS_FILE if path.is_dir() else path
    pipeline.load_lora_weights(file.parent, weight_name=file.name, local_files_only=True)
    return _checked(run, untouched, pipeline)


def reload_by_peft(run: LoadedRun, untouched: Model, path: Path) -> Reloaded:
    """Through `PeftModel.from_pretrained`, which puts the adapter into the parts themselves."""
    from peft import PeftModel

    for place, part in _peft_parts(untouched, path):
        if (place / "adapter_config.json").is_file():
            PeftModel.from_pretrained(part, str(place))
    return _checked(run, untouched, pipeline_of(untouched))


def file_stem(run: LoadedRun) -> str:
    """A file name without suffix: "sks-mug"."""
    return "-".join(run.noun_phrase.split())


def _diffusers_parts(model: Model) -> list[tuple[str, Any]]:
    encoder = model.text_encoders[0]
    # Older transformers call the text model's modules text_model.*; all loaders know that name.
    nested = any(name.startswith("text_model.") for name, _ in encoder.named_modules())
    prefix = "text_encoder." if nested else "text_encoder.text_model."
    return [("unet.", model.denoiser), (prefix, encoder)]


def _peft_parts(model: Model, folder: Path) -> list[tuple[Path, Any]]:
    return [(folder, model.denoiser), (folder / "text_encoder", model.text_encoders[0])]


def _checked(run: LoadedRun, untouched: Model, pipeline: Any) -> Reloaded:
    pairs = [
        ("LoRA of the UNet", untouched.denoiser, run.model.denoiser),
        ("LoRA of the text encoder", untouched.text_encoders[0], run.model.text_encoders[0]),
    ]
    for what, part, own in pairs:
        require_equal(what, products(part), products(own))
    return Reloaded(pipeline, run.noun_phrase)


def _save(path: Path, tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
    from safetensors.torch import save_file

    save_file({k: v.cpu().contiguous() for k, v in tensors.items()}, path, metadata)


def _kohya_metadata(run: LoadedRun, title: str, tensors: dict[str, Tensor]) -> dict[str, str]:
    """What sd-scripts writes, as far as it applies, and ModelSpec 1.0.1; all strings."""
    from safetensors.torch import save

    model, settings = run.model, run.run["settings"]
    second = model.denoiser.config.cross_attention_dim == SD2_TEXT_WIDTH
    velocity = model.objective.prediction_type == "v_prediction"
    side = model.resolution
    if second:
        architecture = f"stable-diffusion-v2-{'768-v' if velocity else '512'}"
    else:
        architecture = "stable-diffusion-v1"
    # The hash of the tensors alone: it does not change when a tool edits the metadata.
    data = save({key: value.cpu().contiguous() for key, value in tensors.items()})
    header = int.from_bytes(data[:8], "little")
    digest = hashlib.sha256(data[8 + header :]).hexdigest()
    return {
        "ss_network_module": "networks.lora",
        "ss_network_dim": str(settings["rank"]),
        "ss_network_alpha": str(settings["alpha"]),
        "ss_base_model_version": f"sd_{'v2' if second else 'v1'}{'_v' if velocity else ''}",
        "ss_v2": str(second),
        "ss_sd_model_name": Path(str(run.run["model"])).name,
        "ss_resolution": f"({side}, {side})",
        "ss_output_name": title,
        "ss_seed": str(run.run["seed"]),
        "ss_steps": str(settings["steps"]),
        "ss_learning_rate": str(settings["learning_rate"]),
        "sshs_model_hash": digest,
        "modelspec.sai_model_spec": "1.0.1",
        "modelspec.architecture": f"{architecture}/lora",
        "modelspec.implementation": "diffusers",
        "modelspec.title": title,
        "modelspec.resolution": f"{side}x{side}",
        "modelspec.prediction_type": "v" if velocity else "epsilon",
        "modelspec.trigger_phrase": run.noun_phrase,
        "modelspec.hash_sha256": f"0x{digest}",
    }
