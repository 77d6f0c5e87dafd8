"""DreamBooth (arXiv 2208.12242): a rare word before the class noun, the denoiser fine-tuned."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Literal

import torch
from pydantic import Field

from pseudoword.errors import UserError
from pseudoword.methods.base import Group, Method, MethodSettings

if TYPE_CHECKING:
    from torch import Tensor, nn

    from pseudoword.families.model import Model


class DreamBoothSettings(MethodSettings):
    """Settings of DreamBooth; the defaults suit Stable Diffusion 1.5."""

    steps: int = Field(default=800, ge=1, description="optimizer steps")
    batch_size: int = Field(default=1, ge=1, description="photos a step")
    learning_rate: float = Field(default=5e-6, gt=0, description="peak learning rate")
    prior_weight: float = Field(
        default=1.0, ge=0, description="weight of the loss on class pictures; 0 leaves them out"
    )
    rare_word: str = Field(default="sks", min_length=1, description="word that names the concept")
    train_text_encoder: bool = Field(default=False, description="fine-tune the text encoder too")
    text_learning_rate: float = Field(default=2e-6, gt=0, description="of the text encoder")
    store: Literal["difference", "full"] = Field(
        default="difference",
        description="keep the change of each weight in 16 bits, or every weight in full",
    )


class DreamBooth(Method):
    """Every weight of the denoiser learns."""

    name = "dreambooth"
    title = "DreamBooth"
    summary = "a rare word before the class noun; every weight of the denoiser learns"
    Settings = DreamBoothSettings
    presets: ClassVar = {
        "toybox": {
            "steps": 400,
            "batch_size": 4,
            "learning_rate": 4e-4,
            "warmup_steps": 20,
            "prior_pictures": 32,
        }
    }
    settings: DreamBoothSettings

    @property
    def trains_text(self) -> bool:
        return self.settings.train_text_encoder

    def noun_phrase(self, class_noun: str) -> str:
        return f"{self.settings.rare_word} {class_noun}"

    def attach(self, model: "Model", class_noun: str, seed: int) -> list[Group]:
        chosen = self.settings
        # The untouched weights stay aside, for the difference that is stored.
        self._base = {k: v.clone() for k, v in self._weights(model).items()}
        groups = []
        for part, rate in self._parts(model):
            part.requires_grad_(True)
            groups.append(Group(list(part.parameters()), rate, chosen.weight_decay))
        return groups

    def state(self, model: "Model") -> "dict[str, Tensor]":
        weights = self._weights(model)
        if self.settings.store == "full":
            return {k: v.detach().clone() for k, v in weights.items()}
        return {
            f"{k}.difference": (v.detach() - self._base[k]).to(torch.bfloat16)
            for k, v in weights.items()
        }

    def load(self, model: "Model", class_noun: str, tensors: "Mapping[str, Tensor]") -> None:
        weights = self._weights(model)
        shapes = {key.removesuffix(".difference"): v.shape for key, v in tensors.items()}
        if shapes != {key: weight.shape for key, weight in weights.items()}:
            raise UserError(
                f"the DreamBooth artefact has other weights than the model {model.name}: "
                "name the model that it was trained on."
            )
        with torch.no_grad():
            for key, value in tensors.items():
                weight = weights[key.removesuffix(".difference")]
                value = value.to(weight.device, torch.float32)
                weight.copy_(weight + value if key.endswith(".difference") else value)

    def _parts(self, model: "Model") -> "list[tuple[nn.Module, float]]":
        parts: list[tuple[nn.Module, float]] = [(model.denoiser, self.settings.learning_rate)]
        if self.settings.train_text_encoder:
            parts += [(e, self.settings.text_learning_rate) for e in model.text_encoders]
        return parts

    def _weights(self, model: "Model") -> "dict[str, Tensor]":
        weights = {f"denoiser.{k}": v for k, v in model.denoiser.state_dict().items()}
        if self.settings.train_text_encoder:
            for index, encoder in enumerate(model.text_encoders):
                for key, value in encoder.state_dict().items():
                    weights[f"text_encoders.{index}.{key}"] = value
        return weights
