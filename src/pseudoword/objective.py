"""What the denoiser learns to predict: noise (epsilon) or velocity (v)."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

PredictionType = Literal["epsilon", "v_prediction"]


@dataclass(frozen=True, eq=False)
class Objective:
    """The variance-preserving diffusion of a model.

    `alphas_cumprod` (timesteps,), float32: the share of signal variance left at each timestep
    (arXiv 2006.11239, eq. 4).
    """

    prediction_type: PredictionType
    alphas_cumprod: Tensor

    @property
    def timesteps(self) -> int:
        return len(self.alphas_cumprod)

    def add_noise(self, latents: Tensor, noise: Tensor, timesteps: Tensor) -> Tensor:
        """x_t = a x + s e for latents (n, c, h, w) and timesteps (n,) (arXiv 2006.11239, eq. 4)."""
        signal, sigma = self._levels(timesteps, latents)
        return signal * latents + sigma * noise

    def target(self, latents: Tensor, noise: Tensor, timesteps: Tensor) -> Tensor:
        """The noise e, or v = a e - s x (arXiv 2202.00512, appendix D)."""
        if self.prediction_type == "epsilon":
            return noise
        signal, sigma = self._levels(timesteps, latents)
        return signal * noise - sigma * latents

    def losses(self, prediction: Tensor, target: Tensor) -> Tensor:
        """Mean squared error of each sample, in float32: (n,)."""
        return (prediction.float() - target.float()).square().mean(dim=(1, 2, 3))

    def _levels(self, timesteps: Tensor, like: Tensor) -> tuple[Tensor, Tensor]:
        kept = self.alphas_cumprod.to(like.device)[timesteps].to(torch.float32)
        kept = kept[:, None, None, None]
        return kept.sqrt().to(like.dtype), (1 - kept).sqrt().to(like.dtype)
