"""The training loss itself, asked of a model at a few fixed samples.

On the held-out photo it tells whether a training went too far, before any picture is drawn: a model
that has learnt the concept denoises a new photo of it no worse than the untouched model does.
"""

from collections.abc import Sequence
from pathlib import Path

import torch

from pseudoword.concept import Concept, Photo
from pseudoword.dataset import draw_batch
from pseudoword.encoded import Encoded, encode_photos
from pseudoword.families.model import Model
from pseudoword.objective import squared_errors
from pseudoword.progress import Reporter
from pseudoword.prompts import BASIC_TEMPLATES
from pseudoword.runs import write_json
from pseudoword.train import photo_examples

SAMPLES = 16
SEED = 4_000_000
"""Of the samples' noise and timesteps, which no training uses."""
_BATCH = 8


def photo_losses(
    model: Model, photos: Sequence[Photo], encoded: Encoded, phrase: str
) -> list[float]:
    """SAMPLES losses of `photos`, called `phrase`; each has the same noise for every model."""
    examples = photo_examples(photos, encoded, BASIC_TEMPLATES[:1], phrase)
    losses: list[float] = []
    with torch.inference_mode():
        for step in range(SAMPLES // _BATCH):
            for batch in draw_batch([examples], _BATCH, model.objective, SEED, step):
                noisy = model.objective.add_noise(batch.latents, batch.noise, batch.timesteps)
                target = model.objective.target(batch.latents, batch.noise, batch.timesteps)
                text = model.encode_prompts(list(batch.prompts))
                predicted = model.predict(noisy, batch.timesteps, text, batch.sizes)
                losses += squared_errors(predicted, target, batch.masks).double().tolist()
    return losses


def record_losses(
    path: Path, model: Model, concept: Concept, phrase: str, cache: Path, reporter: Reporter
) -> None:
    """{"held_out", "training"} into `path`, unless it is there; empty without a held-out photo.

    The photos' latents are kept in `cache`.
    """
    if path.exists():
        return
    held = [concept.held_out] if concept.held_out is not None else []

    def losses(photos: Sequence[Photo]) -> list[float]:
        return photo_losses(model, photos, encode_photos(model, photos, cache, reporter), phrase)

    write_json(
        path,
        {
            "held_out": losses(held) if held else [],
            "training": losses(concept.training),
        },
        sealed=True,
    )
