"""What torchvision's transforms of the same names do to pictures of Pillow."""

import random
from collections.abc import Callable, Sequence
from enum import Enum
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor


class InterpolationMode(Enum):
    NEAREST = Image.Resampling.NEAREST
    BILINEAR = Image.Resampling.BILINEAR
    BICUBIC = Image.Resampling.BICUBIC
    LANCZOS = Image.Resampling.LANCZOS
    BOX = Image.Resampling.BOX
    HAMMING = Image.Resampling.HAMMING


class Compose:
    def __init__(self, transforms: Sequence[Callable[[Any], Any]]) -> None:
        self.transforms = transforms

    def __call__(self, value: Any) -> Any:
        for transform in self.transforms:
            value = transform(value)
        return value


class Resize:
    """The shorter side gets `size` pixels."""

    def __init__(
        self, size: int, interpolation: InterpolationMode = InterpolationMode.BILINEAR
    ) -> None:
        self.size = size
        self.interpolation = interpolation

    def __call__(self, picture: Image.Image) -> Image.Image:
        width, height = picture.size
        short = min(width, height)
        if short == self.size:
            return picture
        shape = (int(self.size * width / short), int(self.size * height / short))
        return picture.resize(shape, self.interpolation.value)


class CenterCrop:
    def __init__(self, size: int) -> None:
        self.size = size

    def __call__(self, picture: Image.Image) -> Image.Image:
        left = round((picture.width - self.size) / 2)
        top = round((picture.height - self.size) / 2)
        return picture.crop((left, top, left + self.size, top + self.size))


class RandomCrop(CenterCrop):
    def __call__(self, picture: Image.Image) -> Image.Image:
        left = random.randint(0, picture.width - self.size)
        top = random.randint(0, picture.height - self.size)
        return picture.crop((left, top, left + self.size, top + self.size))


class RandomHorizontalFlip:
    def __init__(self, p: float = 0.5) -> None:
        self.p = p

    def __call__(self, picture: Image.Image) -> Image.Image:
        mirror = random.random() < self.p
        return picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if mirror else picture


class ToTensor:
    def __call__(self, picture: Image.Image) -> Tensor:
        pixels = np.array(picture, dtype=np.uint8).transpose(2, 0, 1)
        return torch.from_numpy(np.ascontiguousarray(pixels)).float() / 255


class Normalize:
    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        self.mean = torch.tensor(mean)[:, None, None]
        self.std = torch.tensor(std)[:, None, None]

    def __call__(self, pixels: Tensor) -> Tensor:
        return (pixels - self.mean) / self.std
