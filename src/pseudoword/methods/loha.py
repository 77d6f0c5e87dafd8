"""LoHa (FedPara, arXiv 2108.06098; LyCORIS, arXiv 2309.14859): a product of two low ranks."""

from typing import Any, ClassVar

from pydantic import Field

from pseudoword.methods.adapters import (
    TARGETS_HELP,
    AdapterMethod,
    Part,
    RareWordAdapterSettings,
    Targets,
)
from pseudoword.settings import Quantise


class LoHaSettings(RareWordAdapterSettings):
    """Settings of LoHa; the defaults suit Stable Diffusion 1.5.

    arXiv 2309.14859, section 5.3 and appendix D.2, where ten epochs of few photos are about 250
    steps of eight.
    """

    steps: int = Field(default=250, ge=1, description="optimizer steps")
    batch_size: int = Field(default=8, ge=1, description="photos a step")
    learning_rate: float = Field(default=5e-4, gt=0, description="peak learning rate")
    weight_decay: float = Field(default=0.1, ge=0, description="AdamW weight decay")
    targets: Targets = Field(default="attention-ff", description=TARGETS_HELP)
    train_text_encoder: bool = Field(default=True, description="adapters in the text encoder too")
    text_learning_rate: float = Field(default=5e-4, gt=0, description="of the text encoder")

    rank: int = Field(
        default=4, ge=1, description="rank of both products; the change has up to its square"
    )
    alpha: float = Field(default=2.0, gt=0, description="the change counts alpha / rank times")


class LoHa(AdapterMethod):
    """Two low-rank products learn; multiplied element by element they are the change."""

    name = "loha"
    title = "LoHa"
    summary = "two low-rank products learn, multiplied element by element: a higher rank in the end"
    Settings = LoHaSettings
    presets: ClassVar = {
        "toybox": {
            "steps": 400,
            "batch_size": 4,
            "learning_rate": 1e-3,
            "warmup_steps": 20,
            "weight_decay": 1e-2,
            "rank": 4,
            "alpha": 4.0,
            "targets": "attention",
            "train_text_encoder": False,
        },
        # Nothing is published; of its text encoders T5 alone is larger than the denoiser.
        "stable-diffusion-3": {"train_text_encoder": False},
    }
    # peft multiplies by the stored weight, which in 4 bits has another shape.
    packings: ClassVar[frozenset[Quantise]] = frozenset({"int8"})
    settings: LoHaSettings

    def config(self, parts: list[Part]) -> Any:
        from peft import LoHaConfig

        return LoHaConfig(r=self.settings.rank, alpha=self.settings.alpha)
