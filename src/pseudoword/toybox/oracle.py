"""The oracle: what only a rendered world can give, a judge that knows which toy a picture shows.

It was trained on renders whose toys and scenes are known. It names a picture's attributes, and it
recognises one particular toy among near doubles, from the numbers that make a toy.
"""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import normalize
from transformers import ResNetConfig, ResNetModel

from pseudoword.toybox.pixels import to_tensor
from pseudoword.toybox.reader import ATTRIBUTES
from pseudoword.toybox.world.scene import SHAPE_PARAMETERS, Toy
from pseudoword.toybox.world.vocabulary import CLASSES, DETAILS, PATTERNS

WEIGHTS = Path(__file__).parent / "weights" / "oracle.safetensors"
WIDTH = 256
VECTOR = 128
PLACES = 16
"""Positions of the last feature map, 4 x 4: where things are tells proportions and patterns."""
PLACE_WIDTH = 64
FEATURES = WIDTH + PLACES * PLACE_WIDTH
DROPOUT = 0.2
"""Of features in training; without it the oracle learns its 48,000 toys by heart."""
BATCH_SIZE = 50


def describe(toy: Toy) -> np.ndarray:
    """All that makes a toy, as numbers of about unit size: float32 (DESCRIPTION,)."""
    turn = 2 * math.pi * toy.pattern_phase
    numbers = [
        *_one_hot(toy.class_noun, CLASSES),
        *_one_hot(toy.pattern_name, PATTERNS),
        *_one_hot(toy.detail, DETAILS),
        *toy.body,
        *toy.second,
        *toy.trim,
        *toy.shape,
        toy.pattern_scale,
        toy.pattern_angle / 40,
        math.cos(turn),
        math.sin(turn),
        toy.detail_at,
        toy.detail_size,
    ]
    return np.array(numbers, np.float32)


def _one_hot(name: str, names: Sequence[str]) -> list[float]:
    return [float(name == other) for other in names]


NUMBERS = 9 + SHAPE_PARAMETERS + 6
"""Numbers of a description that are no choice of a word: they come last."""
DESCRIPTION = len(CLASSES) + len(PATTERNS) + len(DETAILS) + NUMBERS


class Oracle(nn.Module):
    """A convolutional net with a head an attribute, and a pair of towers: pictures and toys.

    `numbers` guesses the last NUMBERS of the toy's description; it is of use in training alone.
    """

    def __init__(self) -> None:
        super().__init__()
        self.backbone = ResNetModel(
            ResNetConfig(
                embedding_size=32,
                hidden_sizes=[32, 64, 128, WIDTH],
                depths=[2, 2, 2, 2],
                layer_type="basic",
            )
        )
        self.heads = nn.ModuleDict({k: nn.Linear(WIDTH, len(v)) for k, v in ATTRIBUTES.items()})
        self.places = nn.Conv2d(WIDTH, PLACE_WIDTH, 1)
        self.dropout = nn.Dropout(DROPOUT)
        self.numbers = nn.Linear(FEATURES, NUMBERS)
        self.picture = nn.Linear(FEATURES, VECTOR)
        self.toy = nn.Sequential(
            nn.Linear(DESCRIPTION, 256), nn.SiLU(), nn.Linear(256, 256), nn.SiLU(),
            nn.Linear(256, VECTOR),
        )  # fmt: skip
        self.scale = nn.Parameter(torch.tensor(math.log(10.0)))

    def features(self, pixels: Tensor) -> Tensor:
        """(n, FEATURES) of pixels (n, 3, SIZE, SIZE) in [-1, 1]: means, then places."""
        output = self.backbone(pixels)
        places = self.places(output.last_hidden_state)
        features = torch.cat([output.pooler_output.flatten(1), places.flatten(1)], dim=1)
        return self.dropout(features)

    def attributes(self, features: Tensor) -> dict[str, Tensor]:
        """Logits of every attribute of ATTRIBUTES."""
        return {name: head(features[:, :WIDTH]) for name, head in self.heads.items()}

    def match(self, features: Tensor, toys: Tensor) -> Tensor:
        """Logits (n, k): how well picture i shows toy j of its line-up (n, k, DESCRIPTION).

        One line-up for all pictures may come as (1, k, DESCRIPTION).
        """
        pictures = normalize(self.picture(features), dim=-1)
        candidates = normalize(self.toy(toys), dim=-1)
        return (pictures[:, None] * candidates).sum(dim=-1) * self.scale.exp()


@torch.no_grad()
def look(oracle: Oracle, pixels: np.ndarray) -> np.ndarray:
    """The oracle's features, float32 (n, d), of pictures uint8 (n, SIZE, SIZE, 3)."""
    parts = [np.empty((0, FEATURES), np.float32)]
    for start in range(0, len(pixels), BATCH_SIZE):
        parts.append(oracle.features(to_tensor(pixels[start : start + BATCH_SIZE])).numpy())
    return np.concatenate(parts)


def content(features: np.ndarray) -> np.ndarray:
    """The part (n, WIDTH) of features that says what there is, wherever it is: for likeness."""
    return features[:, :WIDTH]


@torch.no_grad()
def read_attributes(oracle: Oracle, features: np.ndarray) -> dict[str, list[str]]:
    """The word of every attribute that the oracle sees in pictures, from their features."""
    return {
        name: [ATTRIBUTES[name][int(i)] for i in logits.argmax(1)]
        for name, logits in oracle.attributes(torch.from_numpy(features)).items()
    }


@torch.no_grad()
def fit_of(oracle: Oracle, features: np.ndarray, toys: Sequence[Toy]) -> np.ndarray:
    """How well each picture shows each toy of the line-up `toys`: (n, k), in no unit."""
    described = torch.from_numpy(np.stack([describe(toy) for toy in toys]))
    fits: np.ndarray = oracle.match(torch.from_numpy(features), described[None]).numpy()
    return fits


def recognise(oracle: Oracle, features: np.ndarray, toys: Sequence[Toy]) -> np.ndarray:
    """Which toy of the line-up `toys` each picture shows: indices (n,)."""
    chosen: np.ndarray = fit_of(oracle, features, toys).argmax(axis=1)
    return chosen


def load_oracle(path: Path = WEIGHTS) -> Oracle:
    """The oracle that ships."""
    from safetensors.torch import load_file

    model = Oracle()
    model.load_state_dict(load_file(path))
    return model.float().eval()
