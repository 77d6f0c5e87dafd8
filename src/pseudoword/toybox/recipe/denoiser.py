"""The toybox's UNet and text encoder, trained together on the autoencoder's latents."""

from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from torch import Tensor
from torch.nn.functional import mse_loss
from transformers import CLIPModel, CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from pseudoword.progress import Reporter
from pseudoword.toybox.recipe.data import Pictures, batch_indices
from pseudoword.toybox.recipe.files import CAPTIONS, LATENTS, kept_array
from pseudoword.toybox.recipe.fit import Group, Place, Schedule, fit
from pseudoword.toybox.recipe.layout import Layout, Level
from pseudoword.toybox.recipe.pair import TEXT_WIDTH, text_config, tokenize

BATCH = 32
GUIDANCE_DROPOUT = 0.1
"""Share of samples without caption, which classifier-free guidance needs (arXiv 2207.12598)."""
WORDINGS = 16
TIME_WIDTH = 512


def build_unet(layout: Layout) -> UNet2DConditionModel:
    """11 M parameters, one residual block a level, most of them on grids of 8x8 and 4x4."""
    levels = layout.levels
    return UNet2DConditionModel(
        sample_size=layout.grid,
        in_channels=layout.latent_channels,
        out_channels=layout.latent_channels,
        block_out_channels=tuple(level.channels for level in levels),
        layers_per_block=1,
        down_block_types=tuple(_block(level, "Down") for level in levels),
        up_block_types=tuple(_block(level, "Up") for level in reversed(levels)),
        cross_attention_dim=TEXT_WIDTH,
        # diffusers calls the number of heads by this name
        attention_head_dim=tuple(max(1, level.heads) for level in levels),
        norm_num_groups=16,
        time_embedding_dim=TIME_WIDTH,
    )


def _block(level: Level, way: str) -> str:
    return f"CrossAttn{way}Block2D" if level.heads else f"{way}Block2D"


@torch.no_grad()
def grow_unet(small: UNet2DConditionModel, layout: Layout) -> UNet2DConditionModel:
    """A denoiser of `layout`, with one level more than `small` and the rest taken from it.

    Both have the same grid from the second level on. What has no counterpart of the same shape
    (the ends, and where the new level joins) starts at random.
    """
    model = build_unet(layout)
    own = model.state_dict()
    for name, value in small.state_dict().items():
        head, _, rest = name.partition(".")
        if head == "down_blocks":
            level, _, rest = rest.partition(".")
            name = f"{head}.{int(level) + 1}.{rest}"
        elif head in ("conv_in", "conv_out", "conv_norm_out"):
            continue
        if name in own and own[name].shape == value.shape:
            own[name] = value
    model.load_state_dict(own)
    _fit_time_embedding(small, model)
    return model


def _fit_time_embedding(small: UNet2DConditionModel, model: UNet2DConditionModel) -> None:
    """The first layer after the sinusoids, whose number differs: as near to `small`'s as can be.

    By ridge regression: slow sinusoids are nearly the same, and the plain least squares solution
    has weights of millions that cancel, but not in 16 bits.
    """
    timesteps = torch.arange(1000)
    source, target = small.time_embedding.linear_1, model.time_embedding.linear_1
    wanted = source(small.time_proj(timesteps)).double()
    known = torch.cat([model.time_proj(timesteps).double(), torch.ones(1000, 1)], dim=1)
    penalty = torch.eye(known.shape[1], dtype=torch.float64)
    solution = torch.linalg.solve(known.T @ known + penalty, known.T @ wanted)
    target.weight.copy_(solution[:-1].T)
    target.bias.copy_(solution[-1])


def build_scheduler() -> DDIMScheduler:
    """Stable Diffusion's noise levels with v-prediction (arXiv 2202.00512), as in SD 2."""
    return DDIMScheduler(
        num_train_timesteps=1000,
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        prediction_type="v_prediction",
        timestep_spacing="trailing",
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
    )


