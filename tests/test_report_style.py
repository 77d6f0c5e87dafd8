"""The report's colours against WCAG 2.2, level AA."""

import re
from importlib import resources

import numpy as np
import pytest

STYLE = resources.files("pseudoword.report").joinpath("page", "style.css").read_text("utf-8")
TEXTS = {
    "paper": ("ink", "soft", "accent", "caution-edge"),
    "raised": ("ink", "soft", "accent"),
    "faint": ("ink", "soft", "accent"),
    "caution": ("ink", "caution-edge"),
    "ink": ("paper",),
}
"""Colours of text by what they stand on."""


def colours(scheme: str) -> dict[str, str]:
    blocks = re.findall(r":root \{(.*?)\}", STYLE, re.DOTALL)
    found: dict[str, str] = {}
    for block in blocks[: 1 if scheme == "light" else 2]:
        found |= dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", block))
    return found


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_contrast(scheme: str) -> None:
    known = colours(scheme)
    for ground, texts in TEXTS.items():
        for text in texts:
            assert contrast(known[text], known[ground]) >= 4.5, (text, ground)
    deepest = mix(known["heat"], known["paper"], 0.6)
    assert contrast(known["ink"], deepest) >= 4.5


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_what_carries_meaning_has_contrast(scheme: str) -> None:
    """Focus, edges of marks and controls: 3 to 1. Marks have their shape's edge in ink."""
    known = colours(scheme)
    for edge in ("accent", "soft", "ink", "caution-edge"):
        for ground in ("paper", "raised", "faint"):
            assert contrast(known[edge], known[ground]) >= 3, (edge, ground)
    assert re.search(r"\.mark \{[^}]*stroke: var\(--ink\)", STYLE)


def test_every_colour_is_a_named_one() -> None:
    """So that the pairs above are all there are."""
    rules = re.sub(r":root \{.*?\}", "", STYLE, flags=re.DOTALL)
    assert not re.findall(r"#[0-9a-f]{3,6}\b", re.sub(r"#[a-z-]+[ ,{.:>\[]", "", rules))


def mix(one: str, other: str, share: float) -> str:
    channels = zip(rgb(one), rgb(other), strict=True)
    return "#" + "".join(f"{round(share * a + (1 - share) * b):02x}" for a, b in channels)


def rgb(colour: str) -> list[int]:
    return [int(colour[start : start + 2], 16) for start in (1, 3, 5)]


def contrast(one: str, other: str) -> float:
    """WCAG 2.2, "contrast ratio" and "relative luminance"."""

    def luminance(colour: str) -> float:
        parts = [value / 255 for value in rgb(colour)]
        linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in parts]
        return float(np.dot(linear, (0.2126, 0.7152, 0.0722)))

    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)
