"""BOFT (arXiv 2311.06243): rotations made of a few sparse ones, as butterflies are."""

from typing import Any, ClassVar

import torch
from pydantic import Field
from torch import Tensor

from pseudoword.methods.adapters import AdapterMethod, Part
from pseudoword.methods.oft import RotationSettings, require_divisor
from pseudoword.settings import Quantise


class BOFTSettings(RotationSettings):
    """Settings of BOFT; the defaults suit Stable Diffusion 1.5.

    arXiv 2311.06243, appendix A.5, which are for 2.1.
    """

    steps: int = Field(default=2000, ge=1, description="optimizer steps")
    batch_size: int = Field(default=4, ge=1, description="photos a step")
    learning_rate: float = Field(default=3e-5, gt=0, description="peak learning rate")
    prior_weight: float = Field(
        default=1.0, ge=0, description="weight of the loss on class pictures; 0 leaves them out"
    )
    prior_pictures: int = Field(
        default=200, ge=1, description="class pictures that the untouched model draws"
    )

    block_size: int = Field(
        default=8, ge=2, multiple_of=2, description="inputs that turn together in each factor"
    )
    factors: int = Field(
        default=2,
        ge=1,
        le=6,
        description="sparse rotations in a row; block_size * 2^(factors - 1) divides every layer's "
        "width",
    )


class BOFT(AdapterMethod):
    """Rotations in a row learn, each of small blocks, and the length of every output."""

    name = "boft"
    title = "BOFT"
    summary = "several sparse rotations in a row learn: a dense rotation of few parameters"
    Settings = BOFTSettings
    presets: ClassVar = {
        "toybox": {
            "steps": 400,
            "batch_size": 4,
            "learning_rate": 1e-3,
            "warmup_steps": 20,
            "prior_weight": 0.0,
        }
    }
    # peft asks torchao's matrices how to pack them again, which nothing here tells it.
    packings: ClassVar[frozenset[Quantise]] = frozenset({"nf4"})
    settings: BOFTSettings

    def config(self, parts: list[Part]) -> Any:
        from peft import BOFTConfig
        from peft.tuners.boft import layer

        chosen = self.settings
        size = chosen.block_size * 2 ** (chosen.factors - 1)
        require_divisor(parts, size, "block_size * 2^(factors - 1) =")
        # Where it cannot compile a CUDA kernel for this, peft drops all factors but one.
        layer._FBD_CUDA = _BlockDiagonal
        return BOFTConfig(boft_block_size=chosen.block_size, boft_n_butterfly_factor=chosen.factors)


class _BlockDiagonal:
    """What peft's CUDA kernel computes, for any device."""

    @staticmethod
    def forward(blocks: Tensor) -> list[Tensor]:
        """Blocks (n, d, h, h) => block-diagonal matrices (n, d * h, d * h)."""
        return [torch.stack([torch.block_diag(*matrix) for matrix in blocks])]

    @staticmethod
    def backward(gradient: Tensor, blocks: Tensor) -> list[Tensor]:
        """Gradient (n, d * h, d * h) => that of the blocks (n, d, h, h)."""
        count, number, side, _ = blocks.shape
        split = gradient.reshape(count, number, side, number, side)
        return [split.diagonal(dim1=1, dim2=3).permute(0, 3, 1, 2).contiguous()]
