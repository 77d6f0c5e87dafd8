"""OFT (arXiv 2306.07280): block-diagonal rotations of what goes into the matrices."""

import math
from typing import Any, ClassVar, Literal

from pydantic import Field

from pseudoword.errors import UserError
from pseudoword.methods.adapters import AdapterMethod, Part, RareWordAdapterSettings
from pseudoword.settings import Quantise


class RotationSettings(RareWordAdapterSettings):
    """What rotations have in common."""

    # peft's rotations of convolutions are wrong where patches overlap, or far too large.
    targets: Literal["attention", "attention-ff"] = Field(
        default="attention",
        description="layers that are rotated: the attention matrices, or the feed-forward ones too",
    )


class OFTSettings(RotationSettings):
    """Settings of OFT; the defaults suit Stable Diffusion 1.5.

    arXiv 2306.07280, appendix A. There a layer has four blocks, 80 to 320 wide; here all blocks are
    alike, and 64 is the largest size that divides every width.
    """

    learning_rate: float = Field(default=6e-5, gt=0, description="peak learning rate")
    prior_weight: float = Field(
        default=1.0, ge=0, description="weight of the loss on class pictures; 0 leaves them out"
    )
    prior_pictures: int = Field(
        default=200, ge=1, description="class pictures that the untouched model draws"
    )

    block_size: int = Field(
        default=64, ge=2, description="inputs that turn together; divides every layer's width"
    )


class OFT(AdapterMethod):
    """Rotations of blocks of inputs learn, so angles between weight vectors stay."""

    name = "oft"
    title = "OFT"
    summary = "rotations of the attention matrices learn, which keep the angles between weights"
    Settings = OFTSettings
    presets: ClassVar = {
        "toybox": {
            "steps": 400,
            "batch_size": 4,
            "learning_rate": 1e-3,
            "warmup_steps": 20,
            "block_size": 32,
            "prior_weight": 0.0,
        }
    }
    # peft asks torchao's matrices how to pack them again, which nothing here tells it.
    packings: ClassVar[frozenset[Quantise]] = frozenset({"nf4"})
    settings: OFTSettings

    def config(self, parts: list[Part]) -> Any:
        from peft import OFTConfig

        require_divisor(parts, self.settings.block_size, "block_size")
        # The exact rotation: peft's usual series is one for small angles alone.
        return OFTConfig(oft_block_size=self.settings.block_size, use_cayley_neumann=False)


def require_divisor(parts: list[Part], size: int, setting: str) -> None:
    """Raises UserError unless `size` divides the input width of every layer."""
    widths: set[int] = {layer.in_features for part in parts for layer in part.layers().values()}
    odd = sorted(width for width in widths if width % size)
    if odd:
        raise UserError(
            f"{setting} {size} does not divide the width {odd[0]} of a layer: "
            f"use one that divides {math.gcd(*widths)}."
        )
