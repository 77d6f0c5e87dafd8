"""Artefacts as other trainers write them, with random numbers, for tiny models."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

RANK = 2
ATTENTION = ("to_q", "to_k", "to_v", "to_out.0")
TEXT = ("q_proj", "k_proj", "v_proj", "out_proj", "fc1", "fc2")


def layers(module: nn.Module, ends: Iterable[str]) -> dict[str, Any]:
    """Layers by the ends of their names."""
    dotted = tuple(f".{end}" for end in ends)
    return {name: m for name, m in module.named_modules() if f".{name}".endswith(dotted)}


class Chance:
    """Random tensors, the same each time."""

    def __init__(self, seed: int = 0, scale: float = 0.3) -> None:
        self.generator = torch.Generator().manual_seed(seed)
        self.scale = scale

    def __call__(self, *shape: int) -> Tensor:
        return torch.randn(*shape, generator=self.generator) * self.scale


def lora_of(layer: Any, chance: Chance, rank: int = RANK) -> tuple[Tensor, Tensor]:
    """Factors (down, up) for a linear or convolutional layer, shaped as sd-scripts shapes them."""
    weight = layer.weight
    more = (1, 1) if weight.ndim == 4 else ()
    return chance(rank, *weight.shape[1:]), chance(weight.shape[0], rank, *more)


def kohya_text(module: str) -> str:
    return f"text_model.{module.removeprefix('text_model.')}".replace(".", "_")


def write_kohya(
    path: Path, named: dict[str, Any], alpha: float | None = 1.0, chance: Chance | None = None
) -> Path:
    """A LoRA of the layers that `named` has by their kohya names."""
    chance = chance or Chance()
    tensors = {}
    for name, layer in named.items():
        down, up = lora_of(layer, chance)
        tensors |= {f"{name}.lora_down.weight": down, f"{name}.lora_up.weight": up}
        if alpha is not None:
            tensors[f"{name}.alpha"] = torch.tensor(alpha)
    save_file(tensors, path)
    return path
