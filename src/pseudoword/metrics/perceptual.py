"""What is where in a picture, coarsely: features of an encoder's layers, made to be compared.

After LPIPS (Zhang et al., arXiv 1801.03924, section 3), but with a vision transformer's layers and
without LPIPS's learnt weights, on a coarse grid.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

LAYERS = 3
"""Layers that are compared: after a third, two thirds and all of the encoder's depth."""
GRID = 4
"""Places a side."""
RECIPE = f"places-{LAYERS}x{GRID}"
"""Names the recipe in a cache, so that another one is another file."""


def coarse_features(
    hidden_states: "Sequence[torch.Tensor]",
    norm: "Callable[[torch.Tensor], torch.Tensor] | None",
) -> "torch.Tensor":
    """Features (n, p) whose squared Euclidean distance is the perceptual distance, 0 to 4.

    `hidden_states` are the input of the first layer and every layer's output, as transformers gives
    them: tokens (n, 1 + h * w, c) with the class token first, or maps (n, c, h, w). `norm` is the
    encoder's last norm, which makes the layers of a transformer comparable (as in DINOv2's
    get_intermediate_layers). Each place's channels get length 1, places are averaged to a grid of
    4 x 4, and the scale makes a sum over features a mean over places and layers.
    """
    import torch
    from torch.nn.functional import adaptive_avg_pool2d, normalize

    depth = len(hidden_states) - 1
    chosen = sorted({max(1, round(depth * part / LAYERS)) for part in range(1, LAYERS + 1)})
    maps = []
    for layer in chosen:
        state = hidden_states[layer]
        if state.ndim == 3:
            tokens = (norm(state) if norm is not None else state)[:, 1:]
            side = round(tokens.shape[1] ** 0.5)
            state = tokens.transpose(1, 2).unflatten(2, (side, side))
        coarse = adaptive_avg_pool2d(normalize(state.float(), dim=1), GRID)
        maps.append(coarse.flatten(1))
    return torch.cat(maps, dim=1) / (len(chosen) * GRID**2) ** 0.5
