"""Photos as latents: encoded once, for all methods and seeds that learn from them."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from pseudoword.concept import Photo
from pseudoword.dataset import LatentView
from pseudoword.families.model import Model
from pseudoword.kept import Kept, made_by, read_kept, save_kept
from pseudoword.progress import Reporter, Silent
from pseudoword.runs import hash_bytes, hash_json
from pseudoword.views import View

REMEDY = "its photo is encoded again"


@dataclass(frozen=True, eq=False)
class Encoded:
    """The views of each photo as latents, in the photos' order.

    `seconds` are those of encoding, whenever that was: every method is charged the same.
    """

    photos: tuple[tuple[LatentView, ...], ...]
    seconds: float


def encode_photos(
    model: Model,
    photos: Sequence[Photo],
    cache: Path | None = None,
    reporter: Reporter | None = None,
) -> Encoded:
    """Encodes each view by itself, but for those that are kept in `cache`, where there is one.

    A view's file is named by what its latents depend on: the model, the kind of device, the
    versions of the libraries, the pixels. It is written before the next view is encoded. A damaged
    one is told and made anew.
    """
    reporter = reporter or Silent()
    total, done, seconds = sum(len(photo.views) for photo in photos), 0, 0.0
    encoded = []
    made = made_by(model)
    for photo in photos:
        views = []
        for view in photo.views:
            place = _place(made, view, cache) if cache is not None else None
            kept = read_kept(*place, REMEDY, reporter) if place is not None else None
            if kept is None:
                kept = _encode(model, view)
                if place is not None:
                    save_kept(*place, kept)
                reporter.update("photos, encoded", done + 1, total)
            views.append(_latent_view(view, kept.latents.to(model.device)))
            seconds, done = seconds + kept.seconds, done + 1
        encoded.append(tuple(views))
    return Encoded(tuple(encoded), seconds)


def _encode(model: Model, view: View) -> Kept:
    """Latents (c, h, w) of one view."""
    clock = time.monotonic()
    pixels = torch.from_numpy(view.pixels.copy()).permute(2, 0, 1).float() / 127.5 - 1
    (latents,) = model.encode_pixels(pixels[None])
    # Sent to the host before the clock is read: a GPU works on while nobody asks.
    return Kept(latents.cpu(), time.monotonic() - clock)


def _place(made: Sequence[Any], view: View, cache: Path) -> tuple[Path, str]:
    """The file of a view's latents, and the key of all that they depend on: `made_by`, pixels."""
    pixels = [list(view.pixels.shape), hash_bytes(view.pixels.tobytes())]
    key = hash_json([*made, pixels])
    return cache / f"latents-{key[:24]}.safetensors", key


def _latent_view(view: View, latents: Tensor) -> LatentView:
    mask = None
    if view.mask is not None:
        whole = torch.from_numpy(view.mask.copy())[None, None].to(latents.device)
        (mask,) = adaptive_avg_pool2d(whole, (latents.shape[-2], latents.shape[-1]))
    height, width = view.pixels.shape[:2]
    sizes = (*view.original_size, *view.crop_top_left, height, width)
    return LatentView(latents, sizes, mask)
