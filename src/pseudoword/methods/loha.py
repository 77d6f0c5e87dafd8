"""LoHa (FedPara, arXiv 2108.06098; LyCORIS, arXiv 2309.14859): a product of two low ranks."""

from typing import Any, ClassVar

from pydantic import Field

from pseudoword.methods.adapters import AdapterMethod, Part, RareWordAdapterSettings
from pseudoword.settings import Quantise


class LoHaSettings(RareWordAdapterSettings):
    """Settings of LoHa; the defaults suit Stable Diffusion 1.5."""

    rank: int = Field(
        default=4, ge=1, description="rank of both products; the change has up to its square"
    )
    alpha: float = Field(default=4.0, gt=0, description="the change counts alpha / rank times")


class LoHa(AdapterMethod):
    """Two low-rank products learn; multiplied element by element they are the change."""

    name = "loha"
    title = "LoHa"
    summary = "two low-rank products learn, multiplied element by element: a higher rank in the end"
    Settings = LoHaSettings
    presets: ClassVar = {
        "toybox": {"steps": 400, "batch_size": 4, "learning_rate": 1e-3, "warmup_steps": 20}
    }
    # peft multiplies by the stored weight, which in 4 bits has another shape.
    packings: ClassVar[frozenset[Quantise]] = frozenset({"int8"})
    settings: LoHaSettings

    def config(self, parts: list[Part]) -> Any:
        from peft import LoHaConfig

        return LoHaConfig(r=self.settings.rank, alpha=self.settings.alpha)
