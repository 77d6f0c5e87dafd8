"""The original study's conclusions, held against measures with intervals over concepts."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

LEVEL = 0.05


@dataclass(frozen=True)
class Claim:
    """That `method` is the best by each of `measures`."""

    text: str
    method: str
    measures: tuple[str, ...]


CLAIMS = (
    Claim(
        "DreamBooth reproduces the object best",
        "dreambooth",
        ("clip_image", "fid_image", "dino", "kid_image", "right_toy_basic", "right_toy"),
    ),
    Claim(
        "LoRA puts the object into complex settings best",
        "lora",
        ("clip_prompt", "fid_prompt", "clip_t", "kid_prompt", "right_scene", "right_both"),
    ),
)


def judge_claims(measures: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Per claim and measure: "holds", "fails" or "not separated".

    A claim holds by a measure where the method is ahead of every other one with p < LEVEL (Holm
    over the pairs of that measure), and fails where another one is ahead of it with such a p.
    """
    return [
        {
            "claim": claim.text,
            "by_measure": {name: _judge(claim.method, measures[name]) for name in claim.measures},
        }
        for claim in CLAIMS
    ]


def _judge(method: str, measure: Mapping[str, Any]) -> str:
    sign = 1 if measure["higher_is_better"] else -1
    wins = losses = pairs = 0
    for pair in measure["differences"]:
        if method not in (pair["a"], pair["b"]):
            continue
        pairs += 1
        ahead = sign * pair["value"] * (1 if pair["a"] == method else -1) > 0
        sure = pair["p_holm"] < LEVEL
        wins += sure and ahead
        losses += sure and not ahead
    if losses:
        return "fails"
    return "holds" if pairs and wins == pairs else "not separated"
