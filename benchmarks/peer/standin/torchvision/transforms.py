"""Transforms of Pillow pictures, with the names and results of torchvision's."""

import random
from collections.abc import Callable, Sequence
from enum import Enum
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor


class InterpolationMode(Enum):
    NEAREST = "nearest"
    BILINEAR = "bilinear"
    BICUBIC = "bicubic"
    LANCZOS = "lanczos"


class Compose:
    def __init__(self, transforms: Sequence[Callable[[Any], Any]]) -> None:
        self.transforms = transforms

    def __call__(self, picture: Any) -> Any:
        for transform in self.transforms:
            picture = transform(picture)
        return picture


class Resize:
    """The shorter side becomes `size` pixels."""

    def __init__(
        self, size: int, interpolation: InterpolationMode = InterpolationMode.BILINEAR
    ) -> None:
        self.size = size
        self.resample = Image.Resampling[interpolation.name]

    def __call__(self, picture: Image.Image) -> Image.Image:
        width, height = picture.size
        short = min(width, height)
        if short == self.size:
            return picture
        size = (self.size * width // short, self.size * height // short)
        return picture.resize(size, self.resample)


class CenterCrop:
    def __init__(self, size: int) -> None:
        self.size = size

    def __call__(self, picture: Image.Image) -> Image.Image:
        left = round((picture.width - self.size) / 2)
        top = round((picture.height - self.size) / 2)
        return picture.crop((left, top, left + self.size, top + self.size))


class RandomCrop:
    def __init__(self, size: int) -> None:
        self.size = size

    def __call__(self, picture: Image.Image) -> Image.Image:
        left = int(torch.randint(0, picture.width - self.size + 1, ()))
        top = int(torch.randint(0, picture.height - self.size + 1, ()))
        return picture.crop((left, top, left + self.size, top + self.size))


class RandomHorizontalFlip:
    def __init__(self, p: float = 0.5) -> None:
        self.p = p

    def __call__(self, picture: Image.Image) -> Image.Image:
        if random.random() < self.p:
            return picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        return picture


class ToTensor:
    """A picture of 8 bits => (channels, height, width) in [0, 1]."""

    def __call__(self, picture: Image.Image) -> Tensor:
        pixels = torch.from_numpy(np.array(picture, np.uint8, copy=True))
        return pixels.permute(2, 0, 1).contiguous().to(torch.float32).div(255)


class Normalize:
    """(x - mean) / deviation, for each channel."""

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        self.mean = torch.tensor(mean)[:, None, None]
        self.std = torch.tensor(std)[:, None, None]

    def __call__(self, pixels: Tensor) -> Tensor:
        return (pixels - self.mean) / self.std
