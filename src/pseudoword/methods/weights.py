"""Weights of the model that learn in place, and their untouched values."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from pseudoword.errors import UserError
from pseudoword.methods.base import Method, MethodSettings, require_shapes

if TYPE_CHECKING:
    from pseudoword.families.model import Model

SUFFIX = ".difference"


class WeightSettings(MethodSettings):
    """What every method that changes weights of the model can be told."""

    store: Literal["difference", "full"] = Field(
        default="difference",
        description="keep the change of each weight in 16 bits, or every weight in full",
    )


class ChangedWeights:
    """Weights by the name that they are stored under; to be made before anything changes them.

    Their untouched values lie in main memory, where there is room.
    """

    def __init__(self, weights: Mapping[str, nn.Parameter]) -> None:
        self._weights = dict(weights)
        self._base = {k: v.detach().to("cpu", copy=True) for k, v in weights.items()}
        self._trained: dict[str, Tensor] = {}

    def unfreeze(self) -> list[nn.Parameter]:
        for weight in self._weights.values():
            weight.requires_grad_(True)
        return list(self._weights.values())

    def state(self, store: Literal["difference", "full"]) -> dict[str, Tensor]:
        """The differences in 16 bits, or the weights themselves."""
        now = {key: weight.detach().to("cpu", copy=True) for key, weight in self._weights.items()}
        if store == "full":
            return now
        return {k + SUFFIX: (v - self._base[k]).to(torch.bfloat16) for k, v in now.items()}

    def load(self, method: Method, model: "Model", tensors: Mapping[str, Tensor]) -> None:
        """Puts what `state` gave into the weights. Raises UserError where it does not fit."""
        found = {key.removesuffix(SUFFIX): value for key, value in tensors.items()}
        require_shapes(method, model, found, {k: v.shape for k, v in self._weights.items()})
        if len({key.endswith(SUFFIX) for key in tensors}) > 1:
            raise UserError(f"the {method.title} artefact mixes differences with whole weights.")
        for key, value in tensors.items():
            name = key.removesuffix(SUFFIX)
            value = value.to("cpu", torch.float32)
            self._trained[name] = self._base[name] + value if key.endswith(SUFFIX) else value
        self.set_strength(1.0)

    @torch.no_grad()
    def set_strength(self, strength: float) -> None:
        """Base + strength * (trained - base), once loaded."""
        for name, trained in self._trained.items():
            base = self._base[name]
            value = trained if strength == 1 else base + strength * (trained - base)
            self._weights[name].copy_(value)


def named_weights(prefix: str, part: nn.Module) -> dict[str, nn.Parameter]:
    """Every weight of a part under `prefix`; one that stands in two places counts once."""
    return {f"{prefix}.{name}": weight for name, weight in part.named_parameters()}
