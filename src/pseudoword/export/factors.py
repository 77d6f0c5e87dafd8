"""The low-rank factors in a model that a LoRA was loaded into."""

from dataclasses import dataclass

from torch import Tensor, nn


@dataclass(frozen=True, eq=False)
class Factors:
    """One matrix's change: scale * up @ down, with down (rank, in) and up (out, rank)."""

    down: Tensor
    up: Tensor
    scale: float

    @property
    def alpha(self) -> float:
        return self.scale * len(self.down)

    @property
    def product(self) -> Tensor:
        return self.scale * self.up @ self.down


def lora_factors(part: nn.Module) -> dict[str, Factors]:
    """The factors beside each matrix of `part`, by the matrix's module name; empty without any."""
    from peft.tuners.lora import LoraLayer

    found = {}
    for name, module in part.named_modules():
        if isinstance(module, LoraLayer):
            (adapter,) = module.lora_A
            found[name] = Factors(
                module.lora_A[adapter].weight.detach(),
                module.lora_B[adapter].weight.detach(),
                module.scaling[adapter],
            )
    return found


def products(part: nn.Module) -> dict[str, Tensor]:
    """The change of each matrix, by its module name."""
    return {name: factors.product for name, factors in lora_factors(part).items()}
