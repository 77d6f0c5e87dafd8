"""Pivotal tuning (arXiv 2106.05744; cloneofsimo/lora): a word first, then LoRA around it."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from pseudoword.methods.adapters import TARGETS_HELP, Adapters, Targets, parts_of
from pseudoword.methods.base import Group, Method, require_shapes
from pseudoword.methods.lora import FactorSettings, factor_groups, lora_config
from pseudoword.methods.templates import TEMPLATES
from pseudoword.methods.words import NewWords, WordSettings

if TYPE_CHECKING:
    from torch import Tensor

    from pseudoword.families.model import Model


class PivotalTuningSettings(FactorSettings, WordSettings):
    """Settings of pivotal tuning; the defaults suit Stable Diffusion 1.5.

    cloneofsimo/lora, training_scripts/multivector_example.sh, with its rates times its batch of 4;
    of a feed-forward layer that script takes only the first matrix.
    """

    batch_size: int = Field(default=4, ge=1, description="photos a step")
    vectors: int = Field(default=2, ge=1, le=16, description="embedding vectors of the new word")
    rank: int = Field(default=1, ge=1, description="rank of the factors")
    alpha: float = Field(
        default=1.0, gt=0, description="the factors' product counts alpha / rank times"
    )
    targets: Targets = Field(default="attention-ff", description=TARGETS_HELP)
    train_text_encoder: bool = Field(default=True, description="adapters in the text encoder too")
    text_learning_rate: float = Field(default=4e-5, gt=0, description="of the text encoder")

    steps: int = Field(default=2000, ge=1, description="optimizer steps, the word's among them")
    word_share: float = Field(
        default=0.5, gt=0, lt=1, description="share of the steps that the word learns in"
    )
    word_learning_rate: float = Field(default=2e-3, gt=0, description="of the word")
    learning_rate: float = Field(default=4e-4, gt=0, description="of the factors")


class PivotalTuning(Method):
    """A new word learns first; then it stays, and low-rank factors learn around it."""

    name = "pivotal-tuning"
    title = "Pivotal tuning"
    summary = "a new word learns first, then low-rank factors around it"
    Settings = PivotalTuningSettings
    presets: ClassVar = {
        "toybox": {
            "steps": 400,
            "batch_size": 4,
            "learning_rate": 5e-4,
            "word_learning_rate": 1e-1,
            "vectors": 1,
            "rank": 8,
            "alpha": 8.0,
            "targets": "attention",
            "train_text_encoder": False,
            "text_learning_rate": 5e-5,
            "warmup_steps": 20,
            "templates": "plain",
        },
        # replicate/cog-sdxl, train.py
        "stable-diffusion-xl": {
            "steps": 1000,
            "learning_rate": 1e-4,
            "word_learning_rate": 3e-4,
            "weight_decay": 1e-4,
            "targets": "attention",
            "train_text_encoder": False,
            "rank": 32,
            "alpha": 32.0,
        },
        # This project's choice, for nothing is published: T5 alone outgrows a medium denoiser.
        "stable-diffusion-3": {"train_text_encoder": False},
    }
    learns = frozenset({"words", "adapters"})
    has_strength = True
    settings: PivotalTuningSettings

    @property
    def templates(self) -> tuple[str, ...]:
        return TEMPLATES[self.settings.templates]

    @property
    def trains_text(self) -> bool:
        return True

    def noun_phrase(self, class_noun: str) -> str:
        return self._words.phrase

    def phrase_tokens(self, model: "Model", class_noun: str) -> int:
        return self.settings.vectors

    def attach(self, model: "Model", class_noun: str, seed: int) -> list[Group]:
        chosen = self.settings
        self._adapters = self._make(model)
        factors = self._adapters.add(seed)
        rows = self._words.add(model, class_noun, seed)
        word = Group(rows, chosen.word_learning_rate, 0.0, end=chosen.word_share)
        return [word, *factor_groups(self._adapters.parts, factors, chosen, chosen.word_share)]

    def state(self, model: "Model") -> "dict[str, Tensor]":
        return self._words.state(model) | self._adapters.state()

    def load(self, model: "Model", class_noun: str, tensors: "Mapping[str, Tensor]") -> None:
        shapes = self._words.shapes(model)
        words = {key: value for key, value in tensors.items() if key in shapes}
        require_shapes(self, model, words, shapes)
        self._adapters = self._make(model)
        rest = {key: value for key, value in tensors.items() if key not in shapes}
        self._adapters.load(self, model, rest)
        self._words.load(model, words)

    def set_strength(self, model: "Model", strength: float) -> None:
        """The factors' alone: the word keeps its embedding, for it has no untouched one."""
        self._adapters.set_strength(strength)

    def notes(self, model: "Model", class_noun: str) -> list[str]:
        return self._words.notes(model, class_noun, self.title)

    @property
    def _words(self) -> NewWords:
        return NewWords(self.settings)

    def _make(self, model: "Model") -> Adapters:
        return Adapters(parts_of(model, self.settings), lora_config(self.settings))
