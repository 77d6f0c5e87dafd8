"""A made-up study folder as `pseudoword study` leaves it, with drawn pictures and plausible scores.

Run as a program it writes one to look at: python tests/synthetic_study.py FOLDER
"""

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from synthetic_pictures import draw, save
from synthetic_results import Arm, complete, image_scores

from pseudoword.metrics.design import BASE, Evidence, MethodInfo, Prompt, SetFeatures
from pseudoword.metrics.given import given_rows
from pseudoword.metrics.summary import summarise
from pseudoword.metrics.tables import write_table
from pseudoword.prompts import SUITES
from pseudoword.runs import write_atomic, write_json

TOYBOX_PROMPTS = tuple(Prompt(p.id, p.template, p.kind) for p in SUITES["toybox"])
IDENTITY = "ef" * 32
_METRICS = ("dino", "dino_train", "clip_i", "clip_i_train", "clip_t")


@dataclass(frozen=True)
class Kind:
    """A method of the study: its name for people, its words, its scores and its costs."""

    title: str
    phrase: str
    dino: float
    clip_t: float
    steps: int
    cost: dict[str, float | None]


def _known(kind: Kind) -> dict[str, Any]:
    """What results.json keeps of a given artefact."""
    file, _, strength = kind.title.partition(" at ")
    return {
        "title": kind.title,
        "file": f"/home/me/{file}",
        "phrase": kind.phrase,
        "strength": float(strength or 1),
        "sha256": "cd" * 32,
        "bytes": 37_860_000,
    }


def _cost(seconds: float, memory: float | None, parameters: float, size: float) -> dict[str, Any]:
    return {
        "seconds": seconds,
        "peak_memory_bytes": memory,
        "trainable_parameters": parameters,
        "artefact_bytes": size,
    }


KINDS = {
    "textual-inversion": Kind(
        "Textual Inversion", "<toy>", 0.52, 0.285, 900, _cost(210, 1.1e9, 128, 1.4e3)
    ),
    "dreambooth": Kind(
        "DreamBooth", "sks mug", 0.74, 0.262, 300, _cost(340.4, 2.9e9, 9.4e6, 3.8e7)
    ),
    "lora": Kind("LoRA", "sks mug", 0.69, 0.288, 400, _cost(185, 1.6e9, 212_000, 8.6e5)),
    "dora": Kind("DoRA", "sks mug", 0.68, 0.286, 400, _cost(260, None, 220_000, 8.9e5)),
    "loha": Kind("LoHa", "sks mug", 0.61, 0.281, 400, _cost(240, 1.7e9, 212_000, 8.6e5)),
    "lokr": Kind("LoKr", "sks mug", 0.64, 0.284, 400, _cost(233, 1.6e9, 41_000, 1.7e5)),
    "oft": Kind("OFT", "sks mug", 0.66, 0.270, 400, _cost(301, 1.8e9, 98_000, 4e5)),
    "pivotal-tuning": Kind(
        "Pivotal tuning", "<toy>", 0.71, 0.279, 500, _cost(7322, 1.7e9, 212_128, 1e6)
    ),
    "boft": Kind("BOFT", "sks mug", 0.65, 0.274, 400, _cost(411, 1.8e9, 61_000, 2.5e5)),
    "custom-diffusion": Kind(
        "Custom Diffusion", "<toy>", 0.60, 0.289, 300, _cost(199, 1.9e9, 310_000, 1.3e6)
    ),
    "full-fine-tuning": Kind(
        "Full fine-tuning", "sks mug", 0.76, 0.251, 300, _cost(352, 3.4e9, 1.3e7, 5.2e7)
    ),
}
GIVEN = {
    "given-mylora": Kind("mylora.safetensors at 0.8", "ohwx mug", 0.72, 0.271, 0, {}),
    "given-embed": Kind("embed.pt", "<my-mug>", 0.50, 0.283, 0, {}),
}
"""Artefacts that somebody else trained."""
UNTOUCHED = Kind("Untouched model", "mug", 0.40, 0.300, 0, {})


