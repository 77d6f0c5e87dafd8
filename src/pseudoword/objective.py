"""What the denoiser learns to predict: noise, velocity, or the flow from picture to noise."""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from pseudoword.errors import UserError
from pseudoword.settings import TimestepSampling

PredictionType = Literal["epsilon", "v_prediction"]


class Objective(ABC):
    """How a model's latents are mixed with noise, and what is to be predicted."""

    @abstractmethod
    def draw_timestep(self, rng: np.random.Generator, sampling: TimestepSampling) -> float:
        """A timestep to train at; "auto" draws it as the model was trained."""

    @abstractmethod
    def add_noise(self, latents: Tensor, noise: Tensor, timesteps: Tensor) -> Tensor:
        """Noisy latents (n, c, h, w) at timesteps (n,)."""

    @abstractmethod
    def target(self, latents: Tensor, noise: Tensor, timesteps: Tensor) -> Tensor:
        """What is to be predicted from noisy latents (n, c, h, w)."""

    @abstractmethod
    def min_snr_weights(self, timesteps: Tensor, gamma: float) -> Tensor:
        """Weights (n,) of the losses by min-SNR. Raises UserError where it is not defined."""


@dataclass(frozen=True, eq=False)
class Diffusion(Objective):
    """The variance-preserving diffusion of a model.

    `alphas_cumprod` (timesteps,), float32: the share of signal variance left at each timestep
    (arXiv 2006.11239, eq. 4).
    """

    prediction_type: PredictionType
    alphas_cumprod: Tensor

    @property
    def timesteps(self) -> int:
        return len(self.alphas_cumprod)

    def draw_timestep(self, rng: np.random.Generator, sampling: TimestepSampling) -> int:
        """Uniform over all timesteps, or by a logit-normal share of them."""
        if sampling == "logit-normal":
            return min(int(_logit_normal(rng) * self.timesteps), self.timesteps - 1)
        return int(rng.integers(self.timesteps))

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

    def min_snr_weights(self, timesteps: Tensor, gamma: float) -> Tensor:
        """min(SNR, gamma) / SNR for noise, / (SNR + 1) for v (arXiv 2303.09556, section 3.4)."""
        kept = self.alphas_cumprod[timesteps]
        # At a schedule's end that keeps no signal both go to zero, and so does their ratio's limit.
        snr = kept / (1 - kept)
        least = snr.clamp(max=gamma)
        if self.prediction_type == "epsilon":
            return torch.where(snr > 0, least / snr, torch.ones_like(snr))
        return least / (snr + 1)

    def _levels(self, timesteps: Tensor, like: Tensor) -> tuple[Tensor, Tensor]:
        kept = self.alphas_cumprod[timesteps][:, None, None, None]
        return kept.sqrt().to(like.dtype), (1 - kept).sqrt().to(like.dtype)


@dataclass(frozen=True, eq=False)
class FlowMatching(Objective):
    """Straight paths from picture to noise (arXiv 2403.03206, section 2).

    A timestep is 1000 times the share of noise. `shift` moves the timesteps towards noise as the
    model's sampler does (section 5.3.2 there, eq. 23).
    """

    shift: float = 1.0
    steps: int = 1000

    def draw_timestep(self, rng: np.random.Generator, sampling: TimestepSampling) -> float:
        """Logit-normal (section 3.1 there), or uniform; then shifted."""
        share = rng.random() if sampling == "uniform" else _logit_normal(rng)
        return self.steps * self.shift * share / (1 + (self.shift - 1) * share)

    def add_noise(self, latents: Tensor, noise: Tensor, timesteps: Tensor) -> Tensor:
        """(1 - s) x + s e, with s the share of noise."""
        share = (timesteps.to(torch.float32) / self.steps)[:, None, None, None].to(latents.dtype)
        return (1 - share) * latents + share * noise

    def target(self, latents: Tensor, noise: Tensor, timesteps: Tensor) -> Tensor:
        """The path's velocity e - x, the same at every timestep."""
        return noise - latents

    def min_snr_weights(self, timesteps: Tensor, gamma: float) -> Tensor:
        raise UserError(
            "min_snr_gamma is not defined for flow matching (Stable Diffusion 3): set it to 0."
        )


def _logit_normal(rng: np.random.Generator) -> float:
    """In (0, 1): its logit is normal with mean 0 and deviation 1."""
    return 1 / (1 + math.exp(-rng.standard_normal()))


def objective_of(scheduler: Any, device: torch.device) -> Objective:
    """The objective that a diffusers scheduler was trained by, for latents on `device`."""
    if hasattr(scheduler, "alphas_cumprod"):
        kept = scheduler.alphas_cumprod.float().to(device)
        return Diffusion(scheduler.config.prediction_type, kept)
    return FlowMatching(float(scheduler.config.shift), int(scheduler.config.num_train_timesteps))


def squared_errors(prediction: Tensor, target: Tensor, masks: Tensor | None = None) -> Tensor:
    """Mean squared error of each sample, in float32: (n,).

    `masks` (n, 1, h, w) weight the places of each sample; their mean is taken out, so that a small
    object counts as much as a large one.
    """
    errors = (prediction.float() - target.float()).square()
    if masks is None:
        return errors.mean(dim=(1, 2, 3))
    return (errors * masks).mean(dim=(1, 2, 3)) / masks.mean(dim=(1, 2, 3))
