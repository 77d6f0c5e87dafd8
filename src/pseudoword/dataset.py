"""What a training step sees: photos and class pictures as latents, by seed, step and place."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

INSTANCE, PRIOR = 0, 1


@dataclass(frozen=True, eq=False)
class Examples:
    """Latents (n, c, h, w) of one kind of sample, and the weight of its loss."""

    latents: Tensor
    prompts: tuple[str, ...]
    weight: float


@dataclass(frozen=True, eq=False)
class Batch:
    """`batch_size` samples of each kind: one forward serves all of them."""

    latents: Tensor
    noise: Tensor
    timesteps: Tensor
    prompts: tuple[str, ...]
    weights: Tensor


def draw_batch(
    kinds: tuple[Examples, ...], batch_size: int, timesteps: int, seed: int, step: int
) -> Batch:
    """The batch of a step. Sample i of a kind depends on (seed, step, i) alone.

    So the noise is the same for every method and batch size, and after a resumption. The examples
    take turns in a new order each epoch; their prompts are drawn.
    """
    latents, noises, times, prompts, weights = [], [], [], [], []
    for kind, examples in enumerate(kinds):
        count = len(examples.latents)
        for place in range(batch_size):
            rng = np.random.default_rng([seed, kind, step, place])
            epoch, turn = divmod(step * batch_size + place, count)
            order = np.random.default_rng([seed, kind, epoch]).permutation(count)
            latents.append(examples.latents[order[turn]])
            noises.append(rng.standard_normal(examples.latents.shape[1:], np.float32))
            times.append(int(rng.integers(timesteps)))
            prompts.append(examples.prompts[int(rng.integers(len(examples.prompts)))])
            weights.append(examples.weight)
    stacked = torch.stack(latents)
    device = stacked.device
    return Batch(
        latents=stacked,
        noise=torch.from_numpy(np.stack(noises)).to(device),
        timesteps=torch.tensor(times, device=device),
        prompts=tuple(prompts),
        weights=torch.tensor(weights, device=device),
    )
