"""Adapters in the keys of LyCORIS and sd-scripts: written, and read by the published formulas.

Source: KohakuBlueleaf/LyCORIS, modules locon, loha and lokr; LoRA has sd-scripts' keys.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

KINDS = {
    "lora": ("networks.lora", {}),
    "dora": ("lycoris.kohya", {"algo": "lora", "dora_wd": "True", "wd_on_output": "True"}),
    "loha": ("lycoris.kohya", {"algo": "loha"}),
    "lokr": ("lycoris.kohya", {"algo": "lokr"}),
}
"""The kinds of adapter that have keys, with `ss_network_module` and `ss_network_args`."""

HADA = ("hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b")
LOKR = ("lokr_w1", "lokr_w1_a", "lokr_w1_b", "lokr_w2", "lokr_w2_a", "lokr_w2_b")


def layer_tensors(layer: Any, name: str) -> dict[str, Tensor]:
    """The tensors of one tuner layer and its adapter `name`, by their keys behind the module's."""
    scale = float(layer.scaling[name])
    alpha = torch.tensor(scale * layer.r[name])
    if hasattr(layer, "hada_w1_a"):
        return {key: getattr(layer, key)[name] for key in HADA} | {"alpha": alpha}
    if hasattr(layer, "lokr_w1"):
        found = {key: getattr(layer, key)[name] for key in LOKR if name in getattr(layer, key)}
        # Readers take the scale for 1 where both matrices are whole, for then none shows a rank.
        if {"lokr_w1", "lokr_w2"} <= found.keys():
            found["lokr_w1"] = found["lokr_w1"] * scale
        return found | {"alpha": alpha}
    found = {
        "lora_down.weight": layer.lora_A[name].weight,
        "lora_up.weight": layer.lora_B[name].weight,
        "alpha": alpha,
    }
    if name in layer.lora_magnitude_vector:
        # One length for each output, in a shape that says so.
        lengths = layer.lora_magnitude_vector[name].weight.flatten()
        shape = [len(lengths)] + [1] * (layer.get_base_layer().weight.ndim - 1)
        found["dora_scale"] = lengths.reshape(shape)
    return found


def apply(weight: Tensor, tensors: Mapping[str, Tensor]) -> Tensor:
    """A matrix or kernel with the adapter of these tensors in it, by LyCORIS' formulas.

    Raises KeyError where a tensor is missing, and RuntimeError where one is not known.
    """
    rest = dict(tensors)
    alpha = float(rest.pop("alpha"))
    scale = rest.pop("dora_scale", None)
    if "lora_down.weight" in rest:
        change = _lora(rest, alpha)
    elif "hada_w1_a" in rest:
        change = _loha(rest, alpha)
    else:
        change = _lokr(rest, alpha)
    if rest:
        raise RuntimeError(f"the exported file has the unknown keys {sorted(rest)[:3]}")
    merged = weight + change.reshape(weight.shape)
    if scale is None:
        return merged
    lengths = merged.flatten(1).norm(dim=1).reshape(scale.shape)
    return merged * (scale / lengths)


def _lora(tensors: dict[str, Tensor], alpha: float) -> Tensor:
    down, up = tensors.pop("lora_down.weight"), tensors.pop("lora_up.weight")
    return alpha / len(down) * up.flatten(1) @ down.flatten(1)


def _loha(tensors: dict[str, Tensor], alpha: float) -> Tensor:
    a1, b1, a2, b2 = (tensors.pop(key) for key in HADA)
    return alpha / len(b1) * (a1 @ b1) * (a2 @ b2)


def _lokr(tensors: dict[str, Tensor], alpha: float) -> Tensor:
    rank = None
    matrices = []
    for key in ("lokr_w1", "lokr_w2"):
        if key in tensors:
            matrices.append(tensors.pop(key))
        else:
            first, second = tensors.pop(f"{key}_a"), tensors.pop(f"{key}_b")
            matrices.append(first @ second)
            rank = len(second)
    small, large = matrices
    small = small.reshape(*small.shape, *[1] * (large.ndim - 2))
    return torch.kron(small, large.contiguous()) * (alpha / rank if rank else 1.0)
