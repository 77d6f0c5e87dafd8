"""Pictures as arrays and as tensors."""

from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from pseudoword.toybox.photos import SIZE


def to_tensor(pixels: np.ndarray, mirror: np.ndarray | None = None) -> Tensor:
    """uint8 (n, h, w, 3) => float32 (n, 3, h, w) in [-1, 1]; where `mirror` is true, flipped."""
    if mirror is not None:
        pixels = np.where(mirror[:, None, None, None], pixels[:, :, ::-1], pixels)
    return torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous().float() / 127.5 - 1


def as_pixels(pictures: Sequence[Image.Image]) -> np.ndarray:
    """uint8 (n, SIZE, SIZE, 3), the size that the toybox's judges know; others are resampled."""
    sized = [
        picture
        if picture.size == (SIZE, SIZE)
        else picture.resize((SIZE, SIZE), Image.Resampling.BICUBIC)
        for picture in pictures
    ]
    return np.array([np.asarray(picture.convert("RGB")) for picture in sized], np.uint8)
