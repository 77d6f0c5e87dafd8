"""Stable Diffusion 1.x and 2.x (and the toybox, which has their architecture)."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from pseudoword.families.model import Model, Text
from pseudoword.objective import objective_of
from pseudoword.settings import LoadSettings


class StableDiffusion(Model):
    """One text encoder, whose last hidden state is attended to (arXiv 2112.10752)."""

    family = "stable-diffusion"
    PARTS: ClassVar[Mapping[str, str]] = {
        "unet": "UNet2DConditionModel",
        "vae": "AutoencoderKL",
        "text_encoder": "CLIPTextModel",
        "tokenizer": "CLIPTokenizer",
        "scheduler": "DDPMScheduler",
    }

    @classmethod
    def assemble(
        cls,
        name: str,
        parts: Mapping[str, Any],
        index: Mapping[str, Any],
        fingerprint: str,
        device: torch.device,
        loading: LoadSettings,
    ) -> "Model":
        scale = 2 ** (len(parts["vae"].config.block_out_channels) - 1)
        side = parts["unet"].config.sample_size
        return cls(
            name=name,
            tokenizers=[parts["tokenizer"]],
            text_encoders=[parts["text_encoder"]],
            denoiser=parts["unet"],
            autoencoder=parts["vae"],
            scheduler_config=dict(parts["scheduler"].config),
            objective=objective_of(parts["scheduler"]),
            resolution=side * scale,
            latent_shape=(parts["unet"].config.in_channels, side, side),
            fingerprint=fingerprint,
            device=device,
            loading=loading,
        )

    def _encode(self, prompts: Sequence[str]) -> Text:
        return Text(self.text_encoders[0](self.tokenize(prompts)).last_hidden_state)

    def _predict(
        self, latents: Tensor, timesteps: Tensor, text: Text, sizes: Tensor | None
    ) -> Tensor:
        prediction: Tensor = self.denoiser(
            latents, timesteps, encoder_hidden_states=text.states
        ).sample
        return prediction

    def pipeline(self, scheduler: Any) -> Any:
        from diffusers import StableDiffusionPipeline

        return StableDiffusionPipeline(
            vae=self.autoencoder,
            text_encoder=self.text_encoders[0],
            tokenizer=self.tokenizers[0],
            unet=self.denoiser,
            scheduler=scheduler,
            safety_checker=None,
            feature_extractor=None,
            requires_safety_checker=False,
        )
