"""A text-to-image model as methods, training and generation see it: named parts."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from pseudoword.objective import Objective

DECODED_PIXELS = 2**20
"""Pixels that the autoencoder decodes at once: four pictures of 512 px, any batch of toys."""


@dataclass(eq=False)
class Model:
    """Named parts of a latent diffusion model; all frozen until a method says otherwise.

    `resolution` is the side of its pictures in pixels, `latent_shape` (channels, height, width).
    `fingerprint` is the SHA-256 of its weights.
    """

    name: str
    tokenizers: list[Any]
    text_encoders: list[Any]
    denoiser: Any
    autoencoder: Any
    scheduler_config: dict[str, Any]
    objective: Objective
    resolution: int
    latent_shape: tuple[int, int, int]
    fingerprint: str
    device: torch.device

    def modules(self) -> list[nn.Module]:
        return [self.denoiser, self.autoencoder, *self.text_encoders]

    @torch.no_grad()
    def encode_pixels(self, pixels: Tensor) -> Tensor:
        """Pixels (n, 3, h, w) in [-1, 1] => scaled latents (n, c, h/f, w/f): posterior means."""
        posterior = self.autoencoder.encode(pixels.to(self.device)).latent_dist
        shift = self.autoencoder.config.get("shift_factor") or 0.0
        latents: Tensor = (posterior.mean - shift) * self.autoencoder.config.scaling_factor
        return latents

    @torch.no_grad()
    def decode_latents(self, latents: Tensor) -> Tensor:
        """Scaled latents => pixels (n, 3, h, w) in [-1, 1]."""
        shift = self.autoencoder.config.get("shift_factor") or 0.0
        scaled = latents / self.autoencoder.config.scaling_factor + shift
        parts = scaled.split(max(1, DECODED_PIXELS // self.resolution**2))
        pixels = torch.cat([self.autoencoder.decode(part).sample for part in parts])
        return pixels.clamp(-1, 1)

    def tokenize(self, prompts: Sequence[str]) -> Tensor:
        """Token ids (n, length), padded and cut to the tokenizer's length, on the device."""
        ids: Tensor = self.tokenizers[0](
            list(prompts),
            padding="max_length",
            max_length=self.tokenizers[0].model_max_length,
            truncation=True,
            return_tensors="pt",
        ).input_ids
        return ids.to(self.device)

    def encode_prompts(self, prompts: Sequence[str]) -> Tensor:
        """Text states (n, length, width). Gradients flow where a method trains the encoder."""
        states: Tensor = self.text_encoders[0](self.tokenize(prompts)).last_hidden_state
        return states

    def predict(self, latents: Tensor, timesteps: Tensor, states: Tensor) -> Tensor:
        """The denoiser's prediction (n, c, h, w) for noisy latents at timesteps (n,)."""
        prediction: Tensor = self.denoiser(latents, timesteps, encoder_hidden_states=states).sample
        return prediction
