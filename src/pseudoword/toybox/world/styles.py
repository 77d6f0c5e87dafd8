"""Styles as post-processing: photo, pencil sketch, oil painting, pixel art."""

import numpy as np

from pseudoword.toybox.world.compiled import jit


def apply_style(colour: np.ndarray, material: np.ndarray, style: str) -> np.ndarray:
    """Float colours (h, w, 3) in [0, 1] and materials (h, w) => uint8 (h, w, 3)."""
    drawn = STYLE_FUNCTIONS[style](colour.astype(np.float64), material)
    return (np.clip(drawn, 0, 1) * 255 + 0.5).astype(np.uint8)


def _photo(colour: np.ndarray, material: np.ndarray) -> np.ndarray:
    return colour


def _sketch(colour: np.ndarray, material: np.ndarray) -> np.ndarray:
    """Dark lines where brightness or material changes, hatching in the dark, faint colour."""
    grey = colour.mean(axis=2)
    scale = max(1, len(grey) // 64)
    across = np.abs(np.roll(grey, -scale, 1) - grey) + np.abs(np.roll(grey, -scale, 0) - grey)
    other = (np.roll(material, -scale, 1) != material) | (np.roll(material, -scale, 0) != material)
    lines = np.clip(across * 2.2 + 0.75 * other, 0, 0.9)
    lines[-scale:], lines[:, -scale:] = 0, 0
    rows, columns = np.indices(grey.shape) // scale
    hatch = ((rows + columns) % 4 == 0) * np.clip(0.55 - grey, 0, 0.4) * 0.8
    paper = np.array([0.97, 0.96, 0.92])
    toy = (material < 5)[..., None]
    strength = np.where(toy, 0.6, 0.15)
    tint = paper * (1 - strength) + (colour * 0.8 + 0.2) * strength
    drawn: np.ndarray = tint * (1 - np.maximum(lines, hatch)[..., None])
    return drawn


def _oil(colour: np.ndarray, material: np.ndarray) -> np.ndarray:
    """Kuwahara filter (mean of the calmest quadrant) and a push of the colours."""
    radius = max(2, len(colour) // 28)
    painted = _kuwahara(colour, radius)
    grey = painted.mean(axis=2, keepdims=True)
    drawn: np.ndarray = grey + (painted - grey) * 1.25
    return drawn


@jit
def _kuwahara(colour, radius):
    h, w, _ = colour.shape
    out = np.empty_like(colour)
    for y in range(h):
        for x in range(w):
            best = 1e9
            for quadrant in range(4):
                y0 = y - radius if quadrant < 2 else y
                x0 = x - radius if quadrant % 2 == 0 else x
                n, s0, s1, s2, g1, g2 = 0, 0.0, 0.0, 0.0, 0.0, 0.0
                for j in range(max(y0, 0), min(y0 + radius, h - 1) + 1):
                    for i in range(max(x0, 0), min(x0 + radius, w - 1) + 1):
                        a, b, c = colour[j, i, 0], colour[j, i, 1], colour[j, i, 2]
                        g = a + b + c
                        n, s0, s1, s2 = n + 1, s0 + a, s1 + b, s2 + c
                        g1, g2 = g1 + g, g2 + g * g
                spread = g2 / n - (g1 / n) ** 2
                if spread < best - 1e-12:
                    best = spread
                    out[y, x, 0], out[y, x, 1], out[y, x, 2] = s0 / n, s1 / n, s2 / n
    return out


def _pixel(colour: np.ndarray, material: np.ndarray) -> np.ndarray:
    """Thirty-two blocks along a side, each its mean colour in four levels a channel."""
    block = max(1, len(colour) // 32)
    h, w = (side // block * block for side in colour.shape[:2])
    blocks = colour[:h, :w].reshape(h // block, block, w // block, block, 3).mean(axis=(1, 3))
    blocks = np.round(blocks * 3) / 3
    drawn = colour.copy()
    drawn[:h, :w] = blocks.repeat(block, 0).repeat(block, 1)
    return drawn


STYLE_FUNCTIONS = {"photo": _photo, "sketch": _sketch, "oil": _oil, "pixel": _pixel}
