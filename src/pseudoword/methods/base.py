"""What a method is: it sees the named parts of a model and the class noun, never a family."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil, cos, pi
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from pseudoword.errors import UserError
from pseudoword.methods.templates import TEMPLATES
from pseudoword.settings import Quantise, Settings

if TYPE_CHECKING:
    from torch import Tensor, nn

    from pseudoword.families.model import Model


class MethodSettings(Settings):
    """What every method can be told."""

    steps: int = Field(default=1000, ge=1, description="optimizer steps")
    batch_size: int = Field(default=4, ge=1, description="photos a step")
    learning_rate: float = Field(default=1e-4, gt=0, description="peak learning rate")
    warmup_steps: int = Field(default=0, ge=0, description="steps until the peak learning rate")
    schedule: Literal["constant", "cosine"] = Field(
        default="constant", description="the learning rate after that: kept, or down to 0"
    )
    average: float = Field(
        default=0.0,
        ge=0,
        lt=1,
        description="decay of the running average (EMA) that is kept of what learns; 0 for none",
    )
    weight_decay: float = Field(default=1e-2, ge=0, description="AdamW weight decay")
    prior_weight: float = Field(
        default=0.0, ge=0, description="weight of the loss on class pictures; 0 leaves them out"
    )
    prior_pictures: int = Field(
        default=100, ge=1, description="class pictures that the untouched model draws"
    )


@dataclass(frozen=True)
class Group:
    """Parameters that train at one learning rate.

    They learn from `start` to `end`, shares of the run from 0 to 1. Outside they stay as they are:
    the loop gives them no gradient, so neither weight decay nor the optimizer's moments move them.
    """

    parameters: "list[nn.Parameter]"
    learning_rate: float
    weight_decay: float
    start: float = 0.0
    end: float = 1.0


def rate_factor(group: Group, step: int, settings: MethodSettings) -> float:
    """The share of a group's learning rate at `step`, in [0, 1], counted from its own start."""
    start, end = ceil(group.start * settings.steps), ceil(group.end * settings.steps)
    begun = max(0, step - start + 1)
    if begun < settings.warmup_steps:
        return begun / settings.warmup_steps
    if settings.schedule == "constant":
        return 1.0
    progress = (begun - settings.warmup_steps) / max(1, end - start - settings.warmup_steps)
    return 0.5 * (1 + cos(pi * min(1.0, progress)))


class Method(ABC):
    """One way to teach a model a concept. A fresh instance serves one model."""

    name: ClassVar[str]
    title: ClassVar[str]
    summary: ClassVar[str]
    Settings: ClassVar[type[MethodSettings]]
    presets: ClassVar[Mapping[str, Mapping[str, Any]]]
    """Settings by the size of model, where the defaults (those for Stable Diffusion) do not fit."""
    learns: ClassVar[frozenset[str]]
    """What an artefact holds: "words" (rows of the embedding table), "adapters" (tuner layers
    beside the matrices), "weights" (of the model itself). Exports go by it."""
    packings: ClassVar[frozenset[Quantise]] = frozenset({"int8", "nf4"})
    """Packed bases that it learns beside, unless it learns the base's weights themselves."""
    has_strength: ClassVar[bool] = False
    """Whether `set_strength` can weaken or strengthen what was learnt."""
    file: ClassVar[str | None] = None
    """FILE.py:NAME of a method from outside the package."""
    settings: MethodSettings

    def __init__(self, settings: MethodSettings) -> None:
        self.settings = settings

    @property
    def templates(self) -> tuple[str, ...]:
        """What the training photos are called; `{}` is the noun phrase."""
        return TEMPLATES["plain"]

    @property
    @abstractmethod
    def trains_text(self) -> bool:
        """Whether text states change during training, so that each step computes them anew."""

    @abstractmethod
    def noun_phrase(self, class_noun: str) -> str:
        """How a prompt words the concept, without an article: "sks mug"."""

    @abstractmethod
    def attach(self, model: "Model", class_noun: str, seed: int) -> list[Group]:
        """Adds what is trained to the model, and returns it."""

    @abstractmethod
    def state(self, model: "Model") -> "dict[str, Tensor]":
        """What was learnt, as it is stored."""

    @abstractmethod
    def load(self, model: "Model", class_noun: str, tensors: "Mapping[str, Tensor]") -> None:
        """Makes an untouched model draw the concept. Raises UserError where tensors do not fit."""

    def set_strength(self, model: "Model", strength: float) -> None:
        """Lets what was loaded count `strength` times: 0 as untouched, 1 as trained.

        Raises UserError where `has_strength` is False.
        """
        raise UserError(f"{self.title} has no strength: leave strength out.")

    def phrase_tokens(self, model: "Model", class_noun: str) -> int:
        """How many tokens the noun phrase takes in a prompt, once the method is attached."""
        return token_count(model, self.noun_phrase(class_noun))

    def notes(self, model: "Model", class_noun: str) -> list[str]:
        """What the user should know about this concept with this model."""
        return []


def token_count(model: "Model", text: str) -> int:
    """Tokens of `text` without start and end."""
    return len(model.tokenizers[0](text, add_special_tokens=False).input_ids)


def require_shapes(
    method: Method, model: "Model", tensors: "Mapping[str, Tensor]", shapes: Mapping[str, Any]
) -> None:
    """Raises UserError unless `tensors` have just these names and shapes."""
    if {k: tuple(v.shape) for k, v in tensors.items()} != {k: tuple(v) for k, v in shapes.items()}:
        raise UserError(
            f"the {method.title} artefact does not fit {model.name} with its settings: "
            "name the model that it was trained on."
        )
