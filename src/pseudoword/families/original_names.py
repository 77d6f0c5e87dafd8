"""What the original single-file checkpoints call the modules that diffusers and transformers name.

The tables are derived from a module's configuration, so they hold for models of every size. The
names are those of CompVis/latent-diffusion and Stability-AI/generative-models (UNet, autoencoder,
OpenCLIP) and of Stability-AI/sd3-ref (SD 3).
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Place:
    """Where a module's tensors stand in the original layout.

    `key` is a key in which {} stands for the rest of the name ("weight", or a path below the
    module). `slot` is the place among the queries, keys and values that the original fuses into
    one tensor along dimension 0. `form` names how its values are laid out, see `original.FORMS`.
    """

    key: str
    slot: int | None = None
    form: str = "same"


Table = dict[str, Place]
"""Module path => place; a path that is not in it stands where the longest path above it does."""

Pairs = Iterator[tuple[str, str]]

UNET_RESNET = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}
UNET_ENDS = {
    "conv_in": "input_blocks.0.0",
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "add_embedding.linear_1": "label_emb.0.0",
    "add_embedding.linear_2": "label_emb.0.2",
    "mid_block.attentions.0": "middle_block.1",
    "conv_norm_out": "out.0",
    "conv_out": "out.2",
}


def unet_table(config: Mapping[str, Any]) -> Table:
    """UNet2DConditionModel of SD 1.x, 2.x and XL: blocks numbered through, one a layer."""
    pairs = [*UNET_ENDS.items(), *_down_blocks(config), *_up_blocks(config)]
    pairs += _inside("mid_block.resnets.0", "middle_block.0", UNET_RESNET)
    pairs += _inside("mid_block.resnets.1", "middle_block.2", UNET_RESNET)
    return _table(pairs)


def _down_blocks(config: Mapping[str, Any]) -> Pairs:
    number = 1  # conv_in is block 0.
    kinds = config["down_block_types"]
    for i, (kind, layers) in enumerate(zip(kinds, _layers(config), strict=True)):
        for j in range(layers):
            block = f"input_blocks.{number}"
            yield from _inside(f"down_blocks.{i}.resnets.{j}", f"{block}.0", UNET_RESNET)
            if "CrossAttn" in kind:
                yield f"down_blocks.{i}.attentions.{j}", f"{block}.1"
            number += 1
        if i < len(kinds) - 1:
            yield f"down_blocks.{i}.downsamplers.0.conv", f"input_blocks.{number}.0.op"
            number += 1


def _up_blocks(config: Mapping[str, Any]) -> Pairs:
    number = 0
    kinds = config["up_block_types"]
    for i, (kind, layers) in enumerate(zip(kinds, _layers(config)[::-1], strict=True)):
        attention = "CrossAttn" in kind
        for j in range(layers + 1):
            block = f"output_blocks.{number}"
            yield from _inside(f"up_blocks.{i}.resnets.{j}", f"{block}.0", UNET_RESNET)
            if attention:
                yield f"up_blocks.{i}.attentions.{j}", f"{block}.1"
            if j == layers and i < len(kinds) - 1:
                yield f"up_blocks.{i}.upsamplers.0.conv", f"{block}.{2 if attention else 1}.conv"
            number += 1


def _layers(config: Mapping[str, Any]) -> list[int]:
    layers = config["layers_per_block"]
    return [layers] * len(config["down_block_types"]) if isinstance(layers, int) else [*layers]


VAE_RESNET = {
    "norm1": "norm1",
    "conv1": "conv1",
    "norm2": "norm2",
    "conv2": "conv2",
    "conv_shortcut": "nin_shortcut",
}
VAE_ATTENTION = {"to_q": "q", "to_k": "k", "to_v": "v", "to_out.0": "proj_out"}


def vae_table(config: Mapping[str, Any]) -> Table:
    """AutoencoderKL: the decoder's levels are numbered from the pixels, its attention convolves."""
    pairs = [(name, name) for name in ("quant_conv", "post_quant_conv")]
    table: Table = {}
    for coder in ("encoder", "decoder"):
        pairs += [(f"{coder}.{name}", f"{coder}.{name}") for name in ("conv_in", "conv_out")]
        pairs.append((f"{coder}.conv_norm_out", f"{coder}.norm_out"))
        ours, theirs = f"{coder}.mid_block.attentions.0", f"{coder}.mid.attn_1"
        pairs.append((f"{ours}.group_norm", f"{theirs}.norm"))
        for i in range(2):
            resnet = f"{coder}.mid_block.resnets.{i}"
            pairs += _inside(resnet, f"{coder}.mid.block_{i + 1}", VAE_RESNET)
        for name, original in VAE_ATTENTION.items():
            table[f"{ours}.{name}"] = Place(f"{theirs}.{original}.{{}}", form="convolution")
    levels = len(config["block_out_channels"])
    for i in range(levels):
        pairs += _vae_level("encoder.down_blocks", i, f"encoder.down.{i}", config)
        pairs += _vae_level("decoder.up_blocks", i, f"decoder.up.{levels - 1 - i}", config)
    return table | _table(pairs)


