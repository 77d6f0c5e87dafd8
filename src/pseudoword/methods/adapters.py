"""Tuner layers of peft beside the matrices of a model, which stays as it is."""

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from pseudoword.errors import UserError
from pseudoword.methods.base import Group, Method, MethodSettings, require_shapes

if TYPE_CHECKING:
    from pseudoword.families.model import Model

Targets = Literal["attention", "attention-ff", "all"]

# Names of modules, or the ends of them. A part has those that its architecture knows: UNets and
# diffusion transformers, CLIP and T5.
_ATTENTION = ["to_q", "to_k", "to_v", "to_out.0"]
_ATTENTION += ["add_q_proj", "add_k_proj", "add_v_proj", "to_add_out"]
_FEED_FORWARD = ["ff.net.0.proj", "ff.net.2", "ff_context.net.0.proj", "ff_context.net.2"]
_TEXT_ATTENTION = ["q_proj", "k_proj", "v_proj", "out_proj", "q", "k", "v", "o"]
_TEXT_FEED_FORWARD = ["fc1", "fc2", "wi", "wi_0", "wi_1", "wo"]

TARGETS_HELP = (
    "layers that get an adapter: the attention matrices, those and the "
    "feed-forward ones, or every linear and convolutional layer of the denoiser from the first "
    "to the last (of a text encoder: attention and feed-forward)"
)


class AdapterSettings(MethodSettings):
    """What every method with adapters can be told; the defaults suit Stable Diffusion 1.5."""

    steps: int = Field(default=1000, ge=1, description="optimizer steps")
    batch_size: int = Field(default=1, ge=1, description="photos a step")
    learning_rate: float = Field(default=1e-4, gt=0, description="peak learning rate")
    targets: Targets = Field(default="attention", description=TARGETS_HELP)
    train_text_encoder: bool = Field(default=False, description="adapters in the text encoder too")
    text_learning_rate: float = Field(default=5e-5, gt=0, description="of the text encoder")


@dataclass(frozen=True, eq=False)
class Part:
    """A part of the model that gets adapters beside the layers `targets`."""

    prefix: str
    module: Any
    targets: list[str]
    learning_rate: float

    def layers(self) -> dict[str, Any]:
        """The layers that get an adapter, by name."""
        ends = tuple(f".{target}" for target in self.targets)
        return {
            name: module
            for name, module in self.module.named_modules()
            if f".{name}".endswith(ends)
        }


def parts_of(model: "Model", settings: AdapterSettings) -> list[Part]:
    """The parts that get adapters. Raises UserError where a part has no layer for them."""
    text = _TEXT_ATTENTION + (_TEXT_FEED_FORWARD if settings.targets != "attention" else [])
    parts = [
        Part(
            "denoiser",
            model.denoiser,
            _denoiser_targets(model.denoiser, settings.targets),
            settings.learning_rate,
        )
    ]
    if settings.train_text_encoder:
        parts += [
            Part(f"text_encoders.{index}", encoder, text, settings.text_learning_rate)
            for index, encoder in enumerate(model.text_encoders)
        ]
    for part in parts:
        if not part.layers():
            raise UserError(
                f"targets {settings.targets} names no layer of {part.prefix} of {model.name}: "
                "use targets=all."
            )
    return parts


def _denoiser_targets(denoiser: nn.Module, targets: Targets) -> list[str]:
    if targets == "all":
        kinds = (nn.Linear, nn.Conv2d)
        return [name for name, m in denoiser.named_modules() if isinstance(m, kinds)]
    return _ATTENTION + (_FEED_FORWARD if targets == "attention-ff" else [])


