"""The photos that benchmarks train on: one's own, or rendered toys of any size."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from pseudoword.pictures import find_pictures
from pseudoword.toybox.photos import render_photo_set
from pseudoword.toybox.world.concepts import concept_toy

TOY = 1
COUNT = 5
LARGE = 512
"""Pictures from this side on are JPEG files, as photos are."""
GRAIN = 6.0
"""Deviation of the brightness of large renders, of 255: without a photo's grain, the file is small
and read in half the time of a photo."""


def class_noun() -> str:
    """What the rendered toy is."""
    return concept_toy(TOY).class_noun


def photo_folder(given: Sequence[Path], side: int, place: Path) -> Path:
    """A folder with nothing but photos of `side` x `side` pixels, as the scripts want it.

    They are `given` ones, or else renders of a toy, cropped at the centre and scaled.
    """
    folder = place / f"photos-{side}"
    if folder.exists():
        return folder
    renders = place / "renders"
    found = find_pictures(given, [])[:COUNT] if given else render_photo_set(TOY, renders, COUNT)
    folder.mkdir(parents=True)
    for index, path in enumerate(found):
        with Image.open(path) as picture:
            rgb = picture.convert("RGB")
        short = min(rgb.size)
        left, top = (rgb.width - short) // 2, (rgb.height - short) // 2
        square = rgb.crop((left, top, left + short, top + short))
        scaled = square.resize((side, side), Image.Resampling.BICUBIC)
        if side >= LARGE and not given:
            scaled = grained(scaled, index)
        kind = "jpg" if side >= LARGE else "png"
        scaled.save(folder / f"{index:02d}.{kind}", quality=92)
    return folder


def grained(picture: Image.Image, seed: int) -> Image.Image:
    """With the noise of a sensor in its brightness."""
    grain = np.random.default_rng(seed).normal(0, GRAIN, (picture.height, picture.width, 1))
    return Image.fromarray((np.asarray(picture) + grain).clip(0, 255).astype(np.uint8))
