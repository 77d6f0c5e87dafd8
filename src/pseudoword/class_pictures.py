"""Class pictures (prior preservation, arXiv 2208.12242, section 3.2), drawn once and kept."""

import time
from collections.abc import Sequence
from pathlib import Path

import torch

from pseudoword.compute import compute_record
from pseudoword.families.model import Model
from pseudoword.generate import Request, drawing_portion, generate_latents, in_portions
from pseudoword.kept import Kept, made_by, read_kept, save_kept
from pseudoword.methods.base import Method
from pseudoword.progress import Reporter
from pseudoword.prompts import fill
from pseudoword.runs import hash_json
from pseudoword.settings import GenerateSettings

PRIOR_SEED = 1_000_000
"""Class pictures start from the noise of seeds from here on, which no scored picture uses."""
REMEDY = "its class pictures are drawn again"


def prior_latents(
    model: Model,
    method: Method,
    class_noun: str,
    cache: Path,
    reporter: Reporter,
    batch_size: int = GenerateSettings().batch_size,
) -> Kept | None:
    """Class pictures by the untouched `model`, where the method uses them.

    They are kept in `cache` under what they depend on, so methods and seeds share them. The
    latents go into training as drawn: no decoding to pixels and back blurs them.
    """
    settings = method.settings
    if settings.prior_weight == 0:
        return None
    drawing = GenerateSettings(batch_size=batch_size)
    prompts = [fill(template, class_noun) for template in method.templates]
    drawn = drawing.model_dump(exclude={"batch_size"})
    computed = [
        compute_record(model.compute, model.device)[name] for name in ("precision", "quantise")
    ]
    # Weights that a method keeps in float32 give other last bits in 16-bit precisions.
    computed.append(str(model.denoiser.dtype))
    key = hash_json([*made_by(model), prompts, settings.prior_pictures, drawn, computed])
    path = cache / f"prior-{key[:24]}.safetensors"
    kept = read_kept(path, key, REMEDY, reporter)
    if kept is None:
        count = settings.prior_pictures
        requests = [Request(prompts[i % len(prompts)], PRIOR_SEED + i) for i in range(count)]
        kept = _class_pictures(model, requests, drawing, path, key, reporter)
        save_kept(path, key, kept)
    # Whatever a kill left of the batches, once they are all in one.
    for part in cache.glob(f"{path.stem}-*"):
        part.unlink()
    return kept


def _class_pictures(
    model: Model,
    requests: Sequence[Request],
    drawing: GenerateSettings,
    path: Path,
    key: str,
    reporter: Reporter,
) -> Kept:
    """Draws them; each batch is kept beside `path` first, under its place and the `key` of all."""
    batches: list[Kept] = []
    size = drawing.batch_size
    portion = drawing_portion("class pictures", reporter.note)
    for start in range(0, len(requests), size):
        place = f"{size}-{start:06d}"
        part = path.with_name(f"{path.stem}-{place}{path.suffix}")
        kept = read_kept(part, f"{key}-{place}", REMEDY, reporter)
        if kept is None:
            clock = time.monotonic()
            drawn = in_portions(
                portion,
                requests[start : start + size],
                lambda few: generate_latents(model, few, drawing),
            )
            kept = Kept(torch.stack(drawn).cpu(), time.monotonic() - clock)
            save_kept(part, f"{key}-{place}", kept)
        batches.append(kept)
        reporter.update("class pictures", min(start + size, len(requests)), len(requests))
    latents = torch.cat([batch.latents for batch in batches])
    return Kept(latents, sum(batch.seconds for batch in batches))
