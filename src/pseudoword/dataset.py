"""What a training step sees: photos and class pictures as latents, by seed, step and place."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pseudoword.device import send
from pseudoword.objective import Objective
from pseudoword.settings import ObjectiveSettings

INSTANCE, PRIOR = 0, 1
PLAIN = ObjectiveSettings()


@dataclass(frozen=True, eq=False)
class LatentView:
    """One way to show a picture: its latents (c, h, w), mask (1, h, w) and sizes.

    `sizes` are the six numbers of `Model.predict`; without a mask every place counts the same.
    """

    latents: Tensor
    sizes: tuple[int, int, int, int, int, int]
    mask: Tensor | None = None


@dataclass(frozen=True, eq=False)
class Example:
    """A picture: views and prompts, of which each time one is drawn."""

    views: tuple[LatentView, ...]
    prompts: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Examples:
    """The pictures of one kind of sample, and the weight of its loss."""

    pictures: tuple[Example, ...]
    weight: float


@dataclass(frozen=True, eq=False)
class Batch:
    """Samples of one shape: one forward serves all of them."""

    latents: Tensor
    noise: Tensor
    timesteps: Tensor
    sizes: Tensor
    masks: Tensor | None
    prompts: tuple[str, ...]
    weights: Tensor
    kinds: tuple[int, ...]

    def split(self, most: int) -> "list[Batch]":
        """The same samples in batches of at most `most`."""
        if len(self.kinds) <= most:
            return [self]
        return [
            Batch(
                latents=self.latents[part],
                noise=self.noise[part],
                timesteps=self.timesteps[part],
                sizes=self.sizes[part],
                masks=None if self.masks is None else self.masks[part],
                prompts=self.prompts[part],
                weights=self.weights[part],
                kinds=self.kinds[part],
            )
            for part in (slice(i, i + most) for i in range(0, len(self.kinds), most))
        ]


@dataclass(frozen=True, eq=False)
class _Sample:
    kind: int
    weight: float
    view: LatentView
    prompt: str
    noise: np.ndarray
    timestep: float


def draw_batch(
    kinds: Sequence[Examples],
    batch_size: int,
    objective: Objective,
    seed: int,
    step: int,
    options: ObjectiveSettings = PLAIN,
) -> list[Batch]:
    """The samples of a step, `batch_size` of each kind, in one batch a shape.

    Sample i of a kind depends on (seed, step, i) alone, so the noise is the same for every method
    and batch size, and after a resumption. The pictures take turns in a new order each epoch; their
    prompts and views are drawn.
    """
    shapes: dict[tuple[int, ...], list[_Sample]] = {}
    for kind, examples in enumerate(kinds):
        count = len(examples.pictures)
        for place in range(batch_size):
            epoch, turn = divmod(step * batch_size + place, count)
            order = np.random.default_rng([seed, kind, epoch]).permutation(count)
            picture = examples.pictures[order[turn]]
            rng = np.random.default_rng([seed, kind, step, place])
            sample = _draw(kind, examples.weight, picture, objective, rng, options)
            shapes.setdefault(tuple(sample.view.latents.shape), []).append(sample)
    return [_batch(samples) for samples in shapes.values()]


def _draw(
    kind: int,
    weight: float,
    picture: Example,
    objective: Objective,
    rng: np.random.Generator,
    options: ObjectiveSettings,
) -> _Sample:
    # All views of a picture have one shape, so the noise may be drawn before the view.
    noise = rng.standard_normal(tuple(picture.views[0].latents.shape), np.float32)
    timestep = objective.draw_timestep(rng, options.timesteps)
    prompt = picture.prompts[int(rng.integers(len(picture.prompts)))]
    view = picture.views[int(rng.integers(len(picture.views)))]
    if options.noise_offset > 0:
        shift = rng.standard_normal((len(noise), 1, 1), np.float32)
        noise = noise + np.float32(options.noise_offset) * shift
    return _Sample(kind, weight, view, prompt, noise, timestep)


def _batch(samples: Sequence[_Sample]) -> Batch:
    device = samples[0].view.latents.device
    masks = None
    if any(sample.view.mask is not None for sample in samples):
        whole = torch.ones(1, *samples[0].view.latents.shape[1:], device=device)
        masks = torch.stack([whole if s.view.mask is None else s.view.mask for s in samples])
    return Batch(
        latents=torch.stack([sample.view.latents for sample in samples]),
        noise=send(torch.from_numpy(np.stack([sample.noise for sample in samples])), device),
        timesteps=send(torch.tensor([sample.timestep for sample in samples]), device),
        sizes=send(torch.tensor([sample.view.sizes for sample in samples]), device),
        masks=masks,
        prompts=tuple(sample.prompt for sample in samples),
        weights=send(torch.tensor([sample.weight for sample in samples]), device),
        kinds=tuple(sample.kind for sample in samples),
    )
