"""diffusers' residual and attention blocks with the operations that do nothing left out.

They divide what they return by a factor that is one in every Stable Diffusion, call a dropout of
nothing, and look up at each call what their processor would accept. On small pictures that is 3 %
of a training step (docs/performance.md). Numbers and gradients stay the same to the bit.

Imports diffusers, so it is to be imported where models are loaded.
"""

from typing import Any

from diffusers.models.attention_processor import Attention, AttnProcessor2_0
from diffusers.models.resnet import ResnetBlock2D
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention


class LeanResnetBlock(ResnetBlock2D):  # type: ignore[misc]  # diffusers is not typed
    """Two convolutions with the timestep between them, beside a shortcut."""

    def forward(self, x: Tensor, temb: Tensor) -> Tensor:
        """x (n, c, h, w), temb (n, width) => (n, out, h, w)."""
        hidden = self.conv1(self.nonlinearity(self.norm1(x)))
        hidden = hidden + self.time_emb_proj(self.nonlinearity(temb))[:, :, None, None]
        hidden = self.conv2(self.nonlinearity(self.norm2(hidden)))
        return (x if self.conv_shortcut is None else self.conv_shortcut(x)) + hidden


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


def _plain_resnet(block: Any) -> bool:
    return (
        block.upsample is None
        and block.downsample is None
        and block.time_emb_proj is not None
        and block.time_embedding_norm == "default"
        and not block.skip_time_act
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
