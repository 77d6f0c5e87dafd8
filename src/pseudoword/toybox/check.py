"""Is the toybox model good? It draws from captions, and a reader that no study uses reads them."""

from typing import Any

import numpy as np
import torch

from pseudoword.progress import Reporter

CAPTIONS = 200
CAPTION_SEED = 20_000_000
"""Captions come from scenes from this seed on, which no training has seen."""


def check_toybox(
    reporter: Reporter, model_name: str = "toybox", device: str = "cpu"
) -> dict[str, Any]:
    """Shares read rightly in pictures drawn from captions, and the autoencoder's PSNR.

    Every caption names class, colour and setting. Keys: class, colour, pattern, setting, style
    (shares in [0, 1]), psnr (dB), reader (the reader's own accuracy on true renders of the same
    captions: the most that the shares could be).
    """
    from pseudoword.device import pick_device
    from pseudoword.families import load_model
    from pseudoword.generate import Request, generate
    from pseudoword.settings import GenerateSettings
    from pseudoword.toybox.reader import load_reader, read
    from pseudoword.toybox.world.caption import full_caption
    from pseudoword.toybox.world.render import render_many
    from pseudoword.toybox.world.scene import sample_scene

    model = load_model(model_name, pick_device(device))
    scenes = [sample_scene(CAPTION_SEED + i) for i in range(CAPTIONS)]
    requests = [Request(full_caption(scene), i) for i, scene in enumerate(scenes)]
    drawn = generate(
        model,
        requests,
        GenerateSettings(),
        lambda done: reporter.update("pictures", done, CAPTIONS),
    )
    renders = render_many(scenes)
    reader = load_reader()
    truth = _words(scenes)
    shares = _shares(read(reader, np.stack(drawn)), truth)
    return {
        **shares,
        "psnr": _psnr(model, renders),
        "reader": _shares(read(reader, renders), truth),
        "captions": CAPTIONS,
    }


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
    pixels = torch.from_numpy(renders).permute(0, 3, 1, 2).float() / 127.5 - 1
    errors = [
        (model.decode_latents(model.encode_pixels(part)).cpu() - part).double().square().flatten()
        for part in pixels.split(50)
    ]
    return float(10 * torch.log10(4 / torch.cat(errors).mean()))
