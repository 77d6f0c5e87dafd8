"""diffusers' residual, attention and gated blocks, in less memory and no more time.

For the backward pass they keep tensors that frozen weights do not need, or that take no time to
make again: a fifth of all that is kept (docs/performance.md). They also divide what they return by
a factor that is one in every Stable Diffusion, call a dropout of nothing, and look up at each call
what their processor would accept. Numbers and gradients stay the same to the bit.

Imports diffusers, so it is to be imported where models are loaded.
"""

from typing import Any

import torch
from diffusers.models.activations import GEGLU
from diffusers.models.attention_processor import Attention, AttnProcessor2_0
from diffusers.models.resnet import ResnetBlock2D
from torch import Tensor, nn
from torch.nn.functional import conv2d, gelu, scaled_dot_product_attention, silu


class FrozenConvolution(torch.autograd.Function):
    """conv(silu(x)), 3 x 3 on the same grid, where its weights do not learn.

    Autograd would keep silu(x) too, which only gradients of the weights need.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """x (n, c, h, w), weight (out, c, 3, 3), bias (out,) => (n, out, h, w)."""
        ctx.save_for_backward(x, weight)
        return conv2d(silu(x), weight, bias, padding=1)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> tuple[Tensor, None, None]:
        x, weight = ctx.saved_tensors
        # Of its input, the gradient depends on the shape and layout alone, which are those of x.
        ones = [1, 1]
        (to_activated, _, _) = torch.ops.aten.convolution_backward(
            gradients[0], x, weight, None, ones, ones, ones, False, [0, 0], 1, [True, False, False]
        )
        return torch.ops.aten.silu_backward(to_activated, x), None, None


class Gated(torch.autograd.Function):
    """The first half of x times GELU of its second (arXiv 2002.05202, GEGLU); keeps x alone."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        """x (..., 2 width) => (..., width)."""
        ctx.save_for_backward(x)
        value, gate = x.chunk(2, dim=-1)
        return value * gelu(gate)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Tensor:
        value, gate = ctx.saved_tensors[0].chunk(2, dim=-1)
        to_gate = torch.ops.aten.gelu_backward(gradients[0] * value, gate)
        return torch.cat([gradients[0] * gelu(gate), to_gate], dim=-1)


class LeanGEGLU(GEGLU):  # type: ignore[misc]  # diffusers is not typed
    """A projection of which one half gates the other."""

    def forward(self, hidden_states: Tensor) -> Tensor:
        """hidden_states (..., in) => (..., out)."""
        gated: Tensor = Gated.apply(self.proj(hidden_states))
        return gated


class LeanResnetBlock(ResnetBlock2D):  # type: ignore[misc]  # diffusers is not typed
    """Two convolutions with the timestep between them, beside a shortcut."""

    def forward(self, x: Tensor, temb: Tensor) -> Tensor:
        """x (n, c, h, w), temb (n, width) => (n, out, h, w)."""
        hidden = _activated(self.conv1, self.norm1(x))
        hidden = hidden + self.time_emb_proj(silu(temb))[:, :, None, None]
        hidden = _activated(self.conv2, self.norm2(hidden))
        return (x if self.conv_shortcut is None else self.conv_shortcut(x)) + hidden


def _activated(conv: Any, x: Tensor) -> Tensor:
    """conv(silu(x)). Adapters wrap what they adapt; autocast does not reach into a function."""
    plain = type(conv) is nn.Conv2d and not torch.is_autocast_enabled(x.device.type)
    if plain and not (conv.weight.requires_grad or conv.bias.requires_grad):
        output: Tensor = FrozenConvolution.apply(x, conv.weight, conv.bias)
    else:
        output = conv(silu(x))
    return output


class LeanAttention(Attention):  # type: ignore[misc]  # diffusers is not typed
    """Attention of rows to one another or to text, as long as no other processor is set."""

    def forward(
        self,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        **more: Any,
    ) -> Tensor:
        """hidden_states (n, rows, width), encoder_hidden_states (n, length, width of text)."""
        if more or attention_mask is not None or type(self.processor) is not AttnProcessor2_0:
            output: Tensor = super().forward(
                hidden_states, encoder_hidden_states, attention_mask, **more
            )
            return output
        context = hidden_states if encoder_hidden_states is None else encoder_hidden_states
        query, key, value = (
            rows.view(*rows.shape[:2], self.heads, -1).transpose(1, 2)
            for rows in (self.to_q(hidden_states), self.to_k(context), self.to_v(context))
        )
        attended = scaled_dot_product_attention(query, key, value)
        output = self.to_out[0](attended.transpose(1, 2).flatten(2))
        return output


def make_lean(denoiser: nn.Module) -> None:
    """Turns those of its blocks that are nothing but the plain kind into lean ones."""
    for block in denoiser.modules():
        if type(block) is ResnetBlock2D and _plain_resnet(block):
            block.__class__ = LeanResnetBlock
        elif type(block) is Attention and _plain_attention(block):
            block.__class__ = LeanAttention
        elif type(block) is GEGLU:
            block.__class__ = LeanGEGLU


def _plain_resnet(block: Any) -> bool:
    return (
        block.upsample is None
        and block.downsample is None
        and block.time_emb_proj is not None
        and block.time_embedding_norm == "default"
        and not block.skip_time_act
        and isinstance(block.nonlinearity, nn.SiLU)
        and block.dropout.p == 0
        and block.output_scale_factor == 1
    )


def _plain_attention(block: Any) -> bool:
    extras = (block.spatial_norm, block.group_norm, block.norm_q, block.norm_k)
    return (
        all(extra is None for extra in extras)
        and not block.norm_cross
        and not block.residual_connection
        and block.to_out is not None
        and block.to_out[1].p == 0
        and block.rescale_output_factor == 1
    )
