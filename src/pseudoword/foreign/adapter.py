"""An adapter folder of peft, of any type that peft knows, as differences of weights."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from pseudoword.errors import UserError
from pseudoword.foreign.files import read_safetensors
from pseudoword.foreign.merge import Change, Merge
from pseudoword.pictures import some
from pseudoword.runs import read_json

if TYPE_CHECKING:
    from pseudoword.families.model import Model

CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"
PREFIX = "base_model.model."
MOST_TERMS = 1024
"""No number in a configuration is larger, but for ranks and blocks, which the weights bear out."""
PEFT_ERRORS = (AttributeError, LookupError, RuntimeError, TypeError, ValueError, ZeroDivisionError)
"""What peft raises on a configuration that says something impossible."""


def adapter_folders(folder: Path) -> list[Path]:
    """The folder itself and those in it that hold an adapter each."""
    inside = sorted(path for path in folder.iterdir() if path.is_dir())
    return [path for path in (folder, *inside) if (path / CONFIG).is_file()]


def read_adapters(folder: Path, model: "Model") -> Merge:
    """The adapters in `folder`: each belongs to the part that its folder or its names tell.

    Raises UserError where one fits no part, or a key is missing or left over.
    """
    changes: list[Change] = []
    taken: set[int] = set()
    for place in adapter_folders(folder):
        keys = read_safetensors(place / WEIGHTS).tensors
        part = _part(place, keys, model)
        if id(part) in taken:
            raise UserError(f"{place} is a second adapter of one part of {model.name}: give one.")
        taken.add(id(part))
        changes += _differences(place, part, keys)
    return Merge(changes)


def _part(place: Path, keys: Mapping[str, Any], model: "Model") -> nn.Module:
    """The part in which most of the adapter's modules are found; all must be."""
    parts = {
        model.DENOISER: model.denoiser,
        **{
            f"text_encoder_{i + 1}" if i else "text_encoder": encoder
            for i, encoder in enumerate(model.text_encoders)
        },
    }
    if place.name in parts:
        return parts[place.name]
    for part in parts.values():
        modules = {path for path, module in part.named_modules() if hasattr(module, "weight")}
        if all(any(head in modules for head in _heads(name)) for name in _names(keys, part)):
            return part
    raise UserError(
        f"{place / WEIGHTS} fits no part of {model.name}, such as {some(keys, 3)}:\n"
        "name the model that it was made for."
    )


def _names(keys: Iterable[str], part: nn.Module) -> list[str]:
    """The keys as this part names its modules: older transformers call CLIP's text_model.*."""
    nested = any(path == "text_model" for path, _ in part.named_modules())
    plain = [key.removeprefix(PREFIX) for key in keys]
    return plain if nested else [key.removeprefix("text_model.") for key in plain]


def _heads(name: str) -> list[str]:
    parts = name.split(".")
    return [".".join(parts[:end]) for end in range(1, len(parts))]


def _differences(place: Path, part: nn.Module, tensors: Mapping[str, Any]) -> list[Change]:
    """Lets peft merge the adapter, keeps what that changed, and takes the adapter out again."""
    from peft import (
        PeftConfig,
        get_peft_model_state_dict,
        inject_adapter_in_model,
        set_peft_model_state_dict,
    )
    from peft.tuners.tuners_utils import BaseTunerLayer

    untouched = {name: p.detach().to("cpu", copy=True) for name, p in part.named_parameters()}
    settings = _settings(place, tensors)
    try:
        kinds = PeftConfig.from_pretrained(str(place))
    except PEFT_ERRORS as error:
        raise UserError(
            f"{place / CONFIG} is no configuration of an adapter that peft knows ({error}):\n"
            "fetch the file again."
        ) from None
    if settings.get("modules_to_save"):
        raise UserError(f"{place} brings whole modules (modules_to_save): merge it and give that.")
    kinds.inference_mode = True
    try:
        # Some starting weights are drawn from the global chance, though a file replaces them.
        with torch.random.fork_rng(devices=[]):
            inject_adapter_in_model(kinds, part)
        layers = {n: m for n, m in part.named_modules() if isinstance(m, BaseTunerLayer)}
        # peft takes a key that it misses or does not know in silence.
        wanted = set(get_peft_model_state_dict(part, save_embedding_layers=False))
        given = dict(zip(_names(tensors, part), tensors.values(), strict=True))
        if odd := sorted(wanted ^ set(given)):
            raise UserError(
                f"{place / WEIGHTS}: {len(odd)} keys are missing or left over, such as "
                f"{some(odd, 3)}:\nname the model that it was made for, or fetch the file again."
            )
        set_peft_model_state_dict(part, given, adapter_name="default")
        for name, layer in layers.items():
            _merge(place, name, layer)
        merged = {name: layer.get_base_layer() for name, layer in layers.items()}
    except PEFT_ERRORS as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0][:150]
        raise UserError(
            f"{place} does not fit the model ({reason}):\nname the model that it was made for."
        ) from None
    for name, base in merged.items():
        parent, _, last = name.rpartition(".")
        setattr(part.get_submodule(parent), last, base)
    if hasattr(part, "peft_config"):
        del part.peft_config
    part.requires_grad_(False)
    changes = []
    for name, parameter in part.named_parameters():
        before, after = untouched[name], parameter.detach().to("cpu")
        if not torch.equal(before, after):
            changes.append(Change(parameter, before, after - before))
    return changes


def _settings(place: Path, tensors: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration, in which no number takes more memory or time than the weights have."""
    settings = read_json(place / CONFIG)
    most = max(MOST_TERMS, *(side for tensor in tensors.values() for side in tensor.shape))
    if not isinstance(settings, dict) or any(abs(n) > most for n in _numbers(settings)):
        raise UserError(
            f"{place / CONFIG} says what its weights do not bear out: fetch the file again."
        )
    return settings


def _numbers(value: Any) -> Iterator[float]:
    if isinstance(value, int | float):
        yield value
    elif isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _numbers(inner)


@torch.no_grad()
def _merge(place: Path, name: str, layer: Any) -> None:
    """Merges a layer, and sees that it does what it did.

    That is not given: peft 0.21 turns the inputs of a 3 x 3 convolution with OFT in another order
    than it merges them.
    """
    base = layer.get_base_layer()
    chance = torch.Generator().manual_seed(0)
    inputs = None
    if isinstance(base, nn.Linear):
        inputs = torch.randn(2, base.in_features, generator=chance)
    elif isinstance(base, nn.Conv2d):
        inputs = torch.randn(1, base.in_channels, 4, 4, generator=chance)
    if inputs is None:
        layer.merge(safe_merge=True)
        return
    inputs = inputs.to(base.weight)
    before = layer(inputs)
    layer.merge(safe_merge=True)
    after = base(inputs)
    if not torch.allclose(before, after, rtol=1e-3, atol=1e-3 * float(before.abs().max())):
        raise UserError(
            f"{place}: peft merges its {name} otherwise than it draws with it, so neither can be "
            "trusted:\ntrain it without this layer."
        )
