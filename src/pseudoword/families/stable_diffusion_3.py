"""Stable Diffusion 3 and 3.5: a multimodal transformer, flow matching, T5 if wanted."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn.functional import pad

from pseudoword.families.model import Model, Text

T5_LENGTH = 256
"""Tokens that T5 reads, as in the published pipelines."""


class StableDiffusion3(Model):
    """Two CLIP encoders side by side, then T5's tokens after theirs (arXiv 2403.03206, fig. 2).

    Without T5 zeros stand in its place, as the model was trained to bear.
    """

    family = "stable-diffusion-3"
    DENOISER = "transformer"
    OPTIONAL = frozenset({"text_encoder_3", "tokenizer_3"})
    PARTS: ClassVar[Mapping[str, str]] = {
        "transformer": "SD3Transformer2DModel",
        "vae": "AutoencoderKL",
        "text_encoder": "CLIPTextModelWithProjection",
        "text_encoder_2": "CLIPTextModelWithProjection",
        "text_encoder_3": "T5EncoderModel",
        "tokenizer": "CLIPTokenizer",
        "tokenizer_2": "CLIPTokenizer",
        "tokenizer_3": "T5Tokenizer",
        "scheduler": "FlowMatchEulerDiscreteScheduler",
    }

    def _encode(self, prompts: Sequence[str]) -> Text:
        outputs = [
            encoder(self.tokenize(prompts, index), output_hidden_states=True)
            for index, encoder in enumerate(self.text_encoders[:2])
        ]
        width = self.denoiser.config.joint_attention_dim
        clip = torch.cat([output.hidden_states[-2] for output in outputs], dim=-1)
        clip = pad(clip, (0, width - clip.shape[-1]))
        if len(self.text_encoders) > 2:
            ids = self.tokenize(prompts, 2, T5_LENGTH)
            t5 = self.text_encoders[2](ids).last_hidden_state.to(clip.dtype)
        else:
            t5 = clip.new_zeros(len(prompts), T5_LENGTH, width)
        pooled = torch.cat([output.text_embeds for output in outputs], dim=-1)
        return Text(torch.cat([clip, t5], dim=1), pooled)

    def _predict(
        self, latents: Tensor, timesteps: Tensor, text: Text, sizes: Tensor | None
    ) -> Tensor:
        prediction: Tensor = self.denoiser(
            latents,
            timestep=timesteps,
            encoder_hidden_states=text.states,
            pooled_projections=text.pooled,
        ).sample
        return prediction

    def pipeline(self, scheduler: Any) -> Any:
        from diffusers import StableDiffusion3Pipeline

        third = len(self.text_encoders) > 2
        return StableDiffusion3Pipeline(
            vae=self.autoencoder,
            text_encoder=self.text_encoders[0],
            text_encoder_2=self.text_encoders[1],
            text_encoder_3=self.text_encoders[2] if third else None,
            tokenizer=self.tokenizers[0],
            tokenizer_2=self.tokenizers[1],
            tokenizer_3=self.tokenizers[2] if third else None,
            transformer=self.denoiser,
            scheduler=scheduler,
        )
