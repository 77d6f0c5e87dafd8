"""What results.json says beside the scores that `summarise` makes, put down by hand.

Whatever `summarise` says already stays: these are plausible values for all that other parts of a
study measure, with the pictures that belong to them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from synthetic_pictures import draw, save

from pseudoword.metrics.design import BASE, Prompt

LIMIT = 0.86
"""Likeness from which a picture counts as a copy."""
DRIFT_PROMPTS = (
    {"id": "c0", "template": "a photo of a {}", "kind": "class", "text": "a photo of a mug"},
    {"id": "c1", "template": "a {} on a table", "kind": "class", "text": "a mug on a table"},
    {"id": "o0", "template": "a photo of a dog", "kind": "other", "text": "a photo of a dog"},
)
VALIDATION = ("a photo of a {}", "a photo of a {} in a city")

_ROWS: dict[str, tuple[str, str, bool, str, int, str]] = {
    "clip_dir": ("Directional CLIP", "prompt fidelity", True, "cosine", 1, "clip"),
    "nearest": ("Nearest training photo", "learning by heart", False, "cosine", 1, "dino"),
    "copied": ("Copied", "learning by heart", False, "share", 1, "dino"),
    "diversity": ("Diversity", "diversity within a prompt", True, "1 - cosine", 2, "dino"),
    "lpips": ("Perceptual diversity", "diversity within a prompt", True, "distance", 2, "dino"),
    "vendi": ("Vendi score", "diversity, all prompts", True, "pictures", 2, "dino"),
    "cmmd_basic": ("CMMD, plain prompt", "distance to the photos", False, "x1000", 2, "clip"),
    "fd_dino_basic": (
        "FD in DINO's features, plain prompt",
        "distance to the photos",
        False,
        "squared distance",
        2,
        "dino",
    ),
    "scd_basic": ("SCD, plain prompt", "distance to the photos", False, "squared", 2, "dino"),
    "pres": ("Class noun's likeness (PRES)", "forgetting", False, "cosine", 1, "dino"),
    "drift": ("Drift", "forgetting", False, "(1 - cosine) / 2", 1, "dino"),
}


@dataclass(frozen=True)
class Arm:
    """A method as the made-up results see it: its scores and how many steps it trains."""

    dino: float
    clip_t: float
    steps: int


def image_scores(dino: float, clip_t: float, kind: str) -> dict[str, float]:
    """What is measured of one picture beside its likeness and adherence."""
    nearest = dino + 0.09
    found = {"nearest": nearest, "copied": float(nearest > LIMIT)}
    return found | ({} if kind == "basic" else {"clip_dir": clip_t - 0.1})


def complete(
    results: dict[str, Any],
    folder: Path,
    arms: Mapping[str, Arm],
    prompts: Sequence[Prompt],
    seeds: Sequence[int],
    image_seeds: Sequence[int],
    size: int,
) -> dict[str, Any]:
    """`results` with all that is not in it yet."""
    for name, row in results["metrics"].items():
        row |= {"unit": row.get("unit", "cosine"), "smallest_n": row.get("smallest_n", 1)}
        row.setdefault("source", name)
    for name, row in _ROWS.items():
        results["metrics"].setdefault(name, _metric(*row))
    _scores(results["base_model"], 0.40, 0.30, True, prompts)
    for name, arm in arms.items():
        _scores(results["methods"][name], arm.dino, arm.clip_t, False, prompts)
        results["methods"][name].setdefault("flags", _flags(name))
    for row in results["differences"]:
        alone = row["b"] == BASE
        clear = row["low"] is not None and row["low"] * row["high"] > 0
        row.setdefault("p", None if row["low"] is None else 0.004 if clear else 0.21)
        row.setdefault("p_holm", None if alone or row["p"] is None else min(1.0, 3 * row["p"]))
    for name, row in results["normalised"].items():
        row.setdefault("overall", {"value": None, "low": None, "high": None})
        row["overall"].setdefault("value", arms[name].dino)
    for key, value in {
        "comparisons": _comparisons(results, list(arms)),
        "pareto": _pareto(results),
        "discrimination": _discrimination(),
        "power": _power(list(arms)),
        "selection": {name: _selection(arm) for name, arm in arms.items()},
        "copying": _copying(arms, prompts, seeds, image_seeds),
        "drift": {"prompts": [*DRIFT_PROMPTS], "image_seeds": [0, 1]},
        "failures": [],
    }.items():
        results[key] = results.get(key) or value
    results["verdict"] = {"likeness": None, "scenes": None} | results["verdict"]
    _draw_drift(folder, arms, seeds, size)
    _draw_validation(folder, arms, seeds[0], size)
    return results


def _metric(
    title: str, about: str, higher: bool, unit: str, smallest: int, encoder: str
) -> dict[str, Any]:
    return {
        "title": title,
        "about": about,
        "higher_is_better": higher,
        "unit": unit,
        "smallest_n": smallest,
        "explanation": f"What “{title}” means, in plain words and two lines, so that somebody who "
        "knows no statistics can tell what to make of it.",
        "formula": "mean of cos(picture, photo)",
        "bias": "none",
        "source": "Somebody et al., arXiv 2101.00001, section 2",
        "encoder": f"toybox-{encoder}",
    }


def _estimate(value: float, n: int = 20, half: float = 0.02, **more: Any) -> dict[str, Any]:
    return {"value": value, "low": value - half, "high": value + half, "n": n, **more}


def _scores(
    row: dict[str, Any], dino: float, clip_t: float, base: bool, prompts: Sequence[Prompt]
) -> None:
    scores, by_kind = row["scores"], row["by_kind"]
    variety = 1.0 - dino
    rank = {"n_reference": 5, "covariance_rank": 4}
    few = {**rank, "warning": "FD is biased below 2048 pictures a side, and here are 6 and 5."}
    # How many pictures a set has differs, and with it what may be compared.
    for name, value in {
        "nearest": _estimate(dino + 0.09),
        "copied": _estimate(max(0.0, dino - 0.7) * 3),
        "clip_dir": _estimate(clip_t - 0.1),
        "diversity": _estimate(variety),
        "lpips": _estimate(0.8 * variety),
        "vendi": _estimate(1 + 9 * variety, half=0.6),
        "cmmd_basic": _estimate(3 * variety, 6, 0.4, **rank),
        "fd_dino_basic": _estimate(90 * variety, 6, 9.0, **few),
        "scd_basic": _estimate(variety - 0.2, 6, 0.05, **rank),
        "pres": _estimate(0.4 if base else 0.38 + 0.3 * (dino - 0.4), 12),
        "drift": None if base else _estimate((dino - 0.4) / 3, 18, kinds={"class": 0.2}),
    }.items():
        if value is not None:
            scores.setdefault(name, value)
    for prompt in prompts:
        kind = by_kind.setdefault(prompt.kind, {})
        for name in ("nearest", "copied") + (() if prompt.kind == "basic" else ("clip_dir",)):
            kind.setdefault(name, dict(scores[name]))


def _flags(name: str) -> list[dict[str, str]]:
    return {
        "dreambooth": [
            {
                "kind": "copying",
                "title": "It draws the photos again",
                "text": "14 % of its pictures are nearer to a training photo than any two of the "
                "photos are to each other.",
                "remedy": "Train it for fewer steps (`--set dreambooth.steps=200`) or give photos "
                "with more variety.",
            }
        ],
        "textual-inversion": [
            {
                "kind": "undertrained",
                "title": "It may not be trained to its end",
                "text": "Its likeness was still rising at the last checkpoint.",
                "remedy": "Train it for longer: `--effort standard`.",
            }
        ],
    }.get(name, [])


def _comparisons(results: Mapping[str, Any], names: Sequence[str]) -> list[dict[str, Any]]:
    rows = []
    for pair in combinations(names, 2):
        known = [results["normalised"][name]["overall"]["value"] or 0.0 for name in pair]
        a, b = pair if known[0] >= known[1] else pair[::-1]
        value = abs(known[0] - known[1])
        p = max(0.0004, min(1.0, np.exp(-30 * value)))
        p_holm = min(1.0, p * len(names))
        ahead = min(0.99, 0.5 + value)
        rows.append(
            {"a": a, "b": b, **_estimate(value, half=0.09), "p": p, "p_holm": p_holm}
            | {"p_improvement": ahead}
        )
    return rows


def _pareto(results: Mapping[str, Any]) -> dict[str, Any]:
    places = {
        name: (row["fidelity"]["value"], row["adherence"]["value"])
        for name, row in results["normalised"].items()
    }
    front = {
        name: None not in place
        and not any(
            None not in other and other != place and other[0] >= place[0] and other[1] >= place[1]
            for other in places.values()
        )
        for name, place in places.items()
    }
    return {name: {"front": on, "p_front": 0.93 if on else 0.07} for name, on in front.items()}


def _discrimination() -> dict[str, Any]:
    return {
        "value": 0.97,
        "low": 0.9,
        "high": 1.0,
        "n_photos": 5,
        "n_pictures": 20,
        "tells": True,
        "text": "DINO tells this mug from other mugs: in 97 % of pairs, a photo of it is more like "
        "the other photos than a picture of any mug is.",
    }


def _power(names: Sequence[str]) -> dict[str, Any] | None:
    if len(names) < 2:
        return None
    return {
        "a": names[-1],
        "b": names[-2],
        "same": False,
        "seeds": 5,
        "prompts": None,
        "together": None,
    }


def _selection(arm: Arm) -> dict[str, Any]:
    """Three checkpoints at full strength, and two other strengths of the chosen one."""
    steps = [arm.steps // 3, 2 * arm.steps // 3, arm.steps]
    chosen = steps[1] if arm.dino > 0.7 else steps[2]
    rows = [(step, 1.0) for step in steps] + [(chosen, 0.5), (chosen, 0.75)]
    candidates = []
    for step, strength in rows:
        fidelity = (arm.dino - 0.4) / 0.42 * strength * (1 - np.exp(-3 * step / arm.steps))
        adherence = 1 - (0.3 - arm.clip_t) * 9 * strength * (step / arm.steps) ** 2
        candidates.append(
            {
                "step": step,
                "strength": strength,
                "fidelity": _estimate(fidelity, half=0.07),
                "adherence": _estimate(adherence, half=0.05),
                "overall": _estimate(fidelity * adherence, half=0.08),
                "chosen": (step, strength) == (chosen, 1.0),
            }
        )
    return {
        "checkpoint": chosen,
        "strength": 1.0,
        "prompts": list(VALIDATION),
        "image_seeds": [100, 101],
        "candidates": candidates,
        "losses": [
            {
                "step": step,
                "held_out": _estimate(0.95 + 0.1 * step / arm.steps, half=0.02),
                "training": _estimate(1 - 0.2 * step / arm.steps, half=0.02),
            }
            for step in steps
        ],
        "problem": None,
    }


def _copying(
    arms: Mapping[str, Arm],
    prompts: Sequence[Prompt],
    seeds: Sequence[int],
    image_seeds: Sequence[int],
) -> dict[str, Any]:
    found = {}
    for name, dino in {BASE: 0.40, **{name: arm.dino for name, arm in arms.items()}}.items():
        pairs = [
            {
                "seed": -1 if name == BASE else seeds[0],
                "prompt_id": prompt.id,
                "image_seed": image_seeds[0],
                "photo": f"photos/{index:02d}.png",
                "value": dino + 0.18 - 0.02 * index,
            }
            for index, prompt in enumerate(prompts[:3])
        ]
        found[name] = {"limit": LIMIT, "pairs": pairs}
    return found


def _draw_drift(folder: Path, arms: Mapping[str, Arm], seeds: Sequence[int], size: int) -> None:
    runs = {"base-model": 0.0} | {
        f"{name}-s{seed}": (arm.dino - 0.4) for name, arm in arms.items() for seed in seeds
    }
    for run, likeness in runs.items():
        for scene, prompt in enumerate(DRIFT_PROMPTS):
            for image_seed in (0, 1):
                file = folder / f"runs/{run}/drift/{prompt['id']}-{image_seed}.png"
                save(file, draw(likeness, scene, 30 + image_seed, size))


def _draw_validation(folder: Path, arms: Mapping[str, Arm], seed: int, size: int) -> None:
    for name, arm in arms.items():
        for row in _selection(arm)["candidates"]:
            at = "" if row["strength"] == 1 else f"-x{row['strength']:g}"
            images = folder / f"runs/{name}-s{seed}/validation/{row['step']}{at}/images"
            for scene in range(len(VALIDATION)):
                picture = draw(max(0.0, row["fidelity"]["value"]), 4 * scene, 100, size)
                save(images / f"v{scene}-100.png", picture)
