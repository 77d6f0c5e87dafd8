"""LoKr (LyCORIS, arXiv 2309.14859): the change is a Kronecker product of two small matrices."""

from typing import Any, ClassVar, Literal

from pydantic import Field

from pseudoword.methods.adapters import (
    TARGETS_HELP,
    AdapterMethod,
    Part,
    RareWordAdapterSettings,
    Targets,
)
from pseudoword.settings import Quantise


class LoKrSettings(RareWordAdapterSettings):
    """Settings of LoKr; the defaults suit Stable Diffusion 1.5.

    arXiv 2309.14859, section 5.3 and appendix D.2: factor 8, the larger matrix whole, whose scale
    is then 1; ten epochs of few photos are about 250 steps of eight.
    """

    steps: int = Field(default=250, ge=1, description="optimizer steps")
    batch_size: int = Field(default=8, ge=1, description="photos a step")
    learning_rate: float = Field(default=5e-4, gt=0, description="peak learning rate")
    weight_decay: float = Field(default=0.1, ge=0, description="AdamW weight decay")
    targets: Targets = Field(default="attention-ff", description=TARGETS_HELP)
    train_text_encoder: bool = Field(default=True, description="adapters in the text encoder too")
    text_learning_rate: float = Field(default=5e-4, gt=0, description="of the text encoder")

    rank: int = Field(
        default=10_000,
        ge=1,
        description="rank of the larger matrix; it is kept whole where its sides are at most twice "
        "that",
    )
    alpha: float = Field(default=10_000.0, gt=0, description="the change counts alpha / rank times")
    decompose_factor: Literal[-1, 2, 4, 8, 16, 32] = Field(
        default=8,
        description="largest side of the smaller matrix; -1 for matrices of about equal sides",
    )


class LoKr(AdapterMethod):
    """Two small matrices learn; their Kronecker product is the change."""

    name = "lokr"
    title = "LoKr"
    summary = "two small matrices learn, whose Kronecker product is the change"
    Settings = LoKrSettings
    presets: ClassVar = {
        "toybox": {
            "steps": 400,
            "batch_size": 4,
            "learning_rate": 1e-3,
            "warmup_steps": 20,
            "weight_decay": 1e-2,
            "rank": 8,
            "alpha": 8.0,
            "decompose_factor": -1,
            "targets": "attention",
            "train_text_encoder": False,
        },
        # SimpleTuner, documentation/LYCORIS.md: feed-forward layers of SDXL may give NaN.
        "stable-diffusion-xl": {"targets": "attention"},
        # Nothing is published; of its text encoders T5 alone is larger than the denoiser.
        "stable-diffusion-3": {"train_text_encoder": False},
    }
    # peft multiplies by the stored weight, which in 4 bits has another shape.
    packings: ClassVar[frozenset[Quantise]] = frozenset({"int8"})
    settings: LoKrSettings

    def config(self, parts: list[Part]) -> Any:
        from peft import LoKrConfig

        return LoKrConfig(
            r=self.settings.rank,
            alpha=self.settings.alpha,
            decompose_factor=self.settings.decompose_factor,
        )
