"""One kind of whole file that is spoilt, and what the tests have for making such files."""

import importlib
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

TESTS = Path(__file__).parent.parent.parent / "tests"
MARK = "harmed"
"""The file that a pickle would make if it were run."""


@dataclass(frozen=True)
class Target:
    """Whole files, made once, and how one of them is read when it is spoilt.

    `make` fills a folder, `files` are those to spoil in it, and `read` gets a copy of the folder
    and the spoilt file within: it returns, or raises UserError that names the file, or one of what
    `told` lists for it: an option, or the file that lacks what the spoilt one was to give.
    """

    name: str
    make: Callable[[Path], None]
    files: tuple[str, ...]
    read: Callable[[Path, Path], object]
    told: Mapping[str, tuple[str, ...]] = field(default_factory=dict, hash=False)


def borrowed(name: str) -> Any:
    """A module of the tests, which make small models and studies."""
    if str(TESTS) not in sys.path:
        sys.path.append(str(TESTS))
    return importlib.import_module(name)


def picture(width: int = 72, height: int = 64) -> Image.Image:
    chance = np.random.default_rng(0)
    coarse = chance.integers(0, 256, (8, 9, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
