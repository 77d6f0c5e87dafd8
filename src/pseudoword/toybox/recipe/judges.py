"""The judges: encoders in the roles of DINO and Inception, and a reader of attributes.

Each is seeded and trained by itself and shares nothing with the model that it judges. (The judge
in CLIP's role is `pair.train_pair` with another seed.)
"""

from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, normalize
from transformers import Dinov2Config, Dinov2Model

from pseudoword.progress import Reporter
from pseudoword.toybox.pixels import to_tensor
from pseudoword.toybox.reader import ATTRIBUTES, Reader, attributes_of, read
from pseudoword.toybox.recipe.data import Pictures, batch_indices
from pseudoword.toybox.recipe.files import kept_array
from pseudoword.toybox.recipe.fit import Group, Place, Schedule, fit
from pseudoword.toybox.world.concepts import concept_toy
from pseudoword.toybox.world.render import render_many
from pseudoword.toybox.world.scene import Scene, Toy, sample_view
from pseudoword.toybox.world.vocabulary import CLASSES, COLOURS, SETTINGS, STYLES

TRAINING_TOYS = 1_000_000
"""Concept toys from this seed on train the subject encoder; studies use smaller seeds."""
BATCH = 32
"""Pictures a step of the readers."""
VIEWS = 3
SHARD = 500
TOYS_A_CLASS = 16
CLASSES_A_BATCH = 3
TEMPERATURE = 0.1
TOYS_ASKED = 100


def subject_view(toy: Toy, seed: int, view: int) -> Scene:
    """One of many looks at a toy: any setting, camera and light, at times a style or company."""
    rng = np.random.default_rng([301, seed, view])
    camera, light = sample_view(rng)
    colours = list(COLOURS)
    return Scene(
        toy=toy,
        setting=str(rng.choice(list(SETTINGS))),
        setting_seed=int(rng.integers(1 << 30)),
        camera=camera,
        light=light,
        style="photo" if rng.random() < 0.85 else str(rng.choice(list(STYLES)[1:])),
        hat=str(rng.choice(colours)) if rng.random() < 0.12 else None,
        neighbour=str(rng.choice(colours)) if rng.random() < 0.12 else None,
        neighbour_side=1.0 if rng.random() < 0.5 else -1.0,
    )


def render_subjects(
    first_seed: int, toys: int, size: int, folder: Path, reporter: Reporter
) -> np.ndarray:
    """Views of training toys: uint8 (toys, VIEWS, size, size, 3)."""
    pixels = np.empty((toys * VIEWS, size, size, 3), np.uint8)
    for start in range(first_seed, first_seed + toys, SHARD):
        seeds = range(start, min(start + SHARD, first_seed + toys))
        path = folder / f"{size}px-toys-{start}-{seeds.stop}x{VIEWS}.safetensors"
        place = slice((start - first_seed) * VIEWS, (seeds.stop - first_seed) * VIEWS)
        pixels[place] = kept_array(path, partial(_render, seeds, size), reporter)
        reporter.update("toys", seeds.stop - first_seed, toys)
    return pixels.reshape(toys, VIEWS, *pixels.shape[1:])


def _render(seeds: range, size: int) -> np.ndarray:
    scenes = [subject_view(concept_toy(s), s, v) for s in seeds for v in range(VIEWS)]
    return render_many(scenes, size)


def build_subject_encoder(size: int) -> Dinov2Model:
    """1.3 M parameters, 8x8 patches, the vector is the class token."""
    config = Dinov2Config(
        hidden_size=128,
        num_hidden_layers=6,
        num_attention_heads=4,
        mlp_ratio=4,
        image_size=size,
        patch_size=size // 8,
    )
    return Dinov2Model(config)


def train_subject_encoder(
    subjects: np.ndarray,
    place: Place,
    steps: int,
    device: torch.device,
    seed: int = 51,
) -> Dinov2Model:
    """Contrast between toys of the same class (InfoNCE, arXiv 1807.03748): which two views are one?

    A batch holds few classes, so that class alone never answers.
    """
    torch.manual_seed(seed)
    model = build_subject_encoder(subjects.shape[2]).to(device)
    nouns = np.array([concept_toy(TRAINING_TOYS + i).class_noun for i in range(len(subjects))])
    members = [np.flatnonzero(nouns == noun) for noun in CLASSES]

    def loss(step: int) -> Tensor:
        rng = np.random.default_rng([seed, step])
        chosen = rng.choice(len(CLASSES), CLASSES_A_BATCH, replace=False)
        toys = np.concatenate([rng.choice(members[c], TOYS_A_CLASS, False) for c in chosen])
        views = np.stack([rng.choice(VIEWS, 2, False) for _ in toys])
        pixels = np.concatenate([subjects[toys, views[:, 0]], subjects[toys, views[:, 1]]])
        with torch.autocast(device.type, torch.bfloat16):
            tokens = model(to_tensor(pixels).to(device)).last_hidden_state[:, 0]
        first, second = normalize(tokens.float(), dim=1).chunk(2)
        logits = first @ second.T / TEMPERATURE
        target = torch.arange(len(toys), device=device)
        return (cross_entropy(logits, target) + cross_entropy(logits.T, target)) / 2

    fit(loss, [Group((model,), 1e-3, 0.05)], Schedule(steps), place)
    return model.cpu().eval()


@torch.no_grad()
def subject_accuracy(model: Dinov2Model, first_seed: int = 500_000) -> float:
    """How often a view finds the other view of its toy among TOYS_ASKED of the same class."""
    seeds = [first_seed + i * len(CLASSES) for i in range(TOYS_ASKED)]
    scenes = [subject_view(concept_toy(s), s, v) for v in range(2) for s in seeds]
    pixels = render_many(scenes, model.config.image_size)
    tokens = torch.cat(
        [model(part).last_hidden_state[:, 0] for part in to_tensor(pixels).split(50)]
    )
    first, second = normalize(tokens, dim=1).chunk(2)
    return float(((first @ second.T).argmax(1) == torch.arange(TOYS_ASKED)).float().mean())


def train_reader(
    pictures: Pictures,
    place: Place,
    steps: int,
    device: torch.device,
    seed: int,
) -> Reader:
    """Cross-entropy summed over the attributes."""
    torch.manual_seed(seed)
    model = Reader().to(device).train()
    labels = torch.tensor([attributes_of(pictures.scene(i)) for i in range(len(pictures))])
    labels = labels.to(device)

    def loss(step: int) -> Tensor:
        indices = batch_indices(len(pictures), BATCH, seed, step)
        mirror = np.random.default_rng([seed, step]).random(BATCH) < 0.5
        pixels = pictures.tensor(indices, mirror=mirror).to(device)
        with torch.autocast(device.type, torch.bfloat16):
            logits = model(pixels)
        truth = labels[indices].T
        losses = [cross_entropy(v.float(), t) for v, t in zip(logits.values(), truth, strict=True)]
        return torch.stack(losses).sum()

    fit(loss, [Group((model,), 2e-3, 0.05)], Schedule(steps), place)
    return model.cpu().eval()


def reader_accuracy(model: Reader, pictures: Pictures, count: int = 500) -> dict[str, float]:
    """The share of held-out renders of which each attribute is read rightly."""
    words = read(model, pictures.pixels[:count])
    truth = [attributes_of(pictures.scene(i)) for i in range(min(count, len(pictures)))]
    return {
        name: float(np.mean([w == names[t[k]] for w, t in zip(words[name], truth, strict=True)]))
        for k, (name, names) in enumerate(ATTRIBUTES.items())
    }
