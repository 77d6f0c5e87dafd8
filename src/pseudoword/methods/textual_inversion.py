"""Textual Inversion (arXiv 2208.01618): new words; only their embeddings learn."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from pseudoword.methods.base import Group, Method, require_shapes
from pseudoword.methods.templates import TEMPLATES
from pseudoword.methods.words import NewWords, WordSettings

if TYPE_CHECKING:
    from torch import Tensor

    from pseudoword.families.model import Model


class TextualInversionSettings(WordSettings):
    """Settings of Textual Inversion; the defaults suit Stable Diffusion 1.5.

    diffusers, examples/textual_inversion/README.md, where a rate of 5e-4 is multiplied by the
    batch of 4.
    """

    steps: int = Field(default=3000, ge=1, description="optimizer steps")
    learning_rate: float = Field(default=2e-3, gt=0, description="peak learning rate")


class TextualInversion(Method):
    """Only the embedding of a new word learns."""

    name = "textual-inversion"
    title = "Textual Inversion"
    summary = "only the embedding of a new word learns; no weight of the model changes"
    Settings = TextualInversionSettings
    presets: ClassVar = {
        "toybox": {
            "steps": 200,
            "batch_size": 4,
            "learning_rate": 1e-1,
            "warmup_steps": 20,
            "weight_decay": 0.0,
            "templates": "plain",
        },
        # diffusers, examples/textual_inversion/README_sdxl.md
        "stable-diffusion-xl": {"steps": 500, "learning_rate": 2e-3},
    }
    learns = frozenset({"words"})
    settings: TextualInversionSettings

    @property
    def trains_text(self) -> bool:
        return True

    @property
    def templates(self) -> tuple[str, ...]:
        return TEMPLATES[self.settings.templates]

    def noun_phrase(self, class_noun: str) -> str:
        return self._words.phrase

    def phrase_tokens(self, model: "Model", class_noun: str) -> int:
        return self.settings.vectors

    def attach(self, model: "Model", class_noun: str, seed: int) -> list[Group]:
        rows = self._words.add(model, class_noun, seed)
        return [Group(rows, self.settings.learning_rate, self.settings.weight_decay)]

    def state(self, model: "Model") -> "dict[str, Tensor]":
        return self._words.state(model)

    def load(self, model: "Model", class_noun: str, tensors: "Mapping[str, Tensor]") -> None:
        require_shapes(self, model, tensors, self._words.shapes(model))
        self._words.load(model, tensors)

    def notes(self, model: "Model", class_noun: str) -> list[str]:
        return self._words.notes(model, class_noun, self.title)

    @property
    def _words(self) -> NewWords:
        return NewWords(self.settings)
