"""Styles other than the photo, as filters on a finished picture; lengths scale with its side."""

import math

import numpy as np

from pseudoword.toybox.world.compiled import compiled, entry_point
from pseudoword.toybox.world.pattern import step_up

GRID = 64
"""Lengths below are in pixels of a picture of this side; `mask` is the share of each pixel that
toy, hat and neighbour have."""


@compiled
def _grey(image: np.ndarray) -> np.ndarray:
    n = image.shape[0]
    out = np.empty((n, n))
    for i in range(n):
        for j in range(n):
            r, g, b = image[i, j]
            out[i, j] = 0.3 * r + 0.59 * g + 0.11 * b
    return out


@entry_point
def pencil_sketch(image: np.ndarray, mask: np.ndarray, seed: int) -> np.ndarray:
    """Outlines and two layers of hatching on paper; about 40 % of the colour shows through."""
    n = image.shape[0]
    s = max(n // GRID, 1)
    grey = _grey(image)
    out = np.empty_like(image)
    unit = 2 * math.pi * GRID / (n * 4.0)
    for i in range(n):
        for j in range(n):
            up, down = max(i - s, 0), min(i + s, n - 1)
            left, right = max(j - s, 0), min(j + s, n - 1)
            edge = 0.0
            for c in range(3):
                dy = image[down, j, c] - image[up, j, c]
                dx = image[i, right, c] - image[i, left, c]
                edge = max(edge, dx * dx + dy * dy)
            # The toy is drawn firmly, its outline most of all; what is around it lightly.
            dy, dx = mask[down, j] - mask[up, j], mask[i, right] - mask[i, left]
            outline = step_up(0.55, 0.5, math.sqrt(dx * dx + dy * dy))
            firm = 0.3 + 0.4 * mask[i, j]
            line = max(firm * step_up(0.3, 0.4, math.sqrt(edge)), 0.95 * outline)
            tone = grey[i, j]
            hatch = 0.5 + 0.5 * math.sin((i + j) * unit + seed % 7)
            cross = 0.5 + 0.5 * math.sin((i - j) * unit * 1.1)
            dark = (0.14 + 0.12 * mask[i, j]) * hatch * step_up(0.0, 0.5, 0.55 - tone)
            dark += (0.08 + 0.17 * mask[i, j]) * cross * step_up(0.0, 0.3, 0.28 - tone)
            for c in range(3):
                tint = image[i, j, c] - tone
                paper = (0.97 - 0.02 * c) * (0.84 + 0.16 * tone) + 0.40 * tint
                out[i, j, c] = min(max(paper * (1 - dark) * (1 - 0.9 * line), 0.0), 1.0)
    return out


@entry_point
def oil_painting(image: np.ndarray, mask: np.ndarray, seed: int) -> np.ndarray:
    """The generalised Kuwahara filter (Kuwahara 1976) with saturated colour and canvas grain.

    Each pixel takes the mean of that quadrant of its neighbourhood which varies least.
    """
    n = image.shape[0]
    r = max(2 * n // GRID, 1)
    grey = _grey(image)
    out = np.empty_like(image)
    for i in range(n):
        for j in range(n):
            best, br, bg, bb = 1e9, 0.0, 0.0, 0.0
            for quadrant in range(4):
                i0 = i - r if quadrant < 2 else i
                j0 = j - r if quadrant % 2 == 0 else j
                total = squares = red = green = blue = 0.0
                count = 0
                for k in range(max(i0, 0), min(i0 + r, n - 1) + 1):
                    for m in range(max(j0, 0), min(j0 + r, n - 1) + 1):
                        total += grey[k, m]
                        squares += grey[k, m] ** 2
                        red += image[k, m, 0]
                        green += image[k, m, 1]
                        blue += image[k, m, 2]
                        count += 1
                spread = squares / count - (total / count) ** 2
                if spread < best:
                    best, br, bg, bb = spread, red / count, green / count, blue / count
            mean = (br + bg + bb) / 3
            stroke = math.sin((i * 0.9 + j * 0.5 + 6 * mean * (1 + seed % 3)) * 1.7 * GRID / n)
            lift = 1.0 + 0.045 * stroke
            out[i, j, 0] = min(max((mean + (br - mean) * 1.35) * lift, 0.0), 1.0)
            out[i, j, 1] = min(max((mean + (bg - mean) * 1.35) * lift, 0.0), 1.0)
            out[i, j, 2] = min(max((mean + (bb - mean) * 1.35) * lift, 0.0), 1.0)
    return out


@entry_point
def pixel_art(image: np.ndarray, mask: np.ndarray, seed: int) -> np.ndarray:
    """Square blocks, 16 to a side, in a palette of six levels a channel.

    A block belongs to the toy or to the rest, whichever has more of it, so that outlines are crisp.
    """
    n = image.shape[0]
    blocks = min(16, n)
    out = np.empty_like(image)
    for bi in range(blocks):
        i0, i1 = bi * n // blocks, (bi + 1) * n // blocks
        for bj in range(blocks):
            j0, j1 = bj * n // blocks, (bj + 1) * n // blocks
            toy = mask[i0:i1, j0:j1].mean() >= 0.45
            weights = 1e-3 + (mask[i0:i1, j0:j1] if toy else 1.0 - mask[i0:i1, j0:j1])
            weights /= weights.sum()
            for c in range(3):
                mean = (image[i0:i1, j0:j1, c] * weights).sum()
                value = min(max(0.5 + (mean - 0.5) * 1.1, 0.0), 1.0)
                out[i0:i1, j0:j1, c] = math.floor(value * 5.0 + 0.5) / 5.0
    return out