def build_study(
    folder: Path,
    methods: Sequence[str] = ("textual-inversion", "dreambooth", "lora"),
    prompts: Sequence[Prompt] = TOYBOX_PROMPTS,
    seeds: Sequence[int] = (0, 1, 2),
    image_seeds: Sequence[int] = (0, 1),
    size: int = 64,
    held_out: bool = True,
    truth: bool = True,
    class_noun: str = "mug",
    set_metrics: bool = True,
    given: Sequence[str] = (),
) -> Path:
    """Writes the folder; pictures are `size` pixels square. Returns `folder`."""
    arms = {name: KINDS[name] for name in methods}
    photos = _photos(folder, size, held_out)
    others = {name: GIVEN[name] for name in given}
    rows = list(_draw_and_score(folder, arms | others, prompts, seeds, image_seeds, size))
    frame = pd.DataFrame(rows)
    write_table(frame, folder / "scores.parquet", IDENTITY)
    if truth:
        for prompt in prompts:
            for image_seed in image_seeds:
                file = folder / "truth" / f"{prompt.id}-{image_seed}.png"
                save(file, draw(1.0, int(prompt.id), 50 + image_seed, size))
    losses = {name: _write_runs(folder, name, arms[name], seeds) for name in methods}
    evidence = Evidence(
        scores=frame,
        prompts=prompts,
        class_noun=class_noun,
        methods={
            name: MethodInfo(kind.title, kind.cost, losses[name]) for name, kind in arms.items()
        },
        encoders={role: f"toybox-{role}" for role in ("clip", "dino", "inception")},
        ceiling={
            "dino": np.array([0.80, 0.83, 0.78, 0.84, 0.81]),
            "clip_i": np.array([0.88, 0.9, 0.87, 0.91, 0.89]),
        },
        photos_clip_t={prompt.id: 0.2 for prompt in prompts},
        features={"inception": _features(frame, arms | others, prompts)} if set_metrics else {},
    )
    compared = replace(evidence, scores=frame[~frame["method"].isin(others)])
    known = {name: _known(kind) for name, kind in others.items()}
    results = summarise(compared, draws=300)
    results["identity"] = IDENTITY
    results["given"] = given_rows(evidence, known) if known else []
    made_up = {name: Arm(kind.dino, kind.clip_t, kind.steps) for name, kind in arms.items()}
    write_json(
        folder / "results.json",
        complete(results, folder, made_up, prompts, seeds, image_seeds, size),
        sealed=True,
    )
    record = _record(arms, prompts, seeds, image_seeds, photos, class_noun)
    write_json(folder / "study.json", record, sealed=True)
    return folder


def _photos(folder: Path, size: int, held_out: bool) -> list[dict[str, Any]]:
    records = []
    for index in range(5):
        save(folder / f"photos/{index:02d}.png", draw(1.0, index % 3, 100 + index, size))
        records.append(
            {
                "file": f"photos/{index:02d}.png",
                "name": f"IMG_{2041 + index}.jpg",
                "sha256": f"{index:x}" * 64,
                "width": size,
                "height": size,
                "original_width": 2048,
                "original_height": 1536,
                "held_out": held_out and index == 3,
                "notes": ["rotated as its EXIF tag says"] if index == 1 else [],
            }
        )
    return records


def _draw_and_score(
    folder: Path,
    arms: dict[str, Kind],
    prompts: Sequence[Prompt],
    seeds: Sequence[int],
    image_seeds: Sequence[int],
    size: int,
) -> Iterator[dict[str, Any]]:
    for name, kind in {BASE: UNTOUCHED, **arms}.items():
        for seed in [-1] if name in (BASE, *GIVEN) else seeds:
            luck = np.random.default_rng([seed + 1, *name.encode()]).normal(0, 0.012)
            run = {BASE: "base-model", **{n: n for n in GIVEN}}.get(name, f"{name}-s{seed}")
            for prompt in prompts:
                scene = int(prompt.id)
                hard = np.random.default_rng([scene]).normal(0, 0.02)
                hard -= 0.12 if prompt.kind == "style" else 0.0
                for image_seed in image_seeds:
                    rng = np.random.default_rng([seed + 1, scene, image_seed, *name.encode()])
                    noise = rng.normal(0, 0.03)
                    dino = kind.dino + luck + hard + noise
                    file = f"runs/{run}/images/{prompt.id}-{image_seed}.png"
                    likeness = float(np.clip((dino - 0.4) / 0.4, 0, 1))
                    save(folder / file, draw(likeness, scene, image_seed, size))
                    clip_t = kind.clip_t + 0.2 * luck + 0.1 * noise
                    values = (dino, dino + 0.04, dino * 0.5 + 0.5, dino * 0.5 + 0.53, clip_t)
                    scores = dict(zip(_METRICS, values, strict=True))
                    scores |= image_scores(dino, clip_t, prompt.kind)
                    for metric, value in scores.items():
                        yield {
                            "method": name,
                            "seed": seed,
                            "prompt_id": prompt.id,
                            "prompt": prompt.template,
                            "kind": prompt.kind,
                            "image_seed": image_seed,
                            "file": file,
                            "metric": metric,
                            "value": float(value),
                        }


