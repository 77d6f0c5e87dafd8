"""Custom Diffusion (arXiv 2212.04488): a new word, and what attention reads from the text."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from pseudoword.errors import UserError
from pseudoword.methods.base import Group, Method, require_shapes, token_count
from pseudoword.methods.templates import TEMPLATES, TemplateSet
from pseudoword.methods.weights import ChangedWeights, WeightSettings
from pseudoword.methods.words import NewWords, WordSettings

if TYPE_CHECKING:
    from torch import Tensor

    from pseudoword.families.model import Model

CROSS = (".attn2.to_k", ".attn2.to_v")
JOINT = (".add_k_proj", ".add_v_proj")


class CustomDiffusionSettings(WeightSettings, WordSettings):
    """Settings of Custom Diffusion; the defaults suit Stable Diffusion 1.5.

    diffusers, examples/custom_diffusion/README.md, where a rate of 1e-5 is multiplied by the photos
    and class pictures of a step.
    """

    steps: int = Field(default=250, ge=1, description="optimizer steps")
    batch_size: int = Field(default=2, ge=1, description="photos a step")
    learning_rate: float = Field(default=4e-5, gt=0, description="peak learning rate")
    word_learning_rate: float = Field(default=4e-5, gt=0, description="of the word")
    prior_weight: float = Field(
        default=1.0, ge=0, description="weight of the loss on class pictures; 0 leaves them out"
    )
    prior_pictures: int = Field(
        default=200, ge=1, description="class pictures that the untouched model draws"
    )
    initial_words: str = Field(
        default="ktn",
        description="words whose embeddings it starts from; the class noun if empty",
    )
    templates: TemplateSet = Field(
        default="plain", description="what the photos are called while the word is learnt"
    )


class CustomDiffusion(Method):
    """A new word, and the keys and values that attention makes of the text, learn."""

    name = "custom-diffusion"
    title = "Custom Diffusion"
    summary = "a new word before the class noun, and the keys and values of the text, learn"
    Settings = CustomDiffusionSettings
    presets: ClassVar = {
        "toybox": {
            "steps": 200,
            "batch_size": 4,
            "learning_rate": 2e-3,
            "word_learning_rate": 3e-2,
            "warmup_steps": 20,
            "prior_pictures": 32,
            "initial_words": "",
        }
    }
    learns = frozenset({"words", "weights"})
    has_strength = True
    settings: CustomDiffusionSettings

    @property
    def templates(self) -> tuple[str, ...]:
        return TEMPLATES[self.settings.templates]

    @property
    def trains_text(self) -> bool:
        return True

    def noun_phrase(self, class_noun: str) -> str:
        return f"{self._words.phrase} {class_noun}"

    def phrase_tokens(self, model: "Model", class_noun: str) -> int:
        return self.settings.vectors + token_count(model, class_noun)

    def attach(self, model: "Model", class_noun: str, seed: int) -> list[Group]:
        self._weights = _keys_and_values(model)
        chosen = self.settings
        weights = self._weights.unfreeze()
        rows = self._words.add(model, class_noun, seed)
        return [
            Group(weights, chosen.learning_rate, chosen.weight_decay),
            Group(rows, chosen.word_learning_rate, 0.0),
        ]

    def state(self, model: "Model") -> "dict[str, Tensor]":
        return self._words.state(model) | self._weights.state(self.settings.store)

    def load(self, model: "Model", class_noun: str, tensors: "Mapping[str, Tensor]") -> None:
        shapes = self._words.shapes(model)
        words = {key: value for key, value in tensors.items() if key in shapes}
        require_shapes(self, model, words, shapes)
        self._weights = _keys_and_values(model)
        rest = {key: value for key, value in tensors.items() if key not in shapes}
        self._weights.load(self, model, rest)
        self._words.load(model, words)

    def set_strength(self, model: "Model", strength: float) -> None:
        """The weights' alone: the word keeps its embedding, for it has no untouched one."""
        self._weights.set_strength(strength)

    def notes(self, model: "Model", class_noun: str) -> list[str]:
        return self._words.notes(model, class_noun, self.title)

    @property
    def _words(self) -> NewWords:
        return NewWords(self.settings)


def _keys_and_values(model: "Model") -> ChangedWeights:
    """Where text and picture attend together, attn2 can be attention of the picture alone."""
    names = [f".{name}" for name, _ in model.denoiser.named_modules()]
    ends = JOINT if any(name.endswith(JOINT) for name in names) else CROSS
    weights = {
        f"denoiser.{name}": weight
        for name, weight in model.denoiser.named_parameters()
        if f".{name}".rpartition(".")[0].endswith(ends)
    }
    if not weights:
        raise UserError(f"{model.name} has no attention to its text: choose another method.")
    return ChangedWeights(weights)
