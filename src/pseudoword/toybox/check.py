"""Is the toybox model good? It draws from captions, and a reader that no study uses reads them."""

from dataclasses import replace
from itertools import count, islice
from typing import Any

import numpy as np

from pseudoword.errors import UserError
from pseudoword.progress import Reporter
from pseudoword.toybox.photos import SIZE

CAPTIONS = 2000
CAPTION_SEED = 20_000_000
"""Captions come from scenes from this seed on, which no training has seen."""
PSNR_RENDERS = 500
SMALL_TOYS = 100
SMALL_FILL = 0.4
"""Share of the frame that a small toy fills; in training it is 0.66 to 0.86."""


def check_toybox(
    reporter: Reporter,
    model_name: str = "toybox",
    device: str = "cpu",
    captions: int = CAPTIONS,
) -> dict[str, Any]:
    """Shares read rightly in pictures drawn from captions, and how like renders they are.

    Every caption names class, colour, pattern and setting. Keys: the reader's attributes (shares in
    [0, 1]), reader (the same of true renders of those captions: the most that the shares could be),
    kid (of the pictures against renders of as many other scenes, Inception role) and kid_renders
    (of the captions' own renders against those), psnr (of the autoencoder, dB), and of small toys
    passed through the autoencoder small_toy_colour_error (of 255) and small_toy_pattern_kept (a
    share of variance). Pictures of another size than SIZE are resampled before they are read.
    """
    from PIL import Image

    from pseudoword.device import pick_device
    from pseudoword.families import load_model
    from pseudoword.generate import Request, generate
    from pseudoword.settings import GenerateSettings
    from pseudoword.toybox.pixels import as_pixels
    from pseudoword.toybox.reader import load_reader, read
    from pseudoword.toybox.world.caption import full_caption
    from pseudoword.toybox.world.render import render_many
    from pseudoword.toybox.world.scene import sample_scene

    if captions < 2:
        raise UserError("--captions must be 2 or more: a distance needs two pictures.")
    model = load_model(model_name, pick_device(device))
    scenes = [sample_scene(CAPTION_SEED + i) for i in range(captions)]
    requests = [Request(full_caption(scene), i) for i, scene in enumerate(scenes)]
    drawn = generate(
        model,
        requests,
        GenerateSettings(),
        lambda done: reporter.update("pictures", done, captions),
    )
    renders = render_many(scenes, SIZE)
    others = render_many([sample_scene(CAPTION_SEED + captions + i) for i in range(captions)], SIZE)
    pictures = as_pixels([Image.fromarray(picture) for picture in drawn])
    reader = load_reader()
    truth = _words(scenes)
    shares = _shares(read(reader, pictures), truth)
    return {
        **shares,
        "reader": _shares(read(reader, renders), truth),
        **_distances(pictures, renders, others),
        "psnr": _psnr(model, render_many(scenes[:PSNR_RENDERS], model.resolution)),
        **small_toys(model),
        "captions": captions,
    }


def _distances(drawn: np.ndarray, renders: np.ndarray, others: np.ndarray) -> dict[str, float]:
    """KID of drawn pictures and of renders against other renders."""
    from PIL import Image

    from pseudoword.metrics.distances import kid
    from pseudoword.metrics.encoders import load_encoder

    encoder = load_encoder("toybox-inception")
    seen, true, reference = (
        encoder.embed_images([Image.fromarray(picture) for picture in pictures])
        for pictures in (drawn, renders, others)
    )
    return {"kid": kid(seen, reference), "kid_renders": kid(true, reference)}


def _words(scenes: list[Any]) -> dict[str, list[str]]:
    return {
        "class": [scene.toy.class_noun for scene in scenes],
        "colour": [scene.toy.colour_name for scene in scenes],
        "pattern": [scene.toy.pattern_name for scene in scenes],
        "setting": [scene.setting for scene in scenes],
        "style": [scene.style for scene in scenes],
        "hat": [scene.hat or "none" for scene in scenes],
        "neighbour": [scene.neighbour or "none" for scene in scenes],
    }


def _shares(words: dict[str, list[str]], truth: dict[str, list[str]]) -> dict[str, float]:
    return {
        name: float(np.mean([a == b for a, b in zip(words[name], truth[name], strict=True)]))
        for name in truth
    }


def _psnr(model: Any, renders: np.ndarray) -> float:
    """Peak signal-to-noise ratio in dB of the autoencoder over all pixels of true renders."""
    error = (_through_autoencoder(model, renders) - renders).astype(np.float64)
    return float(10 * np.log10(255**2 / np.square(error).mean()))


def small_toys(model: Any) -> dict[str, float]:
    """What the autoencoder leaves of small patterned toys.

    small_toy_colour_error: how far the toy's mean colour moves, root mean square over channels, of
    255. small_toy_pattern_kept: the share of the toy's variance about its mean colour that the
    decoded picture explains. Both are means over toys, over the pixels that show the toy.
    """
    from pseudoword.toybox.world.render import render_many, toy_mask
    from pseudoword.toybox.world.scene import sample_scene

    found = map(sample_scene, count(CAPTION_SEED))
    patterned = (scene for scene in found if scene.toy.pattern_name != "plain")
    scenes = [
        replace(scene, style="photo", camera=replace(scene.camera, fill=SMALL_FILL))
        for scene in islice(patterned, SMALL_TOYS)
    ]
    size = model.resolution
    renders = render_many(scenes, size)
    decoded = _through_autoencoder(model, renders)
    colour_errors, kept = [], []
    for scene, before, after in zip(scenes, renders.astype(np.float64), decoded, strict=True):
        mask = toy_mask(scene, size)
        seen, drawn = before[mask], after[mask].astype(np.float64)
        moved = seen.mean(axis=0) - drawn.mean(axis=0)
        colour_errors.append(np.sqrt(np.square(moved).mean()))
        lost = np.square((seen - seen.mean(axis=0)) - (drawn - drawn.mean(axis=0))).sum()
        kept.append(1 - lost / np.square(seen - seen.mean(axis=0)).sum())
    return {
        "small_toy_colour_error": float(np.mean(colour_errors)),
        "small_toy_pattern_kept": float(np.mean(kept)),
    }


def _through_autoencoder(model: Any, pictures: np.ndarray) -> np.ndarray:
    """Pictures uint8 (n, h, w, 3) encoded and decoded: float32, still from 0 to 255."""
    import torch

    pixels = torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 127.5 - 1
    parts = [model.decode_latents(model.encode_pixels(part)).cpu() for part in pixels.split(50)]
    decoded: np.ndarray = ((torch.cat(parts) + 1) * 127.5).permute(0, 2, 3, 1).numpy()
    return decoded
