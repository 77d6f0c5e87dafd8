"""New words: rows beside the embedding table of every text encoder."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from pydantic import Field
from torch import Tensor, nn

from pseudoword.errors import UserError
from pseudoword.methods.base import MethodSettings, token_count
from pseudoword.methods.templates import TemplateSet

if TYPE_CHECKING:
    from pseudoword.families.model import Model

LEGACY_END = 2
"""Early CLIP configurations name this id as the end of a text, which it is not."""


class WordSettings(MethodSettings):
    """What every method with new words can be told."""

    placeholder_token: str = Field(
        default="<concept>",
        pattern=r"^<[a-z0-9-]+>$",
        description="the new word, in angle brackets",
    )
    vectors: int = Field(default=1, ge=1, le=16, description="embedding vectors of the new word")
    initial_words: str = Field(
        default="", description="words whose embeddings it starts from; the class noun if empty"
    )
    templates: TemplateSet = Field(
        default="subject", description="what the photos are called while the word is learnt"
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
        return torch.where((ids >= self.first)[..., None], new.to(known.dtype), known)


class NewWords:
    """The words of one concept, in every text encoder of a model."""

    def __init__(self, settings: WordSettings) -> None:
        self.settings = settings

    @property
    def words(self) -> list[str]:
        """`<concept>`, `<concept>_1`, ... as diffusers names them."""
        word = self.settings.placeholder_token
        return [word, *(f"{word}_{index}" for index in range(1, self.settings.vectors))]

    @property
    def phrase(self) -> str:
        return " ".join(self.words)

    def add(self, model: "Model", class_noun: str, seed: int) -> list[nn.Parameter]:
        """Adds the words, and returns their rows (vectors, width), one for each text encoder."""
        starts = [
            self._start(encoder, tokenizer, class_noun, seed)
            for encoder, tokenizer in zip(model.text_encoders, model.tokenizers, strict=True)
        ]
        return add_words(model, self.words, starts)

    def state(self, model: "Model") -> dict[str, Tensor]:
        return {
            f"text_encoders.{index}": encoder.get_input_embeddings().rows.detach().clone()
            for index, encoder in enumerate(model.text_encoders)
        }

    def shapes(self, model: "Model") -> dict[str, tuple[int, int]]:
        """What `state` holds, told of a model without the words."""
        return {
            f"text_encoders.{index}": (
                self.settings.vectors,
                encoder.get_input_embeddings().weight.shape[1],
            )
            for index, encoder in enumerate(model.text_encoders)
        }

    def load(self, model: "Model", tensors: Mapping[str, Tensor]) -> None:
        """Adds the words with these rows, frozen. Tensors of other names are left alone."""
        rows = [
            tensors[f"text_encoders.{index}"].to(model.device, torch.float32)
            for index in range(len(model.text_encoders))
        ]
        for parameter in add_words(model, self.words, rows):
            parameter.requires_grad_(False)

    def notes(self, model: "Model", class_noun: str, title: str) -> list[str]:
        words = self.settings.initial_words or class_noun
        count = token_count(model, words)
        if count == 1:
            return []
        return [
            f"{title}: {words!r} is {count} tokens of {model.name}, so the new word "
            "starts from their mean (initial_words names others)"
        ]

    def _start(self, encoder: Any, tokenizer: Any, class_noun: str, seed: int) -> Tensor:
        """Rows (vectors, width): the mean embedding of the initial words, a little apart.

        Equal rows would stay equal only if they stood at equal positions, but a small seeded
        difference lets them part from the first step on.
        """
        words = self.settings.initial_words or class_noun
        ids = tokenizer(words, add_special_tokens=False).input_ids
        table = encoder.get_input_embeddings().weight.detach().float()
        mean = table[ids].mean(dim=0)
        generator = torch.Generator().manual_seed(seed)
        noise = torch.randn(self.settings.vectors, len(mean), generator=generator).to(mean)
        noise[0] = 0.0
        return mean + 0.1 * table.std() * noise


def add_words(model: "Model", words: Sequence[str], rows: Sequence[Tensor]) -> list[nn.Parameter]:
    """Adds `words` with `rows` (words, width), one for each text encoder; returns them.

    Raises UserError where the model knows one of the words already.
    """
    # Encoders may share one tokenizer, which gets the words once.
    firsts: dict[int, int] = {}
    parameters = []
    for encoder, tokenizer, start in zip(model.text_encoders, model.tokenizers, rows, strict=True):
        if id(tokenizer) not in firsts:
            firsts[id(tokenizer)] = _add_tokens(tokenizer, words)
        extended = WithNewRows(encoder.get_input_embeddings(), start, firsts[id(tokenizer)])
        encoder.set_input_embeddings(extended)
        mark_end(encoder, tokenizer)
        parameters.append(extended.rows)
    return parameters


def _add_tokens(tokenizer: Any, words: Sequence[str]) -> int:
    """Adds the words to a tokenizer, and returns the first one's id."""
    first = len(tokenizer)
    if tokenizer.add_tokens(list(words)) != len(words):
        raise UserError(
            f"placeholder_token {words[0]} is a word of the model already: choose another."
        )
    return first


def mark_end(encoder: Any, tokenizer: Any) -> None:
    """Lets an early CLIP look for the end of a text, and not for the largest id in it.

    Both are the same until a new word has a larger id.
    """
    for module in encoder.modules():
        if getattr(module, "eos_token_id", None) == LEGACY_END:
            module.eos_token_id = tokenizer.eos_token_id
