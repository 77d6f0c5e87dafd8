"""Photos as latents: encoded once, for all methods and seeds that learn from them."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from pseudoword.concept import Photo
from pseudoword.dataset import LatentView
from pseudoword.families.model import Model
from pseudoword.kept import Kept, read_kept, save_kept
from pseudoword.progress import Reporter, Silent
from pseudoword.runs import hash_bytes, hash_json
from pseudoword.views import View


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

    A view's file is named by what its latents depend on: the model, the kind of device, the pixels.
    It is written before the next view is encoded. A damaged one is told and made anew.
    """
    reporter = reporter or Silent()
    total, done, seconds = sum(len(photo.views) for photo in photos), 0, 0.0
    encoded = []
    for photo in photos:
        views = []
        for view in photo.views:
            kept = _latents(model, view, cache, reporter)
            views.append(_latent_view(view, kept.latents.to(model.device)))
            seconds, done = seconds + kept.seconds, done + 1
            reporter.update("photos, encoded", done, total)
        encoded.append(tuple(views))
    return Encoded(tuple(encoded), seconds)


def _latents(model: Model, view: View, cache: Path | None, reporter: Reporter) -> Kept:
    """Latents (c, h, w) of one view."""
    if cache is None:
        return _encode(model, view)
    pixels = [list(view.pixels.shape), hash_bytes(view.pixels.tobytes())]
    key = hash_json([model.fingerprint, model.device.type, pixels])
    path = cache / f"latents-{key[:24]}.safetensors"
    kept = read_kept(path, key, "its photo is encoded again", reporter)
    if kept is None:
        kept = _encode(model, view)
        save_kept(path, key, kept)
    return kept


def _encode(model: Model, view: View) -> Kept:
    clock = time.monotonic()
    pixels = torch.from_numpy(view.pixels.copy()).permute(2, 0, 1).float() / 127.5 - 1
    (latents,) = model.encode_pixels(pixels[None])
    return Kept(latents, time.monotonic() - clock)


def _latent_view(view: View, latents: Tensor) -> LatentView:
    mask = None
    if view.mask is not None:
        whole = torch.from_numpy(view.mask.copy())[None, None].to(latents.device)
        (mask,) = adaptive_avg_pool2d(whole, (latents.shape[-2], latents.shape[-1]))
    height, width = view.pixels.shape[:2]
    sizes = (*view.original_size, *view.crop_top_left, height, width)
    return LatentView(latents, sizes, mask)
