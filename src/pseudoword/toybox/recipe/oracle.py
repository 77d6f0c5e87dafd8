"""The oracle's training: attributes of any picture, and toys told from their near doubles."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from pseudoword.toybox.oracle import NUMBERS, Oracle, describe, look, read_attributes, recognise
from pseudoword.toybox.pixels import to_tensor
from pseudoword.toybox.reader import ATTRIBUTES, attributes_of
from pseudoword.toybox.recipe.data import batch_indices
from pseudoword.toybox.recipe.fit import Group, Place, Schedule, fit
from pseudoword.toybox.recipe.judges import VIEWS, subject_view
from pseudoword.toybox.world.concepts import concept_toy
from pseudoword.toybox.world.lineup import lineup
from pseudoword.toybox.world.render import render_many
from pseudoword.toybox.world.scene import Scene, Toy

ORACLE_TOYS = 2_000_000
"""Concept toys from this seed on train the oracle; the judges and studies use others."""
BATCH = 16
"""Pictures a step of each kind: of any toys, and of concept toys."""
DOUBLES = 16
"""Near doubles a picture is told from in training: others each time, lest they be learnt."""
SHIFT = 8
"""Pixels by which pictures are moved in training."""


@dataclass(frozen=True, eq=False)
class Lessons:
    """Pictures with all that is to be learnt of them."""

    pixels: np.ndarray
    labels: Tensor
    """Attributes (n, number of attributes)."""
    toys: Sequence[Toy]
    views: int
    """Pictures a toy."""

    @staticmethod
    def of(pixels: np.ndarray, scenes: Sequence[Scene], views: int) -> "Lessons":
        """`scenes` in the order of `pixels`, `views` in a row of each toy."""
        labels = torch.tensor([attributes_of(scene) for scene in scenes])
        return Lessons(pixels, labels, [scene.toy for scene in scenes[::views]], views)

    def batch(self, seed: int, step: int) -> tuple[Tensor, Tensor, Tensor]:
        """(pixels, attributes, descriptions of line-ups, the right toy first) of BATCH pictures."""
        indices = batch_indices(len(self.pixels), BATCH, seed, step)
        lineups = [
            [
                describe(toy)
                for toy in lineup(self.toys[i // self.views], 1 + DOUBLES, BATCH * step + k)
            ]
            for k, i in enumerate(indices)
        ]
        known = torch.from_numpy(np.array(lineups, np.float32))
        pixels = _moved(self.pixels[indices], np.random.default_rng([seed, step]))
        return to_tensor(pixels), self.labels[indices], known


def _moved(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Pictures (n, size, size, 3), each moved by up to SHIFT; what comes in repeats the edge.

    They are not mirrored: that would be another toy, its pattern leaning the other way.
    """
    size = pixels.shape[1]
    padded = np.pad(pixels, ((0, 0), (SHIFT, SHIFT), (SHIFT, SHIFT), (0, 0)), mode="edge")
    corners = rng.integers(0, 2 * SHIFT + 1, (len(pixels), 2))
    return np.stack(
        [p[a : a + size, b : b + size] for p, (a, b) in zip(padded, corners, strict=True)]
    )


def train_oracle(
    lessons: Sequence[Lessons],
    place: Place,
    steps: int,
    device: torch.device,
    seed: int = 81,
) -> Oracle:
    """Cross-entropy of the attributes and the line-up, squared error of the toy's numbers."""
    torch.manual_seed(seed)
    model = Oracle().to(device).train()

    def loss(step: int) -> Tensor:
        parts = [lesson.batch(seed + i, step) for i, lesson in enumerate(lessons)]
        pixels, truth, toys = (torch.cat(p).to(device) for p in zip(*parts, strict=True))
        # Dropout draws from the global generator: a seed of the step's own makes it resumable.
        devices = [device] if device.type == "cuda" else []
        with torch.random.fork_rng(devices), torch.autocast(device.type, torch.bfloat16):
            torch.manual_seed(seed + 1000 * step)
            features = model.features(pixels)
            logits = model.attributes(features)
            matched = model.match(features, toys)
            guessed = model.numbers(features)
        losses = [
            cross_entropy(v.float(), t) for v, t in zip(logits.values(), truth.T, strict=True)
        ]
        right = torch.zeros(len(matched), dtype=torch.long, device=device)
        # Near doubles alone teach slowly: what tells them apart are a few numbers, asked for here.
        missed = (guessed.float() - toys[:, 0, -NUMBERS:]).square().sum(dim=1).mean()
        return torch.stack(losses).sum() + missed + 4 * cross_entropy(matched.float(), right)

    fit(loss, [Group((model,), 2e-3, 0.05)], Schedule(steps, plateau=0.5), place)
    return model.cpu().eval()


def oracle_accuracy(
    model: Oracle, size: int, toys: int = 100, first: int = 500_000
) -> dict[str, float]:
    """On held-out concept toys: how often each attribute is read rightly, and the toy known."""
    scenes, known = [], []
    for seed in range(first, first + toys):
        scenes += [subject_view(concept_toy(seed), seed, view) for view in range(VIEWS)]
    features = look(model, render_many(scenes, size))
    words = read_attributes(model, features)
    truth = [attributes_of(scene) for scene in scenes]
    accuracy = {
        name: float(np.mean([w == names[t[k]] for w, t in zip(words[name], truth, strict=True)]))
        for k, (name, names) in enumerate(ATTRIBUTES.items())
    }
    for index, seed in enumerate(range(first, first + toys)):
        own = features[index * VIEWS : (index + 1) * VIEWS]
        known += list(recognise(model, own, lineup(concept_toy(seed), seed=seed)) == 0)
    return accuracy | {"toy": float(np.mean(known))}
