"""Frozen parts made small: weights cast to a precision, matrices packed in 8 or 4 bits."""

from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from pseudoword.compute import PRECISIONS

if TYPE_CHECKING:
    from pseudoword.settings import ComputeSettings

BLOCK = 64
"""Weights that share a scale in nf4. All widths of published models are multiples of it."""


def prepare(part: nn.Module, compute: "ComputeSettings") -> None:
    """Casts a frozen part, still in main memory, and packs its matrices.

    nf4 is packed when the part moves to its device, as bitsandbytes does it: matrix by matrix.
    """
    cast(part, compute.precision)
    if compute.quantise == "int8":
        _pack_int8(part)
    elif compute.quantise == "nf4":
        _pack_nf4(part, PRECISIONS[compute.precision])
    if compute.quantise != "none":
        for layer in _packed(part):
            layer.register_forward_pre_hook(_cast_input(PRECISIONS[compute.precision]))


def cast(part: nn.Module, precision: str) -> None:
    """Casts weights and buffers, but for those that fp16 overflows in."""
    dtype = PRECISIONS[precision]
    spared = _sensitive(part) if dtype == torch.float16 else {}
    kept = {id(p) for module in spared.values() for p in module.parameters()}
    for tensor in chain(part.parameters(), part.buffers()):
        if tensor.is_floating_point() and id(tensor) not in kept:
            tensor.data = tensor.data.to(dtype)


def shield(part: nn.Module, precision: str, device: torch.device) -> None:
    """Takes layers that fp16 overflows in out of autocast, which would cast them after all."""
    if precision == "fp16":
        for module in _sensitive(part).values():
            module.forward = torch.autocast(device.type, enabled=False)(module.forward)


def _sensitive(part: nn.Module) -> dict[str, nn.Module]:
    """What transformers itself keeps in float32: T5's second feed-forward matrices.

    T5 asks their type what to cast to, so they are not packed either.
    """
    ends = set(getattr(part, "_keep_in_fp32_modules", None) or ())
    return {n: m for n, m in part.named_modules() if n.rpartition(".")[2] in ends}


def _matrices(part: nn.Module) -> dict[str, nn.Linear]:
    spared = _sensitive(part)
    return {
        name: module
        for name, module in part.named_modules()
        if type(module) is nn.Linear and name not in spared
    }


def _pack_int8(part: nn.Module) -> None:
    """One scale for each output."""
    from torchao.quantization import Int8WeightOnlyConfig, quantize_

    matrices = _matrices(part)
    config = Int8WeightOnlyConfig(set_inductor_config=False)
    quantize_(part, config, filter_fn=lambda module, name: name in matrices)


def _pack_nf4(part: nn.Module, dtype: torch.dtype) -> None:
    """NormalFloat in blocks of 64, whose scales are packed too (arXiv 2305.14314, section 3)."""
    from bitsandbytes.nn import Linear4bit, Params4bit

    for name, matrix in _matrices(part).items():
        if matrix.in_features % BLOCK != 0:
            # bitsandbytes 0.50 unpacks these wrongly on a CPU: there a block ends with its row.
            continue
        # Its own weight is made on no device: it is replaced.
        packed = Linear4bit(
            matrix.in_features, matrix.out_features, False, dtype, quant_type="nf4", device="meta"
        )
        packed.weight = Params4bit(
            matrix.weight.data, requires_grad=False, quant_type="nf4", module=packed
        )
        packed.bias = matrix.bias
        # Its fast path for some CPUs repacks the weights in passing, and no gradient gets through.
        packed.support_avx512bf16_for_cpu = False
        parent, _, own = name.rpartition(".")
        setattr(part.get_submodule(parent), own, packed.eval())


def _packed(part: nn.Module) -> list[nn.Module]:
    layers = (module for module in part.modules() if isinstance(module, nn.Linear))
    return [layer for layer in layers if type(layer.weight) is not nn.Parameter]


def _cast_input(dtype: torch.dtype) -> Any:
    """Autocast does not know packed matrices: after a norm they would compute in float32."""

    def hook(layer: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return (inputs[0].to(dtype), *inputs[1:])

    return hook


def checkpoint_gradients(denoiser: Any, text_encoders: list[Any]) -> None:
    """Keeps a layer's input alone, and computes the layer again in backward (arXiv 1604.06174)."""
    from torch.utils.checkpoint import checkpoint
    from transformers.modeling_layers import GradientCheckpointingLayer

    denoiser.enable_gradient_checkpointing()
    again = partial(checkpoint, use_reentrant=False)
    for encoder in text_encoders:
        encoder._set_gradient_checkpointing(True, again)
        for module in encoder.modules():
            if isinstance(module, GradientCheckpointingLayer):
                # Layers do it in training mode alone. Their children stay without dropout.
                module.training = True
