"""LoRA (arXiv 2106.09685): low-rank factors beside the matrices."""

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import Field
from torch import nn

from pseudoword.methods.adapters import (
    AdapterMethod,
    AdapterSettings,
    Part,
    RareWordAdapterSettings,
)
from pseudoword.methods.base import Group


class FactorSettings(AdapterSettings):
    """What every method with LoRA's factors can be told."""

    rank: int = Field(default=4, ge=1, description="rank of the factors")
    alpha: float = Field(
        default=4.0, gt=0, description="the factors' product counts alpha / rank times"
    )
    rslora: bool = Field(
        default=False,
        description="let it count alpha / sqrt(rank) times, so that high ranks learn as fast as "
        "low ones (arXiv 2312.03732)",
    )
    plus_ratio: float = Field(
        default=1.0,
        gt=0,
        description="learning rate of the second factor over that of the first (LoRA+, "
        "arXiv 2402.12354, proposes 16)",
    )


class LoRASettings(FactorSettings, RareWordAdapterSettings):
    """Settings of LoRA; the defaults suit Stable Diffusion 1.5.

    diffusers, examples/dreambooth/README.md; of the text encoder cloneofsimo/lora.
    """

    steps: int = Field(default=500, ge=1, description="optimizer steps")


def lora_config(settings: FactorSettings, **more: Any) -> Any:
    """The peft configuration, without its targets."""
    from peft import LoraConfig

    return LoraConfig(
        r=settings.rank, lora_alpha=settings.alpha, use_rslora=settings.rslora, **more
    )


def factor_groups(
    parts: list[Part],
    parameters: Mapping[str, nn.Parameter],
    settings: FactorSettings,
    start: float = 0.0,
) -> list[Group]:
    """One group for each part, or two where the second factors learn faster (LoRA+)."""
    groups = []
    for part in parts:
        own = {n: p for n, p in parameters.items() if n.startswith(part.prefix + ".")}
        second = [p for name, p in own.items() if ".lora_B." in name]
        rest = [p for name, p in own.items() if ".lora_B." not in name]
        rate, decay = part.learning_rate, settings.weight_decay
        if settings.plus_ratio == 1:
            groups.append(Group(rest + second, rate, decay, start))
        else:
            groups.append(Group(rest, rate, decay, start))
            groups.append(Group(second, rate * settings.plus_ratio, decay, start))
    return groups


class LoRA(AdapterMethod):
    """Low-rank factors learn; the model stays as it is."""

    name = "lora"
    title = "LoRA"
    summary = "low-rank factors beside the attention matrices learn; the model stays as it is"
    Settings: ClassVar[type[LoRASettings]] = LoRASettings
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "toybox": {
            "steps": 300,
            "batch_size": 4,
            "learning_rate": 5e-4,
            "rank": 8,
            "alpha": 8.0,
            "warmup_steps": 20,
        },
        # diffusers, examples/dreambooth/README_sdxl.md and README_sd3.md
        "stable-diffusion-xl": {"batch_size": 4, "weight_decay": 1e-4, "text_learning_rate": 5e-6},
        "stable-diffusion-3": {"batch_size": 4, "learning_rate": 4e-4, "weight_decay": 1e-4},
    }
    settings: LoRASettings

    def config(self, parts: list[Part]) -> Any:
        return lora_config(self.settings)

    def groups(self, parameters: dict[str, nn.Parameter]) -> list[Group]:
        return factor_groups(self._adapters.parts, parameters, self.settings)
