"""What a method is: it sees the named parts of a model and the class noun, never a family."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from pseudoword.settings import Settings

if TYPE_CHECKING:
    from torch import Tensor, nn

    from pseudoword.families.model import Model


class MethodSettings(Settings):
    """What every method can be told."""

    steps: int = Field(default=1000, ge=1, description="optimizer steps")
    batch_size: int = Field(default=4, ge=1, description="photos a step")
    learning_rate: float = Field(default=1e-4, gt=0, description="peak learning rate")
    warmup_steps: int = Field(default=0, ge=0, description="steps until the peak learning rate")
    weight_decay: float = Field(default=1e-2, ge=0, description="AdamW weight decay")
    prior_weight: float = Field(
        default=0.0, ge=0, description="weight of the loss on class pictures; 0 leaves them out"
    )
    prior_pictures: int = Field(
        default=100, ge=1, description="class pictures that the untouched model draws"
    )


@dataclass(frozen=True)
class Group:
    """Parameters that train at one learning rate."""

    parameters: "list[nn.Parameter]"
    learning_rate: float
    weight_decay: float


class Method(ABC):
    """One way to teach a model a concept. A fresh instance serves one model."""

    name: ClassVar[str]
    title: ClassVar[str]
    summary: ClassVar[str]
    Settings: ClassVar[type[MethodSettings]]
    presets: ClassVar[Mapping[str, Mapping[str, Any]]]
    """Settings by the size of model, where the defaults (those for Stable Diffusion) do not fit."""
    templates: ClassVar[tuple[str, ...]] = ("a photo of a {}",)
    """What the training photos are called; `{}` is the noun phrase."""
    settings: MethodSettings

    def __init__(self, settings: MethodSettings) -> None:
        self.settings = settings

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

    def phrase_tokens(self, model: "Model", class_noun: str) -> int:
        """How many tokens the noun phrase takes in a prompt, once the method is attached."""
        return token_count(model, self.noun_phrase(class_noun))

    def notes(self, model: "Model", class_noun: str) -> list[str]:
        """What the user should know about this concept with this model."""
        return []


def token_count(model: "Model", text: str) -> int:
    """Tokens of `text` without start and end."""
    return len(model.tokenizers[0](text, add_special_tokens=False).input_ids)
