"""Pictures in files, and how the intake answers to them: shared by the tests of the intake."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pseudoword.concept import Concept, load_concept
from pseudoword.errors import UserError
from pseudoword.pictures import read_picture

SIZE = 64


def picture(seed: int, width: int = 80, height: int = 80) -> Image.Image:
    """A smooth coloured picture, another one for every seed."""
    coarse = np.random.default_rng([7, seed]).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)


def crisp(seed: int, width: int = 80, height: int = 80) -> Image.Image:
    """A picture of sharp blocks of 4 pixels, another one for every seed."""
    shape = -(-height // 4), -(-width // 4), 3
    blocks = np.random.default_rng([8, seed]).integers(0, 256, shape, dtype=np.uint8)
    return Image.fromarray(blocks.repeat(4, axis=0).repeat(4, axis=1)[:height, :width].copy())


def as_array(path: Path) -> np.ndarray:
    """What a picture is read as, integers (height, width, 3)."""
    return np.asarray(read_picture(path)[0]).astype(int)


def fill_folder(folder: Path, count: int) -> Path:
    """A folder of pictures 0.png, 1.png, ..."""
    folder.mkdir(exist_ok=True)
    for index in range(count):
        picture(index).save(folder / f"{index}.png")
    return folder


def load(*paths: Path, noun: str = "mug", size: int = SIZE, hold_out: bool = True) -> Concept:
    """The concept of the pictures in `paths`."""
    return load_concept(paths, noun, size, hold_out)


def one(path: Path, size: int = SIZE) -> Any:
    """The only photo, or the first."""
    return load(path, size=size).photos[0]


def refusal(*paths: Path) -> str:
    """The message with which the paths are refused, which must be of one or two lines."""
    with pytest.raises(UserError) as caught:
        load(*paths)
    message = str(caught.value)
    assert 1 <= len(message.splitlines()) <= 2
    return message
