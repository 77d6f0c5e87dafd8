"""Pictures as arrays and as tensors."""

import numpy as np
import torch
from torch import Tensor


def to_tensor(pixels: np.ndarray, mirror: np.ndarray | None = None) -> Tensor:
    """uint8 (n, h, w, 3) => float32 (n, 3, h, w) in [-1, 1]; where `mirror` is true, flipped."""
    if mirror is not None:
        pixels = np.where(mirror[:, None, None, None], pixels[:, :, ::-1], pixels)
    return torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous().float() / 127.5 - 1
