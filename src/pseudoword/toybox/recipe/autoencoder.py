"""The toybox's AutoencoderKL: an encoder that starts as a principal-component transform.

From noise, an autoencoder needs hours of CPU before it keeps a small toy's colour; the best linear
code of 8x8 patches does that at once. So the encoder's layers are laid out to compute that code
exactly but for normalisation (space-to-depth downsampling, residual branches that start at zero),
and training makes both halves better than linear.
"""

from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderKL
from torch import Tensor, nn

from pseudoword.toybox.recipe.data import Pictures, batch_indices
from pseudoword.toybox.recipe.fit import Group, Place, Schedule, fit
from pseudoword.toybox.recipe.layout import Layout

GROUPS = 4
KL_WEIGHT = 1e-4
"""Of the divergence of one latent value, so that it weighs the same in crops and whole pictures."""
CONSTANT = 4.0
"""Level of the constant channels that keep the last normalisation nearly the same for every
picture."""


def build_autoencoder(layout: Layout) -> AutoencoderKL:
    """Few normalisation groups: a group a channel would erase flat colour."""
    blocks = len(layout.widths)
    model = AutoencoderKL(
        in_channels=3,
        out_channels=3,
        down_block_types=("DownEncoderBlock2D",) * blocks,
        up_block_types=("UpDecoderBlock2D",) * blocks,
        block_out_channels=layout.widths,
        layers_per_block=1,
        latent_channels=layout.latent_channels,
        norm_num_groups=GROUPS,
        sample_size=layout.size,
        mid_block_add_attention=False,
    )
    for module in model.modules():
        if type(module).__name__ == "ResnetBlock2D":
            nn.init.zeros_(module.conv2.weight)
            nn.init.zeros_(module.conv2.bias)
    return model


@torch.no_grad()
def start_from_components(model: AutoencoderKL, pixels: Tensor) -> None:
    """Sets the encoder to the principal components of the patches of `pixels` (n, 3, h, w).

    Each downsampling convolution gathers 2x2 positions; where that gives more numbers than the
    level has channels, the leading components of the gathered vectors stay.
    """
    encoder: Any = model.encoder
    widths = model.config.block_out_channels
    _identity(encoder.conv_in, 3)
    kept, x = 3, pixels.double()
    for level, block in enumerate(encoder.down_blocks):
        resnet = block.resnets[0]
        last = level == len(widths) - 1
        if resnet.conv_shortcut is not None and not last:
            _identity(resnet.conv_shortcut, kept)
        if last:
            break
        x = _space_to_depth(x)
        basis, mean = _components(x, min(x.shape[1], widths[level]))
        x = torch.einsum("ok,nkhw->nohw", basis, x - mean[:, None, None])
        convolution = block.downsamplers[0].conv
        rows = len(basis)
        convolution.weight[:rows] = 0.0
        weight = basis.reshape(rows, kept, 2, 2).float()
        convolution.weight[:rows, :kept, :2, :2] = weight
        convolution.bias[:rows] = -(basis @ mean).float()
        kept = rows
    _signed_pairs(encoder, x, model.config.latent_channels)


@torch.no_grad()
def _identity(convolution: Any, channels: int) -> None:
    """The first `channels` outputs repeat the inputs; the others keep their random start."""
    convolution.weight[:channels] = 0.0
    convolution.bias[:channels] = 0.0
    centre = convolution.kernel_size[0] // 2
    for channel in range(channels):
        convolution.weight[channel, channel, centre, centre] = 1.0


