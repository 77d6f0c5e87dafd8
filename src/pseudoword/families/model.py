"""A text-to-image model as methods, training and generation see it: named parts."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from pseudoword.compute import PRECISIONS, Stage
from pseudoword.objective import Objective, objective_of
from pseudoword.settings import ComputeSettings, LoadSettings

DECODED_PIXELS = 2**20
"""Pixels that the autoencoder decodes at once: four pictures of 512 px, any batch of toys."""


FLOAT32 = ComputeSettings(precision="fp32")


@dataclass(frozen=True, eq=False)
class Text:
    """What text encoders make of n prompts.

    `states` (n, length, width) are attended to; `pooled` (n, width) sums up each prompt for the
    families that want it.
    """

    states: Tensor
    pooled: Tensor | None = None

    def __len__(self) -> int:
        return len(self.states)

    def rows(self, index: Sequence[int]) -> "Text":
        """The prompts at these places, in this order."""
        return Text.cat([self._row(place) for place in index])

    def _row(self, place: int) -> "Text":
        # A slice, since a GPU is waited for when places are sent to it as a tensor; and gradients
        # of rows that are picked by one are added up in another order, on a GPU in any.
        row = slice(place, place + 1)
        return Text(self.states[row], None if self.pooled is None else self.pooled[row])

    def float(self) -> "Text":
        return Text(self.states.float(), None if self.pooled is None else self.pooled.float())

    @staticmethod
    def cat(parts: Sequence["Text"]) -> "Text":
        pooled = [part.pooled for part in parts if part.pooled is not None]
        return Text(torch.cat([p.states for p in parts]), torch.cat(pooled) if pooled else None)


@dataclass(eq=False)
class Model(ABC):
    """Named parts of a latent diffusion model; all frozen until a method says otherwise.

    A family is a subclass: it says how prompts are encoded and how its denoiser is called.
    `resolution` is the side of its pictures in pixels, `latent_shape` (channels, height, width).
    `fingerprint` is the SHA-256 of all that pictures depend on.
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
    loading: LoadSettings
    notes: tuple[str, ...] = field(default=(), kw_only=True)
    """What was left out or decided in loading, for the user to know."""
    compute: ComputeSettings = field(default=FLOAT32, kw_only=True)
    """How it computes: its precision is never "auto"."""
    stage: Stage | None = field(default=None, kw_only=True)
    """Where its parts take turns on the accelerator; without one they all stay there."""

    _ids: dict[tuple[str, int, int, int], Tensor] = field(
        default_factory=dict, init=False, repr=False
    )

    family: ClassVar[str]
    """The name of its settings' presets too."""
    PARTS: ClassVar[Mapping[str, str]]
    """Folders of the diffusers layout and the classes that load them."""
    OPTIONAL: ClassVar[frozenset[str]] = frozenset()
    """Parts that a model of this family may lack."""
    DENOISER: ClassVar[str] = "unet"
    """The denoiser's folder."""

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
        """A model of loaded parts by their folders' names; `index` is model_index.json."""
        denoiser, autoencoder = parts[cls.DENOISER], parts["vae"]
        side = denoiser.config.sample_size
        places = [place for place in ("", "_2", "_3") if f"text_encoder{place}" in parts]
        return cls(
            name=name,
            tokenizers=[parts[f"tokenizer{place}"] for place in places],
            text_encoders=[parts[f"text_encoder{place}"] for place in places],
            denoiser=denoiser,
            autoencoder=autoencoder,
            scheduler_config=dict(parts["scheduler"].config),
            objective=objective_of(parts["scheduler"], device),
            resolution=side * 2 ** (len(autoencoder.config.block_out_channels) - 1),
            latent_shape=(denoiser.config.in_channels, side, side),
            fingerprint=fingerprint,
            device=device,
            loading=loading,
            **cls._told(index),
        )

    @classmethod
    def _told(cls, index: Mapping[str, Any]) -> dict[str, Any]:
        """What a family takes from model_index.json for fields of its own."""
        return {}

    @abstractmethod
    def _encode(self, prompts: Sequence[str]) -> Text:
        """`encode_prompts` of the family, in any precision."""

    @abstractmethod
    def _predict(
        self, latents: Tensor, timesteps: Tensor, text: Text, sizes: Tensor | None
    ) -> Tensor:
        """`predict` of the family, in any precision."""

    def encode_prompts(self, prompts: Sequence[str]) -> Text:
        """Text states of prompts, float32. Gradients flow where a method trains an encoder."""
        with self._at_work(*self.text_encoders):
            return self._encode(prompts).float()

    def predict(
        self, latents: Tensor, timesteps: Tensor, text: Text, sizes: Tensor | None = None
    ) -> Tensor:
        """The denoiser's prediction (n, c, h, w), float32, for noisy latents at timesteps (n,).

        `sizes` (n, 6) tell families with micro-conditioning of each picture: its original height
        and width, the top and left of its crop, and height and width as trained (arXiv
        2307.01952, section 2.2). Without it a picture counts as whole and of the latents' size.
        """
        with self._at_work(self.denoiser):
            return self._predict(latents, timesteps, text, sizes).float()

    @contextmanager
    def _at_work(self, *parts: nn.Module) -> Iterator[None]:
        """These parts on the accelerator, and products in the model's precision."""
        if self.stage is not None:
            self.stage.bring(parts)
        dtype = PRECISIONS[self.compute.precision]
        with torch.autocast(self.device.type, dtype, enabled=dtype != torch.float32):
            yield

    def stay(self) -> None:
        """All parts on the accelerator from here on, as gradients through several of them need."""
        self.stage = None
        for part in self.modules():
            part.to(self.device)

    def release(self, *, text: bool) -> None:
        """Gives back the memory of the autoencoder, and with `text` that of the text encoders.

        What is left can predict, and nothing else for which it would need them.
        """
        self.autoencoder = None
        if text:
            self.text_encoders = []

    @abstractmethod
    def pipeline(self, scheduler: Any) -> Any:
        """A diffusers pipeline that shares these parts."""

    @property
    def pixels_per_latent(self) -> int:
        return self.resolution // self.latent_shape[1]

    def modules(self) -> list[nn.Module]:
        """The parts that are still there."""
        autoencoder = [] if self.autoencoder is None else [self.autoencoder]
        return [self.denoiser, *autoencoder, *self.text_encoders]

    def encode_unconditional(self) -> Text:
        """What guidance steers away from: the empty prompt, one row."""
        return self.encode_prompts([""])

    # The autoencoder computes in float32 in every precision. SDXL's overflows in fp16: hence
    # force_upcast in its configuration; huggingface.co/madebyollin/sdxl-vae-fp16-fix tells where.

    @torch.no_grad()
    def encode_pixels(self, pixels: Tensor) -> Tensor:
        """Pixels (n, 3, h, w) in [-1, 1] => scaled latents (n, c, h/f, w/f): posterior means."""
        self._bring_autoencoder()
        posterior = self.autoencoder.encode(pixels.to(self.device)).latent_dist
        shift = self.autoencoder.config.get("shift_factor") or 0.0
        latents: Tensor = (posterior.mean - shift) * self.autoencoder.config.scaling_factor
        return latents

    @torch.no_grad()
    def decode_latents(self, latents: Tensor) -> Tensor:
        """Scaled latents => pixels (n, 3, h, w) in [-1, 1]."""
        shift = self.autoencoder.config.get("shift_factor") or 0.0
        self._bring_autoencoder()
        scaled = latents / self.autoencoder.config.scaling_factor + shift
        parts = scaled.split(max(1, DECODED_PIXELS // self.resolution**2))
        pixels = torch.cat([self.autoencoder.decode(part).sample for part in parts])
        return pixels.clamp(-1, 1)

    def _bring_autoencoder(self) -> None:
        if self.stage is not None:
            self.stage.bring([self.autoencoder])

    def tokenize(self, prompts: Sequence[str], index: int = 0, length: int | None = None) -> Tensor:
        """Token ids (n, length) of one tokenizer, padded and cut, on the device.

        They are kept, for a training asks for the same few prompts at every step.
        """
        tokenizer = self.tokenizers[index]
        most = length or tokenizer.model_max_length
        # New words change what a prompt is made of, and the tokenizer's length.
        keys = [(prompt, index, most, len(tokenizer)) for prompt in prompts]
        if missing := [key for key in dict.fromkeys(keys) if key not in self._ids]:
            found: Tensor = tokenizer(
                [key[0] for key in missing],
                padding="max_length",
                max_length=most,
                truncation=True,
                return_tensors="pt",
            ).input_ids
            self._ids |= dict(zip(missing, found.to(self.device), strict=True))
        return torch.stack([self._ids[key] for key in keys])