class Adapters:
    """The adapters of some parts of a model; `config` is their peft configuration."""

    def __init__(self, parts: list[Part], config: Any) -> None:
        self.parts = parts
        self._config = config

    def add(self, seed: int) -> dict[str, nn.Parameter]:
        """Adds them to the model, and returns their parameters by part and name.

        Everything else in these parts is frozen by that: add new words later.
        """
        from dataclasses import replace

        from peft import inject_adapter_in_model

        from pseudoword.methods.lora_linear import sum_matrices

        # peft draws first factors from the global generator: lend it a seeded one.
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            for part in self.parts:
                config = replace(self._config, target_modules=part.targets)
                inject_adapter_in_model(config, part.module)
                sum_matrices(part.module.modules())
        found = {
            f"{part.prefix}.{name}": parameter
            for part in self.parts
            for name, parameter in part.module.named_parameters()
            if parameter.requires_grad
        }
        for parameter in found.values():
            # Beside matrices in 16 bits too: steps are smaller than these can tell apart.
            parameter.data = parameter.data.float()
        return found

    def state(self) -> dict[str, Tensor]:
        return {
            f"{part.prefix}.{key}": value.detach().clone()
            for part in self.parts
            for key, value in _own_state(part).items()
        }

    def load(self, method: Method, model: "Model", tensors: Mapping[str, Tensor]) -> None:
        """Adds them with what `state` gave, frozen. Raises UserError where it does not fit."""
        from peft import set_peft_model_state_dict

        self.add(0)
        require_shapes(method, model, tensors, {k: v.shape for k, v in self.state().items()})
        for part in self.parts:
            own = {key: tensors[f"{part.prefix}.{key}"] for key in _own_state(part)}
            set_peft_model_state_dict(part.module, own, adapter_name="default")
            part.module.requires_grad_(False)

    def set_strength(self, strength: float) -> None:
        """Each layer gives base + strength * (adapted - base), whatever its adapter computes.

        That is the same as between the weights themselves, for these layers are linear. A scale
        of peft's would leave DoRA's magnitudes and OFT's rotations at full strength.
        """
        from peft.tuners.tuners_utils import BaseTunerLayer

        for part in self.parts:
            for module in part.module.modules():
                if isinstance(module, BaseTunerLayer):
                    _set_strength(module, strength)


def _own_state(part: Part) -> dict[str, Tensor]:
    from peft import get_peft_model_state_dict

    # Asked to see for itself whether embeddings changed, peft would look on the hub.
    state: dict[str, Tensor] = get_peft_model_state_dict(part.module, save_embedding_layers=False)
    return state


def _set_strength(layer: Any, strength: float) -> None:
    earlier = layer.__dict__.pop("_strength_hook", None)
    if earlier is not None:
        earlier.remove()
    if strength == 1:
        return

    def interpolate(module: Any, inputs: tuple[Any, ...], adapted: Tensor) -> Tensor:
        base: Tensor = module.base_layer(*inputs)
        return base + strength * (adapted - base)

    layer._strength_hook = layer.register_forward_hook(interpolate)


class RareWordAdapterSettings(AdapterSettings):
    """The same, with the rare word."""

    rare_word: str = Field(default="sks", min_length=1, description="word that names the concept")


class AdapterMethod(Method):
    """A rare word before the class noun, and adapters that learn it."""

    learns = frozenset({"adapters"})
    has_strength: ClassVar[bool] = True
    settings: RareWordAdapterSettings

    @abstractmethod
    def config(self, parts: list[Part]) -> Any:
        """The peft configuration without its targets. Raises UserError where it does not fit."""

    @property
    def trains_text(self) -> bool:
        return self.settings.train_text_encoder

    def noun_phrase(self, class_noun: str) -> str:
        return f"{self.settings.rare_word} {class_noun}"

    def attach(self, model: "Model", class_noun: str, seed: int) -> list[Group]:
        self._adapters = self._make(model)
        return self.groups(self._adapters.add(seed))

    def groups(self, parameters: dict[str, nn.Parameter]) -> list[Group]:
        """One for each part, at its learning rate."""
        return [
            Group(
                [p for name, p in parameters.items() if name.startswith(part.prefix + ".")],
                part.learning_rate,
                self.settings.weight_decay,
            )
            for part in self._adapters.parts
        ]

    def state(self, model: "Model") -> dict[str, Tensor]:
        return self._adapters.state()

    def load(self, model: "Model", class_noun: str, tensors: Mapping[str, Tensor]) -> None:
        self._adapters = self._make(model)
        self._adapters.load(self, model, tensors)

    def set_strength(self, model: "Model", strength: float) -> None:
        self._adapters.set_strength(strength)

    def _make(self, model: "Model") -> Adapters:
        parts = parts_of(model, self.settings)
        return Adapters(parts, self.config(parts))
