"""LoRA's linear layer in fewer passes over memory than the sum of its parts takes.

Imports peft, so it is to be imported where adapters are added.
"""

from collections.abc import Iterable
from typing import Any

import torch
from peft.tuners.lora.layer import Linear
from torch import Tensor, nn
from torch.nn.functional import linear


class LowRankSum(torch.autograd.Function):
    """y = x (W + s B A)^T + bias, with gradients for x, A and B alone.

    The same as x W^T + bias + s (x A^T) B^T (arXiv 2106.09685, eq. 3) up to rounding. The sum of
    the matrices is small beside outputs with many rows, of which the other form adds two. It is
    made anew in the backward pass, not kept.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, a: Tensor, b: Tensor, scale: float
    ) -> Tensor:
        """x (..., in), weight (out, in), bias (out,), a (rank, in), b (out, rank) => (..., out)."""
        ctx.save_for_backward(x, weight, a, b)
        ctx.scale = scale
        return linear(x, torch.addmm(weight, b, a, alpha=scale), bias)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> tuple[Tensor | None, ...]:
        x, weight, a, b = ctx.saved_tensors
        outer = gradients[0].reshape(-1, weight.shape[0])
        rows = x.reshape(-1, weight.shape[1])
        to_a = ((outer @ b).t() @ rows).mul_(ctx.scale)
        to_b = (outer.t() @ (rows @ a.t())).mul_(ctx.scale)
        to_x = None
        if ctx.needs_input_grad[0]:
            to_x = (outer @ torch.addmm(weight, b, a, alpha=ctx.scale)).view(x.shape)
        return to_x, None, None, to_a, to_b, None


class SummedLinear(Linear):  # type: ignore[misc]  # peft is not typed
    """peft's layer, which sums matrices where that is the shorter way.

    In 16 bits a sum would lose what the factors add to the matrix, so peft's own way stays there;
    and for few rows, whose outputs are smaller than the matrix.
    """

    def forward(self, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        base = self.base_layer
        few = x.numel() < base.weight.numel()
        own = few or self.merged or torch.is_autocast_enabled(x.device.type)
        if own or x.dtype != torch.float32 or args or kwargs:
            output: Tensor = super().forward(x, *args, **kwargs)
            return output
        (name,) = self.active_adapters
        a, b = self.lora_A[name].weight, self.lora_B[name].weight
        summed: Tensor = LowRankSum.apply(x, base.weight, base.bias, a, b, self.scaling[name])
        return summed


def sum_matrices(modules: Iterable[nn.Module]) -> None:
    """Makes `SummedLinear` of every plain LoRA layer beside a matrix in float32 among `modules`.

    Variants (DoRA) and packed matrices are of other classes or marked, and stay as they are.
    """
    for layer in modules:
        if type(layer) is not Linear or layer.lora_variant:
            continue
        base = layer.base_layer
        if type(base) is nn.Linear and base.weight.dtype == torch.float32:
            layer.__class__ = SummedLinear