def _features(frame: pd.DataFrame, arms: dict[str, Kind], prompts: Sequence[Prompt]) -> SetFeatures:
    images = {}
    for number, (name, kind) in enumerate({BASE: UNTOUCHED, **arms}.items()):
        chosen = frame[(frame["method"] == name) & (frame["metric"] == "dino")]
        rng = np.random.default_rng([47, number])
        vectors = rng.normal(1.0 - kind.dino, 1.0, (len(chosen), 16))
        images[name] = (chosen.reset_index(drop=True), vectors)
    rng = np.random.default_rng(48)
    edit = {p.id: rng.normal(size=(2, 16)) for p in prompts if p.kind != "basic"}
    return SetFeatures(images, rng.normal(size=(5, 16)), edit, "truth")


def _write_runs(
    folder: Path, name: str, kind: Kind, seeds: Sequence[int]
) -> dict[int, float | None]:
    last: dict[int, float | None] = {}
    for seed in seeds:
        rng = np.random.default_rng([7, seed, *name.encode()])
        steps = np.arange(10, kind.steps + 1, 10)
        losses = 0.1 + 0.12 * np.exp(-steps / 120) + 0.02 * rng.normal(size=len(steps))
        run = folder / "runs" / f"{name}-s{seed}"
        lines = [
            json.dumps({"step": int(step), "loss": float(loss), "seconds": 0.2 * int(step)})
            for step, loss in zip(steps, losses, strict=True)
        ]
        write_atomic(run / "log.jsonl", "\n".join(lines) + "\n")
        write_json(
            run / "run.json",
            {
                "method": name,
                "title": kind.title,
                "seed": seed,
                "noun_phrase": kind.phrase,
                "settings": {"learning_rate": 1e-4},
                "steps": kind.steps,
                "cost": kind.cost,
                "snapshots": [kind.steps // 3, 2 * kind.steps // 3, kind.steps],
            },
            sealed=True,
        )
        write_atomic(run / "done", "")
        last[seed] = float(losses[-1])
    return last


def _record(
    arms: dict[str, Kind],
    prompts: Sequence[Prompt],
    seeds: Sequence[int],
    image_seeds: Sequence[int],
    photos: list[dict[str, Any]],
    class_noun: str,
) -> dict[str, Any]:
    encoders = {
        role: {
            "name": f"toybox-{role}",
            "sha256": f"{number}c" * 32,
            "preprocessing": "64 px bicubic",
        }
        for number, role in enumerate(("clip", "dino", "inception"))
    }
    return {
        "pseudoword": "0.1.0",
        "identity": IDENTITY,
        "created": "2026-11-24T09:30:00+00:00",
        "class_noun": class_noun,
        "model": "toybox",
        "effort": "quick",
        "settings": {
            "effort": "quick",
            "training": {"batch_size": 4, "prior_preservation": True, "scheduler": None},
            "methods": list(arms),
        },
        "versions": {"python": "3.11.2", "torch": "2.13.0", "diffusers": "0.42.1"},
        "weights": {"toybox": "ab" * 32},
        "photos": photos,
        "notes": ["ignored ._IMG_2041.jpg: a hidden file"],
        "warnings": ["IMG_2043.jpg is blurred: methods learn the blur as well."],
        "prompts": [
            {"id": prompt.id, "template": prompt.template, "kind": prompt.kind}
            for prompt in prompts
        ],
        "image_seeds": list(image_seeds),
        "methods": [
            {
                "name": name,
                "file": None,
                "title": kind.title,
                "settings": {"learning_rate": 1e-4, "rank": 8},
            }
            for name, kind in arms.items()
        ],
        "seeds": list(seeds),
        "encoders": encoders,
        "held_out": any(photo["held_out"] for photo in photos),
    }


if __name__ == "__main__":
    build_study(Path(sys.argv[1]), given=list(GIVEN))