def _space_to_depth(x: Tensor) -> Tensor:
    n, c, h, w = x.shape
    x = x.reshape(n, c, h // 2, 2, w // 2, 2).permute(0, 1, 3, 5, 2, 4)
    return x.reshape(n, c * 4, h // 2, w // 2)


def _components(x: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The `count` leading principal directions (count, channels) and the mean (channels,)."""
    flat = x.permute(0, 2, 3, 1).reshape(-1, x.shape[1])
    mean = flat.mean(0)
    _, _, directions = torch.linalg.svd(torch.cov(flat.T))
    return directions[:count], mean


def _signed_pairs(encoder: Any, x: Tensor, latent_channels: int) -> None:
    """The last level carries +z and -z: SiLU(z) - SiLU(-z) = z makes the output linear again."""
    width = encoder.conv_out.in_channels
    data = width // 2
    per_group = width // GROUPS
    pairs = per_group // 2 - 1
    shortcut = encoder.down_blocks[-1].resnets[0].conv_shortcut
    nn.init.zeros_(shortcut.weight)
    nn.init.zeros_(shortcut.bias)
    scale = x.std(dim=(0, 2, 3)).float()
    nn.init.zeros_(encoder.conv_out.weight)
    nn.init.zeros_(encoder.conv_out.bias)
    code = scale[:latent_channels].sqrt()
    order = torch.arange(pairs * GROUPS).reshape(pairs, GROUPS)
    for group in range(GROUPS):
        base = group * per_group
        for pair in range(pairs):
            component = int(order[pair, group])
            if component >= data:
                continue
            positive, negative = base + 2 * pair, base + 2 * pair + 1
            shortcut.weight[positive, component] = 1 / scale[component]
            shortcut.weight[negative, component] = -1 / scale[component]
            if component < latent_channels:
                gain = code[component] * (1 + 2 * CONSTANT**2 / per_group) ** 0.5
                encoder.conv_out.weight[component, positive, 1, 1] = gain
                encoder.conv_out.weight[component, negative, 1, 1] = -gain
        shortcut.bias[base + per_group - 2] = CONSTANT
        shortcut.bias[base + per_group - 1] = -CONSTANT
    # The other half of the output is the log-variance of the posterior: start nearly certain.
    encoder.conv_out.bias[latent_channels:] = -8.0


def train_autoencoder(
    layout: Layout,
    pictures: Pictures,
    place: Place,
    steps: int,
    device: torch.device,
    seed: int = 11,
) -> AutoencoderKL:
    """Squared and absolute error on random crops, then on whole pictures; a very light KL."""
    torch.manual_seed(seed)
    model = build_autoencoder(layout)
    start_from_components(model, _sample(pictures, [seed]))
    _identity(model.quant_conv, 2 * layout.latent_channels)
    _identity(model.post_quant_conv, layout.latent_channels)
    model = model.to(device, memory_format=torch.channels_last)

    def loss(step: int) -> Tensor:
        x = _crops(pictures, step, seed, layout, step / steps).to(device)
        generator = torch.Generator().manual_seed(seed * 1_000_003 + step)
        with torch.autocast(device.type, torch.bfloat16):
            posterior = model.encode(x).latent_dist
            latents = posterior.sample(generator)
            y = model.decode(latents).sample
        error = y.float() - x
        divergence = posterior.kl().mean() / latents[0].numel()
        return error.square().mean() + 0.05 * error.abs().mean() + KL_WEIGHT * divergence

    fit(loss, [Group((model,), 2e-3, 0.0)], Schedule(steps), place, average=0.998)
    normalise_latents(model.cpu(), pictures, seed)
    return model


def _sample(pictures: Pictures, seed: list[int], count: int = 1000) -> Tensor:
    """Pixels (count, 3, h, w) of randomly chosen pictures; of all where there are fewer."""
    chosen = np.random.default_rng(seed).permutation(len(pictures))[:count]
    return pictures.tensor(chosen)


def _crop_size(layout: Layout, progress: float) -> tuple[int, int]:
    """How many crops a step, and their side: small ones first, then whole pictures."""
    if progress < 0.6:
        return 16, 32
    return 2 * (128 // layout.size) ** 2, layout.size


def _crops(pictures: Pictures, step: int, seed: int, layout: Layout, progress: float) -> Tensor:
    count, size = _crop_size(layout, progress)
    rng = np.random.default_rng([seed, step])
    indices = batch_indices(len(pictures), count, seed, step)
    x = pictures.tensor(indices, mirror=rng.random(count) < 0.5)
    if size < x.shape[-1]:
        # Multiples of the patch's side keep the patch grid where the encoder has it.
        places = (x.shape[-1] - size) // layout.patch + 1
        corners = rng.integers(0, places, (count, 2)) * layout.patch
        x = torch.stack(
            [p[:, a : a + size, b : b + size] for p, (a, b) in zip(x, corners, strict=True)]
        )
    return x.contiguous(memory_format=torch.channels_last)


@torch.no_grad()
def normalise_latents(model: AutoencoderKL, pictures: Pictures, seed: int) -> None:
    """Folds a linear map into the 1x1 convolutions around the latents; pictures stay the same.

    Training leaves all channels with about the same variance, however little some of them matter
    to the picture, and a denoiser would spend itself on what nobody sees. So each channel is
    weighted by how much it moves pixels, the channels are rotated to principal components, and
    these are partly whitened: their standard deviations become their square roots.
    """
    x = _sample(pictures, [seed, 1])
    latents = torch.cat([model.encode(part).latent_dist.mean for part in x.split(50)]).double()
    mean = latents.mean(dim=(0, 2, 3))
    weight = _pixel_weight(model, latents[:100].float(), seed).double()
    centred = (latents - mean[:, None, None]) * weight[:, None, None]
    flat = centred.permute(0, 2, 3, 1).reshape(-1, len(mean))
    directions, variances, _ = torch.linalg.svd(torch.cov(flat.T))
    change = variances.pow(-0.25)[:, None] * directions.T * weight
    change /= variances.sqrt().mean().sqrt()
    _fold(model, change, mean)
    model.register_to_config(scaling_factor=1.0)


def _pixel_weight(model: AutoencoderKL, latents: Tensor, seed: int, step: float = 0.2) -> Tensor:
    """(channels,): root mean square change of the picture for a change of each channel."""
    generator = torch.Generator().manual_seed(seed)
    plain = model.decode(latents).sample
    weights = []
    for channel in range(latents.shape[1]):
        moved = latents.clone()
        scale = step * latents[:, channel].std()
        noise = torch.randn(latents[:, channel].shape, generator=generator)
        moved[:, channel] += scale * noise
        change = (model.decode(moved).sample - plain).square().mean().sqrt()
        weights.append(change / scale)
    return torch.stack(weights)


def _fold(model: AutoencoderKL, change: Tensor, mean: Tensor) -> None:
    """Latents z become change (z - mean), and the decoder undoes it."""
    half = model.config.latent_channels
    before, after = model.quant_conv, model.post_quant_conv
    means = before.weight[:half, :, 0, 0].double()
    before.weight[:half] = (change @ means).float()[:, :, None, None]
    before.bias[:half] = (change @ (before.bias[:half].double() - mean)).float()
    # The posterior's spread is not diagonal any more, and tiny: a constant stands for it.
    before.weight[half:] = 0.0
    before.bias[half:] = -12.0
    weight = after.weight[:, :, 0, 0].double()
    after.bias += (weight @ mean).float()
    after.weight[:] = (weight @ torch.linalg.inv(change)).float()[:, :, None, None]


@torch.no_grad()
def psnr(model: AutoencoderKL, pictures: Pictures) -> float:
    """Peak signal-to-noise ratio in dB over all pixels of `pictures` (8-bit peak)."""
    errors = []
    for start in range(0, len(pictures), 50):
        x = pictures.tensor(np.arange(start, min(start + 50, len(pictures))))
        y = model.decode(model.encode(x).latent_dist.mean).sample.clamp(-1, 1)
        errors.append((y - x).double().square().mean(dim=(1, 2, 3)))
    return float(10 * torch.log10(4 / torch.cat(errors).mean()))
