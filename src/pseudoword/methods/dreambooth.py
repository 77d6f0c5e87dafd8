"""DreamBooth (arXiv 2208.12242): a rare word before the class noun, the denoiser fine-tuned."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from pseudoword.methods.base import Group, Method
from pseudoword.methods.weights import ChangedWeights, WeightSettings, named_weights

if TYPE_CHECKING:
    from torch import Tensor

    from pseudoword.families.model import Model


class DreamBoothSettings(WeightSettings):
    """Settings of DreamBooth; the defaults suit Stable Diffusion 1.5.

    diffusers, examples/dreambooth/README.md, with prior preservation.
    """

    steps: int = Field(default=800, ge=1, description="optimizer steps")
    batch_size: int = Field(default=1, ge=1, description="photos a step")
    learning_rate: float = Field(default=5e-6, gt=0, description="peak learning rate")
    prior_weight: float = Field(
        default=1.0, ge=0, description="weight of the loss on class pictures; 0 leaves them out"
    )
    prior_pictures: int = Field(
        default=200, ge=1, description="class pictures that the untouched model draws"
    )
    rare_word: str = Field(default="sks", min_length=1, description="word that names the concept")
    train_text_encoder: bool = Field(default=False, description="fine-tune the text encoder too")
    text_learning_rate: float = Field(default=2e-6, gt=0, description="of the text encoder")


class DreamBooth(Method):
    """Every weight of the denoiser learns."""

    name = "dreambooth"
    title = "DreamBooth"
    summary = (
        "a rare word before the class noun; every weight of the denoiser learns, and class "
        "pictures keep the noun's meaning"
    )
    Settings: ClassVar[type[DreamBoothSettings]] = DreamBoothSettings
    presets: ClassVar[Mapping[str, Mapping[str, object]]] = {
        "toybox": {
            "steps": 200,
            "batch_size": 4,
            "learning_rate": 4e-4,
            "warmup_steps": 20,
            "prior_pictures": 32,
        },
        # SimpleTuner, documentation/DREAMBOOTH.md
        "stable-diffusion-xl": {"steps": 1000, "learning_rate": 4e-6},
        # diffusers, README_sd3.md, whose rate of 1e-4 is a LoRA's: so sd-scripts', fine_tune.md
        "stable-diffusion-3": {"steps": 500, "batch_size": 4, "learning_rate": 4e-6},
    }
    learns = frozenset({"weights"})
    has_strength = True
    settings: DreamBoothSettings

    @property
    def trains_text(self) -> bool:
        return self.settings.train_text_encoder

    def noun_phrase(self, class_noun: str) -> str:
        return f"{self.settings.rare_word} {class_noun}"

    def attach(self, model: "Model", class_noun: str, seed: int) -> list[Group]:
        chosen = self.settings
        self._weights = self._changed(model)
        self._weights.unfreeze()
        groups = [
            Group(list(model.denoiser.parameters()), chosen.learning_rate, chosen.weight_decay)
        ]
        if chosen.train_text_encoder:
            groups += [
                Group(list(e.parameters()), chosen.text_learning_rate, chosen.weight_decay)
                for e in model.text_encoders
            ]
        return groups

    def state(self, model: "Model") -> "dict[str, Tensor]":
        return self._weights.state(self.settings.store)

    def load(self, model: "Model", class_noun: str, tensors: "Mapping[str, Tensor]") -> None:
        self._weights = self._changed(model)
        self._weights.load(self, model, tensors)

    def set_strength(self, model: "Model", strength: float) -> None:
        self._weights.set_strength(strength)

    def _changed(self, model: "Model") -> ChangedWeights:
        weights = named_weights("denoiser", model.denoiser)
        if self.settings.train_text_encoder:
            for index, encoder in enumerate(model.text_encoders):
                weights |= named_weights(f"text_encoders.{index}", encoder)
        return ChangedWeights(weights)
