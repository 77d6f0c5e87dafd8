"""LoKr (LyCORIS, arXiv 2309.14859): the change is a Kronecker product of two small matrices."""

from typing import Any, ClassVar, Literal

from pydantic import Field

from pseudoword.methods.adapters import AdapterMethod, Part, RareWordAdapterSettings
from pseudoword.settings import Quantise


class LoKrSettings(RareWordAdapterSettings):
    """Settings of LoKr; the defaults suit Stable Diffusion 1.5."""

    rank: int = Field(
        default=8,
        ge=1,
        description="rank of the larger matrix; it is kept whole where its sides are at most twice "
        "that",
    )
    alpha: float = Field(default=8.0, gt=0, description="the change counts alpha / rank times")
    decompose_factor: Literal[-1, 2, 4, 8, 16, 32] = Field(
        default=-1,
        description="largest side of the smaller matrix; -1 for matrices of about equal sides",
    )


class LoKr(AdapterMethod):
    """Two small matrices learn; their Kronecker product is the change."""

    name = "lokr"
    title = "LoKr"
    summary = "two small matrices learn, whose Kronecker product is the change: the smallest files"
    Settings = LoKrSettings
    presets: ClassVar = {
        "toybox": {"steps": 400, "batch_size": 4, "learning_rate": 1e-3, "warmup_steps": 20}
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
