"""Adapters in one file with the names of Kohya's sd-scripts, for ComfyUI, A1111, Forge and kin."""

import hashlib
import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pseudoword.artefact import LoadedRun
from pseudoword.export import words
from pseudoword.export.lora import load_lora
from pseudoword.export.lycoris import KINDS, apply, layer_tensors
from pseudoword.export.modelspec import (
    architecture_of,
    model_metadata,
    naming_of,
    predicts_velocity,
)
from pseudoword.export.parts import (
    adapted_parts,
    adapter_kinds,
    adapter_name,
    diffusers_phrase,
    file_stem,
    merged_weight,
    named_parts,
    new_words,
    onto_base,
    phrase_with,
    pipeline_of,
    save,
    tuner_layers,
)
from pseudoword.export.verify import Reloaded, require_adapters, require_equal, require_names
from pseudoword.families.model import Model
from pseudoword.families.original import original_module
from pseudoword.families.single_file import module_config


def write(run: LoadedRun, folder: Path) -> str:
    """`lora_unet_<module>.lora_down.weight` and its kin, with metadata; an embedding file beside it
    where there are new words."""
    tensors: dict[str, Tensor] = {}
    for part, module in adapted_parts(run.model).items():
        name = adapter_name(module)
        for layer, tuner in tuner_layers(module).items():
            key = module_key(run.model, part, layer)
            found = layer_tensors(tuner, name)
            tensors |= {f"{key}.{suffix}": value for suffix, value in found.items()}
    title = file_stem(run)
    if new_words(run.model):
        title += "-lora"
        words.write_a1111(run, folder)
    save(folder / f"{title}.safetensors", tensors, _metadata(run, title, tensors))
    return f"{title}.safetensors"


def module_key(model: Model, part: str, layer: str) -> str:
    """ "lora_unet_down_blocks_0_attentions_0_..." of a layer in a part of `named_parts`."""
    naming = naming_of(model)
    if part == model.DENOISER:
        prefix = "lora_unet"
        if naming.original:
            layer = original_module("unet", layer, module_config(model.denoiser))
    else:
        prefix = naming.encoders[list(named_parts(model)).index(part) - 1]
        layer = f"text_model.{layer.removeprefix('text_model.')}"
    return f"{prefix}_{layer.replace('.', '_')}"


def phrase(run: LoadedRun) -> str:
    """How ComfyUI and A1111 word the concept."""
    return phrase_with(run, words.file_word(run)) if new_words(run.model) else run.noun_phrase


def is_plain(run: LoadedRun) -> bool:
    """Whether diffusers reads the file: it knows LoRA alone in these names."""
    return adapter_kinds(run.model) == {"lora"}


def reload(run: LoadedRun, untouched: Model, path: Path) -> Reloaded:
    """Through `load_lora_weights`; what that cannot read, by the published formulas."""
    pipeline = pipeline_of(untouched)
    if is_plain(run):
        load_lora(pipeline, path)
        require_adapters(untouched, run.model)
        loaders = ["load_lora_weights of diffusers"]
    else:
        _merge_file(run, untouched, path)
        loaders = ["pseudoword's reader, after the formulas of LyCORIS"]
    if new_words(run.model):
        file = path.parent / f"{words.file_word(run)}.safetensors"
        loaders.append(words.load_words(run, untouched, pipeline, file))
    return Reloaded(pipeline, diffusers_phrase(run), ", ".join(loaders))


@torch.no_grad()
def _merge_file(run: LoadedRun, untouched: Model, path: Path) -> None:
    """Puts a file into the weights of `untouched`, and compares each with the run's."""
    from safetensors.torch import load_file

    modules: dict[str, dict[str, Tensor]] = {}
    for key, value in load_file(path).items():
        module, _, suffix = key.partition(".")
        modules.setdefault(module, {})[suffix] = value.to(untouched.device)
    layers = {
        module_key(untouched, part, name): (named_parts(untouched)[part].get_submodule(name), tuner)
        for part, module in adapted_parts(run.model).items()
        for name, tuner in tuner_layers(module).items()
    }
    require_names("adapters", modules, layers)
    for key, (plain, tuner) in layers.items():
        plain.weight.copy_(apply(plain.weight, modules[key]))
        require_equal("adapter", {key: plain.weight}, {key: merged_weight(tuner)})