def _vae_level(blocks: str, i: int, theirs: str, config: Mapping[str, Any]) -> Pairs:
    for j in range(config["layers_per_block"] + ("up" in blocks)):
        yield from _inside(f"{blocks}.{i}.resnets.{j}", f"{theirs}.block.{j}", VAE_RESNET)
    way = "up" if "up" in blocks else "down"
    yield f"{blocks}.{i}.{way}samplers.0.conv", f"{theirs}.{way}sample.conv"


def clip_table(config: Mapping[str, Any]) -> Table:
    """CLIP's text encoder under its own names; only newer transformers drop "text_model."."""
    return {"": Place("text_model.{}"), "text_projection": Place("text_projection.{}")}


OPEN_CLIP_LAYER = {
    "layer_norm1": "ln_1",
    "layer_norm2": "ln_2",
    "mlp.fc1": "mlp.c_fc",
    "mlp.fc2": "mlp.c_proj",
    "self_attn.out_proj": "attn.out_proj",
}
SLOTS = "qkv"


def open_clip_table(config: Mapping[str, Any]) -> Table:
    """The text encoders of SD 2.x and SDXL's second: queries, keys and values in one tensor."""
    table = {
        "embeddings.token_embedding": Place("token_embedding.{}"),
        "embeddings.position_embedding": Place("positional_embedding"),
        "final_layer_norm": Place("ln_final.{}"),
        "text_projection": Place("text_projection", form="transposed"),
    }
    for i in range(config["num_hidden_layers"]):
        ours, theirs = f"encoder.layers.{i}", f"transformer.resblocks.{i}"
        table |= _table(_inside(ours, theirs, OPEN_CLIP_LAYER))
        for slot, letter in enumerate(SLOTS):
            fused = Place(f"{theirs}.attn.in_proj_{{}}", slot)
            table[f"{ours}.self_attn.{letter}_proj"] = fused
    return table


def t5_table(config: Mapping[str, Any]) -> Table:
    """T5's encoder, under its own names."""
    return {"": Place("{}")}


SD3_ENDS = {
    "pos_embed.proj": "x_embedder.proj",
    "context_embedder": "context_embedder",
    "time_text_embed.timestep_embedder.linear_1": "t_embedder.mlp.0",
    "time_text_embed.timestep_embedder.linear_2": "t_embedder.mlp.2",
    "time_text_embed.text_embedder.linear_1": "y_embedder.mlp.0",
    "time_text_embed.text_embedder.linear_2": "y_embedder.mlp.2",
    "proj_out": "final_layer.linear",
}
SD3_BLOCK = {
    "norm1.linear": "x_block.adaLN_modulation.1",
    "norm1_context.linear": "context_block.adaLN_modulation.1",
    "attn.norm_q": "x_block.attn.ln_q",
    "attn.norm_k": "x_block.attn.ln_k",
    "attn.norm_added_q": "context_block.attn.ln_q",
    "attn.norm_added_k": "context_block.attn.ln_k",
    "attn.to_out.0": "x_block.attn.proj",
    "attn.to_add_out": "context_block.attn.proj",
    "attn2.norm_q": "x_block.attn2.ln_q",
    "attn2.norm_k": "x_block.attn2.ln_k",
    "attn2.to_out.0": "x_block.attn2.proj",
    "ff.net.0.proj": "x_block.mlp.fc1",
    "ff.net.2": "x_block.mlp.fc2",
    "ff_context.net.0.proj": "context_block.mlp.fc1",
    "ff_context.net.2": "context_block.mlp.fc2",
}
SD3_FUSED = {
    "attn.to_{}": "x_block.attn.qkv",
    "attn.add_{}_proj": "context_block.attn.qkv",
    "attn2.to_{}": "x_block.attn2.qkv",
}


def sd3_table(config: Mapping[str, Any]) -> Table:
    """SD3Transformer2DModel, with or without the second attention of SD 3.5 medium."""
    table = _table(SD3_ENDS.items())
    table["pos_embed"] = Place("pos_embed")
    # Where a layer only shifts and scales, the original has shift first and diffusers scale.
    table["norm_out.linear"] = Place("final_layer.adaLN_modulation.1.{}", form="swapped")
    last = config["num_layers"] - 1
    for i in range(last + 1):
        ours, theirs = f"transformer_blocks.{i}", f"joint_blocks.{i}"
        table |= _table(_inside(ours, theirs, SD3_BLOCK))
        for name, original in SD3_FUSED.items():
            for slot, letter in enumerate(SLOTS):
                place = Place(f"{theirs}.{original}.{{}}", slot)
                table[f"{ours}.{name.format(letter)}"] = place
    context = f"transformer_blocks.{last}.norm1_context.linear"
    table[context] = Place(table[context].key, form="swapped")
    return table


def _inside(ours: str, theirs: str, names: Mapping[str, str]) -> Pairs:
    for name, original in names.items():
        yield f"{ours}.{name}", f"{theirs}.{original}"


def _table(pairs: Any) -> Table:
    return {ours: Place(f"{theirs}.{{}}") for ours, theirs in pairs}


TABLES: dict[str, Callable[[Mapping[str, Any]], Table]] = {
    "unet": unet_table,
    "vae": vae_table,
    "clip": clip_table,
    "open-clip": open_clip_table,
    "t5": t5_table,
    "sd3": sd3_table,
}
"""By the kind of module."""
