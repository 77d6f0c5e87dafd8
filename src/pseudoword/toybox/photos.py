"""Photos of a concept toy as files, with its spec, captions and the truth of prompts."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from PIL import Image

from pseudoword.errors import UserError
from pseudoword.runs import (
    atomic_path,
    prepare_folder,
    read_json,
    slug,
    write_atomic,
    write_json,
)

SIZE = 128
UNDER_WAY = "under_way"
"""The entry of a toy.json whose photos are not all there yet."""
SEEDS = 500_000
"""Concept toys from this seed on are kept for training and measuring the judges."""


def render_photo_set(
    seed: int,
    out: Path,
    count: int = 5,
    captions: bool = False,
    prompts: Sequence[str] = (),
    truth_count: int = 4,
) -> list[Path]:
    """Writes photos 00.png ... of concept toy `seed`, and toy.json with its spec.

    `captions` adds a .txt beside each photo. For every prompt of the world's grammar (`{}` is the
    toy) truth/<prompt>/ gets `truth_count` pictures of exactly this toy in that scene.
    """
    from pseudoword.toybox.world.caption import full_caption
    from pseudoword.toybox.world.concepts import concept_toy, photo_scenes
    from pseudoword.toybox.world.render import render_many

    if not 0 <= seed < SEEDS or count < 1:
        raise UserError(f"--seed must be from 0 to {SEEDS - 1} and --count 1 or more.")
    toy = concept_toy(seed)
    truths = [(prompt, _render_truth(toy, prompt, truth_count)) for prompt in prompts]
    prepare_folder(out)
    _refuse_other_pictures(out, seed)
    record = {"class_noun": toy.class_noun, "seed": seed, "toy": asdict(toy)}
    record = json.loads(json.dumps(record))
    # First, so that pictures whose rendering was interrupted are known for this toy's.
    write_json(out / "toy.json", {**record, UNDER_WAY: True})
    scenes = photo_scenes(toy, count, seed)
    files = []
    for index, (scene, picture) in enumerate(zip(scenes, render_many(scenes, SIZE), strict=True)):
        files.append(_save(out / f"{index:02d}.png", picture))
        if captions:
            write_atomic(out / f"{index:02d}.txt", full_caption(scene) + "\n")
    for prompt, pictures in truths:
        folder = out / "truth" / slug(prompt)
        for index, picture in enumerate(pictures):
            _save(folder / f"{index:02d}.png", picture)
    write_json(out / "toy.json", record)
    return files


def _refuse_other_pictures(out: Path, seed: int) -> None:
    """A folder that shows one toy stays so: pictures of another would be taken for it."""
    record = out / "toy.json"
    known = read_json(record) if record.exists() else None
    same = isinstance(known, dict) and known.get("seed") == seed
    if not same and (record.exists() or any(out.glob("*.png"))):
        raise UserError(
            f"--out {out} holds other pictures already: name a folder that is new or empty."
        )


def find_toy(paths: Sequence[Path]) -> Any | None:
    """The toy whose toy.json lies beside the photos, or None."""
    from pseudoword.toybox.world.scene import toy_from_dict

    for path in paths:
        record = (path if path.is_dir() else path.parent) / "toy.json"
        if record.is_file():
            try:
                about = read_json(record)
                if about.get(UNDER_WAY):
                    raise UserError(
                        f"{record}: the rendering of these photos was interrupted:\n"
                        "run the same `pseudoword toybox render` command again."
                    )
                return toy_from_dict(about["toy"])
            except (KeyError, TypeError, ValueError, AttributeError):
                raise UserError(
                    f"{record} is not a toy's spec: remove it, or render it again."
                ) from None
    return None


def true_pictures(toy: Any, prompt: str, count: int) -> list[Any] | None:
    """Renders uint8 (size, size, 3) of what `prompt` asks for, or None outside the grammar."""
    from pseudoword.toybox.world.concepts import true_scenes
    from pseudoword.toybox.world.render import render_many

    try:
        scenes = true_scenes(toy, prompt, count, seed=0)
    except ValueError:
        return None
    return list(render_many(scenes, SIZE))


def _render_truth(toy: Any, prompt: str, count: int) -> list[Any]:
    pictures = true_pictures(toy, prompt, count)
    if pictures is None:
        raise UserError(
            f"--prompt {prompt!r} is not in the toybox's language.\n"
            'Say it like "a photo of a {} wearing a red hat in the snow".'
        )
    return pictures


def _save(path: Path, picture: Any) -> Path:
    with atomic_path(path) as temporary:
        Image.fromarray(picture).save(temporary, format="PNG")
    return path
