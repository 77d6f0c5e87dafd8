"""A reader of attributes: what class, colour, pattern, setting ... a toybox picture shows."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from transformers import ResNetConfig, ResNetModel

from pseudoword.toybox.pixels import to_tensor
from pseudoword.toybox.world.scene import Scene
from pseudoword.toybox.world.vocabulary import CLASSES, COLOURS, PATTERNS, SETTINGS, STYLES

WEIGHTS = Path(__file__).parent / "weights" / "reader.safetensors"

ATTRIBUTES: dict[str, tuple[str, ...]] = {
    "class": CLASSES,
    "colour": tuple(COLOURS),
    "pattern": PATTERNS,
    "setting": tuple(SETTINGS),
    "style": tuple(STYLES),
    "hat": ("none", *COLOURS),
    "neighbour": ("none", *COLOURS),
}


def attributes_of(scene: Scene) -> list[int]:
    """The index of every attribute of ATTRIBUTES."""
    values = (
        scene.toy.class_noun,
        scene.toy.colour_name,
        scene.toy.pattern_name,
        scene.setting,
        scene.style,
        scene.hat or "none",
        scene.neighbour or "none",
    )
    return [names.index(v) for names, v in zip(ATTRIBUTES.values(), values, strict=True)]


class Reader(nn.Module):
    """A convolutional net with a head an attribute: pixels (n, 3, size, size) => logits by name."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = ResNetModel(
            ResNetConfig(
                embedding_size=32,
                hidden_sizes=[32, 64, 128, 192],
                depths=[1, 1, 1, 1],
                layer_type="basic",
            )
        )
        self.heads = nn.ModuleDict({k: nn.Linear(192, len(v)) for k, v in ATTRIBUTES.items()})

    def forward(self, pixels: Tensor) -> dict[str, Tensor]:
        features = self.backbone(pixels).pooler_output.flatten(1)
        return {name: head(features) for name, head in self.heads.items()}


@torch.no_grad()
def read(model: Reader, pixels: np.ndarray) -> dict[str, list[str]]:
    """What the reader sees in pictures uint8 (n, size, size, 3): the word of every attribute."""
    words: dict[str, list[str]] = {name: [] for name in ATTRIBUTES}
    for start in range(0, len(pixels), 100):
        logits = model(to_tensor(pixels[start : start + 100]))
        for name, values in logits.items():
            words[name] += [ATTRIBUTES[name][int(i)] for i in values.argmax(1)]
    return words


def load_reader(path: Path = WEIGHTS) -> Reader:
    """The reader that ships, which no study uses as a judge."""
    from safetensors.torch import load_file

    model = Reader()
    model.load_state_dict(load_file(path))
    return model.float().eval()