def start_text_encoder(pair: CLIPModel, tokenizer: CLIPTokenizer, layers: int = 3) -> CLIPTextModel:
    """The text tower of the contrastive pair, as the text encoder that training starts from."""
    model = CLIPTextModel(CLIPTextConfig(**text_config(tokenizer, layers)))
    tower = {
        k.removeprefix("text_model."): v
        for k, v in pair.state_dict().items()
        if k.startswith("text_model.")
    }
    own = {k.removeprefix("text_model."): k for k in model.state_dict()}
    model.load_state_dict({own[k]: v for k, v in tower.items()})
    return model


@torch.no_grad()
def encode_pictures(
    autoencoder: AutoencoderKL,
    pictures: Pictures,
    path: Path,
    reporter: Reporter,
    device: torch.device,
) -> np.ndarray:
    """Scaled latents of all pictures, float16 (n, channels, grid, grid), computed once."""

    def encode() -> np.ndarray:
        factor = autoencoder.config.scaling_factor
        model = autoencoder.to(device, memory_format=torch.channels_last)
        parts = []
        for start in range(0, len(pictures), 100):
            x = pictures.tensor(np.arange(start, min(start + 100, len(pictures))))
            x = x.to(device, memory_format=torch.channels_last)
            with torch.autocast(device.type, torch.bfloat16):
                latents = model.encode(x).latent_dist.mean * factor
            parts.append(latents.half().cpu().numpy())
            reporter.update("latents", min(start + 100, len(pictures)), len(pictures))
        return np.concatenate(parts)

    return kept_array(path, encode, reporter)


def caption_ids(
    pictures: Pictures, tokenizer: CLIPTokenizer, path: Path, reporter: Reporter
) -> np.ndarray:
    """Token ids (n, WORDINGS, length), int16, computed once into `path`: several wordings each."""

    def encode() -> np.ndarray:
        ids = [
            tokenize(tokenizer, [pictures.caption(i, w) for w in range(WORDINGS)]).numpy()
            for i in range(len(pictures))
        ]
        return np.stack(ids).astype(np.int16)

    return kept_array(path, encode, reporter)


def train_denoiser(
    unet: UNet2DConditionModel,
    text_encoder: CLIPTextModel,
    pictures: Pictures,
    autoencoder: AutoencoderKL,
    tokenizer: CLIPTokenizer,
    place: Place,
    schedule: Schedule,
    device: torch.device,
    seed: int = 31,
) -> tuple[UNet2DConditionModel, CLIPTextModel]:
    """Mean squared error of v over uniform timesteps; both networks are averaged (EMA)."""
    unet, text_encoder = unet.to(device), text_encoder.to(device)
    scheduler = build_scheduler()
    folder, reporter = place.folder, place.reporter
    latents = encode_pictures(autoencoder, pictures, folder / LATENTS, reporter, device)
    ids = caption_ids(pictures, tokenizer, folder / CAPTIONS, reporter)
    empty = tokenize(tokenizer, [""])[0].numpy()

    def loss(step: int) -> Tensor:
        rng = np.random.default_rng([seed, step])
        indices = batch_indices(len(latents), BATCH, seed, step)
        tokens = ids[indices, rng.integers(WORDINGS, size=BATCH)].astype(np.int64)
        tokens[rng.random(BATCH) < GUIDANCE_DROPOUT] = empty
        x = torch.from_numpy(latents[indices].astype(np.float32)).to(device)
        noise = torch.from_numpy(rng.standard_normal(x.shape, np.float32)).to(device)
        # One timestep from each of BATCH equal slices: less variance than independent draws.
        slices = (np.arange(BATCH) + rng.random(BATCH)) / BATCH
        timesteps = torch.from_numpy((slices * 1000).astype(np.int64)).to(device)
        noisy = scheduler.add_noise(x, noise, timesteps)
        target = scheduler.get_velocity(x, noise, timesteps)
        with torch.autocast(device.type, torch.bfloat16):
            states = text_encoder(torch.from_numpy(tokens).to(device)).last_hidden_state
            prediction = unet(noisy, timesteps, states).sample
        return mse_loss(prediction.float(), target)

    groups = [Group((unet,), 6e-4), Group((text_encoder,), 6e-4)]
    fit(loss, groups, schedule, place, average=0.998)
    return unet.cpu(), text_encoder.cpu()
