"""Stable Diffusion 1.x and 2.x (and the toybox, which has their architecture)."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from torch import Tensor

from pseudoword.families.model import Model, Text


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
