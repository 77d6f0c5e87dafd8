"""The pictures that the toybox networks learn from, rendered once and kept in a work folder."""

from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import numpy as np
from torch import Tensor

from pseudoword.progress import Reporter
from pseudoword.toybox.pixels import to_tensor
from pseudoword.toybox.recipe.files import kept_array
from pseudoword.toybox.world import sample_scene
from pseudoword.toybox.world.caption import caption
from pseudoword.toybox.world.render import render_many
from pseudoword.toybox.world.scene import Scene

SHARD = 2000
HELD_OUT_SEED = 10_000_000
"""Scenes from this seed on are in no training set: they measure."""


@dataclass(frozen=True)
class Pictures:
    """Rendered scenes: `pixels` (n, size, size, 3) uint8, in order of seed."""

    pixels: np.ndarray
    first_seed: int

    def __len__(self) -> int:
        return len(self.pixels)

    def scene(self, index: int) -> Scene:
        return _scene(self.first_seed + index)

    def caption(self, index: int, wording: int) -> str:
        """A caption of picture `index`; another `wording` words it differently."""
        return caption(self.scene(index), wording)

    def tensor(self, indices: np.ndarray, *, mirror: np.ndarray | None = None) -> Tensor:
        """Pixels (n, 3, size, size) in [-1, 1]; rows where `mirror` is true are flipped."""
        return to_tensor(self.pixels[indices], mirror)


@cache
def _scene(seed: int) -> Scene:
    """Drawing a scene costs a millisecond, and captions ask for the same ones again and again."""
    return sample_scene(seed)


def render_pictures(
    count: int, size: int, first_seed: int, folder: Path, reporter: Reporter
) -> Pictures:
    """Scenes `first_seed` ... `first_seed + count - 1`, rendered in shards; resumable."""
    pixels = np.empty((count, size, size, 3), np.uint8)
    for start in range(0, count, SHARD):
        stop = min(count, start + SHARD)
        path = folder / f"{size}px-{first_seed + start}-{first_seed + stop}.safetensors"
        seeds = range(first_seed + start, first_seed + stop)
        pixels[start:stop] = kept_array(path, partial(_render, seeds, size), reporter)
        reporter.update("pictures", stop, count)
    return Pictures(pixels, first_seed)


def _render(seeds: range, size: int) -> np.ndarray:
    return render_many([sample_scene(seed) for seed in seeds], size)


def batch_indices(count: int, size: int, seed: int, step: int) -> np.ndarray:
    """`size` indices below `count` for a step: an epoch is one seeded permutation of all."""
    drawn = []
    for position in range(step * size, (step + 1) * size):
        epoch, place = divmod(position, count)
        drawn.append((epoch, place))
    epochs = {e: np.random.default_rng([seed, e]).permutation(count) for e in {e for e, _ in drawn}}
    return np.array([epochs[e][p] for e, p in drawn])
