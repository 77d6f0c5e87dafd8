"""LoRA (arXiv 2106.09685): low-rank factors beside the attention matrices, through peft."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from pydantic import Field

from pseudoword.errors import UserError
from pseudoword.methods.base import Group, Method, MethodSettings

if TYPE_CHECKING:
    from torch import Tensor, nn

    from pseudoword.families.model import Model

DENOISER_TARGETS = ["to_q", "to_k", "to_v", "to_out.0"]
TEXT_TARGETS = ["q_proj", "k_proj", "v_proj", "out_proj"]


class LoRASettings(MethodSettings):
    """Settings of LoRA; the defaults suit Stable Diffusion 1.5."""

    steps: int = Field(default=1000, ge=1, description="optimizer steps")
    batch_size: int = Field(default=1, ge=1, description="photos a step")
    learning_rate: float = Field(default=1e-4, gt=0, description="peak learning rate")
    rank: int = Field(default=8, ge=1, description="rank of the factors")
    alpha: float = Field(default=8.0, gt=0, description="the factors' product counts alpha / rank")
    rare_word: str = Field(default="sks", min_length=1, description="word that names the concept")
    train_text_encoder: bool = Field(default=False, description="factors in the text encoder too")
    text_learning_rate: float = Field(default=5e-5, gt=0, description="of the text encoder")


class LoRA(Method):
    """Low-rank factors of the attention matrices learn; the model stays as it is."""

    name = "lora"
    title = "LoRA"
    summary = "low-rank factors beside the attention matrices learn; the model stays as it is"
    Settings = LoRASettings
    presets: ClassVar = {
        "toybox": {"steps": 300, "batch_size": 4, "learning_rate": 5e-4, "warmup_steps": 20}
    }
    settings: LoRASettings

    @property
    def trains_text(self) -> bool:
        return self.settings.train_text_encoder

    def noun_phrase(self, class_noun: str) -> str:
        return f"{self.settings.rare_word} {class_noun}"

    def attach(self, model: "Model", class_noun: str, seed: int) -> list[Group]:
        # peft draws the first factor from the global generator: lend it a seeded one.
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return [
                Group(self._add(part, targets), rate, self.settings.weight_decay)
                for _, part, targets, rate in self._parts(model)
            ]

    def state(self, model: "Model") -> "dict[str, Tensor]":
        from peft import get_peft_model_state_dict

        tensors: dict[str, Tensor] = {}
        for prefix, part, _, _ in self._parts(model):
            # Asked to see for itself whether embeddings changed, peft would look on the hub.
            own = get_peft_model_state_dict(part, save_embedding_layers=False)
            tensors |= {f"{prefix}.{key}": value.detach().clone() for key, value in own.items()}
        return tensors

    def load(self, model: "Model", class_noun: str, tensors: "Mapping[str, Tensor]") -> None:
        from peft import get_peft_model_state_dict, set_peft_model_state_dict

        used = 0
        for prefix, part, targets, _ in self._parts(model):
            self._add(part, targets)
            own = {
                key.removeprefix(prefix + "."): value
                for key, value in tensors.items()
                if key.startswith(prefix + ".")
            }
            used += len(own)
            fitting = get_peft_model_state_dict(part, save_embedding_layers=False)
            if {k: v.shape for k, v in own.items()} != {k: v.shape for k, v in fitting.items()}:
                raise UserError(
                    f"the LoRA does not fit the model {model.name}: "
                    "name the model that it was trained on."
                )
            set_peft_model_state_dict(part, own, adapter_name="default")
            part.requires_grad_(False)
        if used != len(tensors):
            raise UserError("the LoRA holds factors for parts that its settings do not name.")

    def _add(self, part: Any, targets: list[str]) -> "list[nn.Parameter]":
        from peft import LoraConfig

        config = LoraConfig(
            r=self.settings.rank, lora_alpha=self.settings.alpha, target_modules=targets
        )
        part.add_adapter(config)
        return [p for p in part.parameters() if p.requires_grad]

    def _parts(self, model: "Model") -> list[tuple[str, Any, list[str], float]]:
        chosen = self.settings
        parts = [("denoiser", model.denoiser, DENOISER_TARGETS, chosen.learning_rate)]
        if chosen.train_text_encoder:
            for index, encoder in enumerate(model.text_encoders):
                prefix = f"text_encoders.{index}"
                parts.append((prefix, encoder, TEXT_TARGETS, chosen.text_learning_rate))
        return parts
