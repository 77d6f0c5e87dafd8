"""The toybox's UNet and text encoder, trained together on the autoencoder's latents."""

from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from torch import Tensor
from torch.nn.functional import mse_loss
from transformers import CLIPModel, CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from pseudoword.progress import Reporter
from pseudoword.runs import atomic_path
from pseudoword.toybox.recipe.data import Pictures, batch_indices
from pseudoword.toybox.recipe.fit import Group, Schedule, fit
from pseudoword.toybox.recipe.pair import TEXT_WIDTH, text_config, tokenize

BATCH = 32
GUIDANCE_DROPOUT = 0.1
"""Share of samples without caption, which classifier-free guidance needs (arXiv 2207.12598)."""
WORDINGS = 16


def build_unet(latent_channels: int) -> UNet2DConditionModel:
    """11 M parameters on an 8x8 grid, cross-attention on both levels."""
    return UNet2DConditionModel(
        sample_size=8,
        in_channels=latent_channels,
        out_channels=latent_channels,
        block_out_channels=(128, 192),
        layers_per_block=1,
        down_block_types=("CrossAttnDownBlock2D",) * 2,
        up_block_types=("CrossAttnUpBlock2D",) * 2,
        cross_attention_dim=TEXT_WIDTH,
        # diffusers calls the number of heads by this name
        attention_head_dim=(4, 6),
        norm_num_groups=16,
    )


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
    """Scaled latents of all pictures, float16 (n, channels, 8, 8), computed once into `path`."""
    if not path.exists():
        factor = autoencoder.to(device).config.scaling_factor
        parts = []
        for start in range(0, len(pictures), 100):
            x = pictures.tensor(np.arange(start, min(start + 100, len(pictures))))
            latents = autoencoder.encode(x.to(device)).latent_dist.mean * factor
            parts.append(latents.half().cpu().numpy())
            reporter.update("latents", min(start + 100, len(pictures)), len(pictures))
        with atomic_path(path) as temporary:
            np.save(temporary, np.concatenate(parts), allow_pickle=False)
    return np.load(path, allow_pickle=False)


def caption_ids(pictures: Pictures, tokenizer: CLIPTokenizer, path: Path) -> np.ndarray:
    """Token ids (n, WORDINGS, length), int16, computed once into `path`: several wordings each."""
    if not path.exists():
        ids = [
            tokenize(tokenizer, [pictures.caption(i, w) for w in range(WORDINGS)]).numpy()
            for i in range(len(pictures))
        ]
        with atomic_path(path) as temporary:
            np.save(temporary, np.stack(ids).astype(np.int16), allow_pickle=False)
    return np.load(path, allow_pickle=False)


def train_denoiser(
    pictures: Pictures,
    autoencoder: AutoencoderKL,
    pair: CLIPModel,
    tokenizer: CLIPTokenizer,
    folder: Path,
    steps: int,
    reporter: Reporter,
    device: torch.device,
    seed: int = 31,
) -> tuple[UNet2DConditionModel, CLIPTextModel]:
    """Mean squared error of v over uniform timesteps; both networks are averaged (EMA)."""
    torch.manual_seed(seed)
    unet = build_unet(autoencoder.config.latent_channels).to(device)
    text_encoder = start_text_encoder(pair, tokenizer).to(device)
    scheduler = build_scheduler()
    latents = encode_pictures(autoencoder, pictures, folder / "latents.npy", reporter, device)
    ids = caption_ids(pictures, tokenizer, folder / "captions.npy")
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
    fit(loss, groups, Schedule(steps), folder, reporter, average=0.998)
    return unet.cpu(), text_encoder.cpu()
