"""Drawn pictures for made-up studies: a mug that is more or less the one of the photos."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

GROUNDS = ("#d8dde2", "#f4f8ff", "#f3deb0", "#2f6b35", "#101433", "#cdb9a0", "#d9d9d9", "#e3e3d8")


def draw(likeness: float, scene: int, seed: int, size: int) -> Image.Image:
    """A mug in front of a ground: its own colour and stripes at `likeness` 1, a grey mug at 0."""
    rng = np.random.default_rng([scene, seed])
    edge = 4 * min(size, 128)
    picture = Image.new("RGB", (edge, edge), GROUNDS[scene % len(GROUNDS)])
    pen = ImageDraw.Draw(picture)
    pen.rectangle((0, 0, edge, 0.55 * edge), fill="#9fc4e8" if scene != 4 else "#05060f")
    x, y = edge * rng.uniform(0.4, 0.55), edge * rng.uniform(0.5, 0.6)
    half, high = edge * 0.17, edge * 0.2
    grey, own, band = np.array([150, 150, 150]), np.array([214, 64, 48]), np.array([250, 214, 60])
    body = tuple((grey + likeness * (own - grey)).astype(int))
    stripe = tuple((grey + likeness * (band - grey)).astype(int))
    if scene == 6:
        body = (128, 0, 150)
    pen.ellipse((x - half, y + high - 12, x + 2.2 * half, y + high + 18), fill="#00000055")
    pen.ellipse(
        (x + half * 0.5, y - high * 0.6, x + half * 1.7, y + high * 0.6),
        outline=body,
        width=edge // 28,
    )
    pen.rectangle((x - half, y - high, x + half, y + high), fill=body)
    for level in (-0.45, 0.25):
        top = y + level * high
        pen.rectangle((x - half, top, x + half, top + 0.25 * high), fill=stripe)
    pen.ellipse((x - half, y - high * 1.18, x + half, y - high * 0.82), fill="#4a2b20")
    if scene == 7:
        pen.polygon(((x - half, y - high), (x + half, y - high), (x, y - 1.9 * high)), fill="red")
    if scene == 8:
        pen.ellipse((x - 2.2 * half, y + 0.2 * high, x - 1.2 * half, y + high), fill="blue")
    if scene == 9:
        picture = picture.convert("L").convert("RGB")
    pixels = np.asarray(picture.resize((size, size), Image.Resampling.LANCZOS), dtype=np.float64)
    noisy = pixels + rng.normal(0, 5, pixels.shape)
    return Image.fromarray(noisy.clip(0, 255).astype(np.uint8))


def save(file: Path, picture: Image.Image) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    picture.save(file)
