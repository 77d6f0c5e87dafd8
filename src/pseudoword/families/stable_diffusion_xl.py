"""Stable Diffusion XL: two text encoders, a pooled state, and conditioning on sizes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from pseudoword.families.model import Model, Text


@dataclass(eq=False)
class StableDiffusionXL(Model):
    """Both encoders' last states but one side by side (arXiv 2307.01952, section 2.1)."""

    empty_prompt_is_zero: bool = True
    """Whether guidance steers away from states of zero instead of those of the empty prompt."""

    family = "stable-diffusion-xl"
    PARTS: ClassVar[Mapping[str, str]] = {
        "unet": "UNet2DConditionModel",
        "vae": "AutoencoderKL",
        "text_encoder": "CLIPTextModel",
        "text_encoder_2": "CLIPTextModelWithProjection",
        "tokenizer": "CLIPTokenizer",
        "tokenizer_2": "CLIPTokenizer",
        "scheduler": "DDPMScheduler",
    }

    @classmethod
    def _told(cls, index: Mapping[str, Any]) -> dict[str, Any]:
        return {"empty_prompt_is_zero": bool(index.get("force_zeros_for_empty_prompt", True))}

    def _encode(self, prompts: Sequence[str]) -> Text:
        outputs = [
            encoder(self.tokenize(prompts, index), output_hidden_states=True)
            for index, encoder in enumerate(self.text_encoders)
        ]
        states = torch.cat([output.hidden_states[-2] for output in outputs], dim=-1)
        return Text(states, outputs[1].text_embeds)

    def encode_unconditional(self) -> Text:
        text = self.encode_prompts([""])
        if not self.empty_prompt_is_zero or text.pooled is None:
            return text
        return Text(torch.zeros_like(text.states), torch.zeros_like(text.pooled))

    def _predict(
        self, latents: Tensor, timesteps: Tensor, text: Text, sizes: Tensor | None
    ) -> Tensor:
        if sizes is None:
            height, width = (side * self.pixels_per_latent for side in latents.shape[-2:])
            whole = torch.tensor([height, width, 0, 0, height, width], device=latents.device)
            sizes = whole.expand(len(latents), 6)
        prediction: Tensor = self.denoiser(
            latents,
            timesteps,
            encoder_hidden_states=text.states,
            added_cond_kwargs={"text_embeds": text.pooled, "time_ids": sizes.to(latents.dtype)},
        ).sample
        return prediction

    def pipeline(self, scheduler: Any) -> Any:
        from diffusers import StableDiffusionXLPipeline

        return StableDiffusionXLPipeline(
            vae=self.autoencoder,
            text_encoder=self.text_encoders[0],
            text_encoder_2=self.text_encoders[1],
            tokenizer=self.tokenizers[0],
            tokenizer_2=self.tokenizers[1],
            unet=self.denoiser,
            scheduler=scheduler,
            force_zeros_for_empty_prompt=self.empty_prompt_is_zero,
            add_watermarker=False,
        )
