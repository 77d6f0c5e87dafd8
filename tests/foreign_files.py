"""Artefacts as other trainers write them, with random numbers, for tiny models; put into them."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from tiny import load_tiny
from torch import Tensor, nn

from pseudoword.families.model import Model
from pseudoword.families.original import original_module
from pseudoword.foreign.given import parse_artefact
from pseudoword.foreign.load import Loaded, put_given

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


def kohya_layers(model: Model, sgm: bool = False) -> dict[str, Any]:
    """Attention of the denoiser and all layers of the text encoders, by their kohya names."""
    config = model.denoiser.config
    found = {}
    for name, layer in layers(model.denoiser, ATTENTION).items():
        own = original_module("unet", name, config) if sgm else name
        found[f"lora_unet_{own}".replace(".", "_")] = layer
    for index, encoder in enumerate(model.text_encoders):
        te = f"lora_te{index + 1}" if len(model.text_encoders) > 1 else "lora_te"
        for name, layer in layers(encoder, TEXT).items():
            found[f"{te}_{kohya_text(name)}"] = layer
    return found


PEFT_CONFIGS: dict[str, dict[str, Any]] = {
    "lora": {"r": 2, "lora_alpha": 3},
    "rslora": {"r": 2, "lora_alpha": 3, "use_rslora": True},
    "dora": {"r": 2, "lora_alpha": 3, "use_dora": True},
    "loha": {"r": 2, "alpha": 3},
    "lokr": {"r": 1, "alpha": 3, "decompose_both": True},
    "oft": {"r": 0, "oft_block_size": 8},
}
TARGETS = [*ATTENTION, "conv1", "conv_shortcut"]


def peft_config(kind: str, targets: list[str] = TARGETS) -> Any:
    import peft

    classes = {"loha": peft.LoHaConfig, "lokr": peft.LoKrConfig, "oft": peft.OFTConfig}
    few = targets if kind != "oft" else list(ATTENTION)
    return classes.get(kind, peft.LoraConfig)(target_modules=few, **PEFT_CONFIGS[kind])


def peft_folder(base: Model, kind: str, folder: Path) -> Path:
    """An adapter of the denoiser with random numbers, saved by peft."""
    from peft import get_peft_model

    adapted = get_peft_model(base.denoiser, peft_config(kind))
    chance = Chance()
    with torch.no_grad():
        for name, parameter in adapted.named_parameters():
            if parameter.requires_grad:
                noise = chance(*parameter.shape) * (0.3 if kind == "oft" else 1)
                parameter.copy_(parameter * 1.2 if "magnitude" in name else noise)
    adapted.save_pretrained(str(folder))
    return folder


def put(folder: Path, path: Path, phrase: str = "red mug", at: str = "") -> Loaded:
    return put_given(load_tiny(folder), parse_artefact(f"{phrase}={path}{at}"))
