"""Textual Inversion (arXiv 2208.01618): new words; only their embeddings learn."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from pseudoword.errors import UserError
from pseudoword.methods.base import Group, Method, MethodSettings, token_count

if TYPE_CHECKING:
    from pseudoword.families.model import Model


class TextualInversionSettings(MethodSettings):
    """Settings of Textual Inversion; the defaults suit Stable Diffusion 1.5."""

    steps: int = Field(default=2000, ge=1, description="optimizer steps")
    learning_rate: float = Field(default=5e-4, gt=0, description="peak learning rate")
    weight_decay: float = Field(default=0.0, ge=0, description="AdamW weight decay")
    placeholder_token: str = Field(
        default="<concept>",
        pattern=r"^<[a-z0-9-]+>$",
        description="the new word, in angle brackets",
    )
    vectors: int = Field(default=1, ge=1, le=16, description="embedding vectors of the new word")
    initial_words: str = Field(
        default="", description="words whose embeddings it starts from; the class noun if empty"
    )


class WithNewRows(nn.Module):
    """An embedding table (frozen), and `rows` (n, width) of new words with ids from `first` on.

    The rows are a parameter of their own, so an optimizer never touches, or stores moments of,
    the old words. A table may be longer than its tokenizer; then the new ids hide its spare rows.
    """

    def __init__(self, table: nn.Embedding, rows: Tensor, first: int) -> None:
        super().__init__()
        self.table = table
        self.rows = nn.Parameter(rows)
        self.first = first

    def forward(self, ids: Tensor) -> Tensor:
        """Token ids (...) => embeddings (..., width)."""
        known = self.table(ids.clamp(max=self.first - 1))
        new = self.rows[(ids - self.first).clamp(min=0)]
        return torch.where((ids >= self.first)[..., None], new, known)


class TextualInversion(Method):
    """Only the embedding of a new word learns."""

    name = "textual-inversion"
    title = "Textual Inversion"
    summary = "only the embedding of a new word learns; no weight of the model changes"
    Settings = TextualInversionSettings
    presets: ClassVar = {
        "toybox": {"steps": 200, "batch_size": 4, "learning_rate": 1e-1, "warmup_steps": 20}
    }
    settings: TextualInversionSettings

    @property
    def trains_text(self) -> bool:
        return True

    @property
    def words(self) -> list[str]:
        """The new words: `<concept>`, `<concept>_1`, ... as diffusers names them."""
        word = self.settings.placeholder_token
        return [word, *(f"{word}_{index}" for index in range(1, self.settings.vectors))]

    def noun_phrase(self, class_noun: str) -> str:
        return " ".join(self.words)

    def phrase_tokens(self, model: "Model", class_noun: str) -> int:
        return self.settings.vectors

    def attach(self, model: "Model", class_noun: str, seed: int) -> list[Group]:
        chosen = self.settings
        rows = [
            self._extend(encoder, tokenizer, self._start(encoder, tokenizer, class_noun, seed))
            for encoder, tokenizer in zip(model.text_encoders, model.tokenizers, strict=True)
        ]
        return [Group(rows, chosen.learning_rate, chosen.weight_decay)]

    def state(self, model: "Model") -> dict[str, Tensor]:
        return {
            f"text_encoders.{index}": encoder.get_input_embeddings().rows.detach().clone()
            for index, encoder in enumerate(model.text_encoders)
        }

    def load(self, model: "Model", class_noun: str, tensors: Mapping[str, Tensor]) -> None:
        fitting = {
            f"text_encoders.{index}": (
                self.settings.vectors,
                encoder.get_input_embeddings().weight.shape[1],
            )
            for index, encoder in enumerate(model.text_encoders)
        }
        if {key: tuple(rows.shape) for key, rows in tensors.items()} != fitting:
            raise UserError(
                f"the embedding does not fit the text encoder of {model.name}: "
                "name the model that it was trained on."
            )
        for index, encoder in enumerate(model.text_encoders):
            rows = tensors[f"text_encoders.{index}"].to(model.device)
            self._extend(encoder, model.tokenizers[index], rows)
            encoder.requires_grad_(False)

    def notes(self, model: "Model", class_noun: str) -> list[str]:
        words = self.settings.initial_words or class_noun
        count = token_count(model, words)
        if count == 1:
            return []
        return [
            f"Textual Inversion: {words!r} is {count} tokens of {model.name}, so the new word "
            "starts from their mean (initial_words names others)"
        ]

    def _start(self, encoder: Any, tokenizer: Any, class_noun: str, seed: int) -> Tensor:
        """Rows (vectors, width): the mean embedding of the initial words, a little apart.

        Equal rows would stay equal only if they stood at equal positions, but a small seeded
        difference lets them part from the first step on.
        """
        words = self.settings.initial_words or class_noun
        ids = tokenizer(words, add_special_tokens=False).input_ids
        table = encoder.get_input_embeddings().weight.detach()
        mean = table[ids].mean(dim=0)
        generator = torch.Generator().manual_seed(seed)
        noise = torch.randn(self.settings.vectors, len(mean), generator=generator).to(mean)
        noise[0] = 0.0
        return mean + 0.1 * table.std() * noise

    def _extend(self, encoder: Any, tokenizer: Any, rows: Tensor) -> nn.Parameter:
        first = len(tokenizer)
        added = tokenizer.add_tokens(self.words)
        if added != len(self.words):
            raise UserError(
                f"placeholder_token {self.settings.placeholder_token} is a word of the model "
                "already: choose another."
            )
        extended = WithNewRows(encoder.get_input_embeddings(), rows, first)
        encoder.set_input_embeddings(extended)
        return extended.rows