def usage(run: LoadedRun, main: str) -> list[str]:
    """Lines of Python that load the file into a diffusers pipeline, where diffusers can."""
    if not is_plain(run):
        return []
    lines = [f'pipeline.load_lora_weights(".", weight_name="{main}")']
    if new_words(run.model):
        lines += words.usage(run, f"{words.file_word(run)}.safetensors")
    return onto_base(run.model, lines)


def hint(run: LoadedRun, main: str) -> str:
    title = main.removesuffix(".safetensors")
    paragraphs = [
        f"ComfyUI: put `{main}` into `models/loras` and add the node Load LoRA. "
        f"A1111 and Forge: put it into `models/Lora` and write `<lora:{title}:1>` in the prompt."
    ]
    if new_words(run.model):
        told = words.hint(run, f"{words.file_word(run)}.safetensors")
        paragraphs.append(f"The new word is in a file of its own. {told}")
    if adapter_kinds(run.model) == {"dora"}:
        paragraphs.append(
            "Readers disagree on DoRA. The lengths here are those of the outputs, to be divided by "
            "the lengths of the changed weights, as it was published and as LyCORIS reads it. "
            "ComfyUI divides by those of the untouched weights, so its pictures differ a little; "
            "A1111 divides along the inputs, so its pictures are wrong."
        )
    return "\n\n".join(paragraphs)


def _metadata(run: LoadedRun, title: str, tensors: dict[str, Tensor]) -> dict[str, str]:
    """What sd-scripts writes, as far as it applies, and ModelSpec; all strings."""
    model, settings = run.model, run.run["settings"]
    velocity, side = predicts_velocity(model), model.resolution
    (kind,) = adapter_kinds(model)
    module, arguments = KINDS[kind]
    base = naming_of(model).base
    second = base == "sd_v2"
    ranks, alphas = _ranks(model)
    digest = _tensor_hash(tensors)
    return {
        "ss_network_module": module,
        **({"ss_network_args": json.dumps(arguments)} if arguments else {}),
        "ss_network_dim": ranks,
        "ss_network_alpha": alphas,
        "ss_base_model_version": f"{base}{'_v' if velocity else ''}",
        "ss_v2": str(second),
        "ss_sd_model_name": Path(str(run.run["model"])).name,
        "ss_resolution": f"({side}, {side})",
        "ss_output_name": title,
        "ss_seed": str(run.run["seed"]),
        "ss_steps": str(settings["steps"]),
        "ss_learning_rate": str(settings["learning_rate"]),
        "sshs_model_hash": digest,
        "modelspec.architecture": f"{architecture_of(model)}/lora",
        **model_metadata(model, title, phrase(run)),
        "modelspec.hash_sha256": f"0x{digest}",
    }


def _ranks(model: Model) -> tuple[str, str]:
    """The rank and alpha of the layers; "Dynamic" where they differ, as sd-scripts says."""
    pairs: set[tuple[Any, float]] = set()
    for module in adapted_parts(model).values():
        name = adapter_name(module)
        layers = tuner_layers(module).values()
        pairs |= {(layer.r[name], float(layer.scaling[name] * layer.r[name])) for layer in layers}
    found = [{str(pair[place]) for pair in pairs} for place in range(2)]
    rank, alpha = (values.pop() if len(values) == 1 else "Dynamic" for values in found)
    return rank, alpha


def _tensor_hash(tensors: dict[str, Tensor]) -> str:
    """SHA-256 of the tensors alone: it does not change when a tool edits the metadata."""
    from safetensors.torch import save as to_bytes

    data = to_bytes({key: value.detach().cpu().contiguous() for key, value in tensors.items()})
    header = int.from_bytes(data[:8], "little")
    return hashlib.sha256(data[8 + header :]).hexdigest()
