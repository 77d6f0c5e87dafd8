"""The oracle's training: attributes of any picture, and toys told from their near doubles."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from pseudoword.progress import Reporter
from pseudoword.toybox.oracle import NUMBERS, Oracle, describe, look, read_attributes, recognise
from pseudoword.toybox.pixels import to_tensor
from pseudoword.toybox.reader import ATTRIBUTES, attributes_of
from pseudoword.toybox.recipe.data import batch_indices
from pseudoword.toybox.recipe.fit import Group, Schedule, fit
from pseudoword.toybox.recipe.judges import VIEWS, subject_view
from pseudoword.toybox.world.concepts import concept_toy
from pseudoword.toybox.world.lineup import lineup
from pseudoword.toybox.world.render import render_many
from pseudoword.toybox.world.scene import Scene

ORACLE_TOYS = 2_000_000
"""Concept toys from this seed on train the oracle; the judges and studies use others."""
BATCH = 16
"""Pictures a step of each kind: of any toys, and of concept toys."""
DOUBLES = 24
"""Near doubles a picture is told from in training."""


@dataclass(frozen=True, eq=False)
class Lessons:
    """Pictures with all that is to be learnt of them."""

    pixels: np.ndarray
    labels: Tensor
    """Attributes (n, number of attributes)."""
    lineups: np.ndarray
    """Descriptions (toys, 1 + DOUBLES, numbers), the right toy first."""
    views: int
    """Pictures a toy."""

    @staticmethod
    def of(pixels: np.ndarray, scenes: Sequence[Scene], views: int) -> "Lessons":
        """`scenes` in the order of `pixels`, `views` in a row of each toy."""
        toys = [scene.toy for scene in scenes[::views]]
        described = [
            [describe(toy) for toy in lineup(toy, 1 + DOUBLES, seed)]
            for seed, toy in enumerate(toys)
        ]
        labels = torch.tensor([attributes_of(scene) for scene in scenes])
        return Lessons(pixels, labels, np.array(described, np.float32), views)

    def batch(self, seed: int, step: int) -> tuple[Tensor, Tensor, Tensor]:
        """(pixels, attributes, line-ups) of BATCH pictures."""
        indices = batch_indices(len(self.pixels), BATCH, seed, step)
        # Not mirrored: that would be another toy, its pattern leaning the other way.
        known = torch.from_numpy(self.lineups[indices // self.views])
        return to_tensor(self.pixels[indices]), self.labels[indices], known


def train_oracle(
    lessons: Sequence[Lessons],
    folder: Path,
    steps: int,
    reporter: Reporter,
    device: torch.device,
    seed: int = 81,
) -> Oracle:
    """Cross-entropy of the attributes and the line-up, squared error of the toy's numbers."""
    torch.manual_seed(seed)
    model = Oracle().to(device).train()

    def loss(step: int) -> Tensor:
        parts = [lesson.batch(seed + i, step) for i, lesson in enumerate(lessons)]
        pixels, truth, toys = (torch.cat(p).to(device) for p in zip(*parts, strict=True))
        with torch.autocast(device.type, torch.bfloat16):
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

    fit(loss, [Group((model,), 2e-3, 0.05)], Schedule(steps), folder, reporter)
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
