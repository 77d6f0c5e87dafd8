"""What a training, a study, a summary and a cache of embeddings keep."""

from pathlib import Path
from typing import Any

import numpy as np
from target import borrowed, picture


def make_run(folder: Path) -> None:
    """A short training, as it lies in a study."""
    from pseudoword.runs import Choice, write_choice

    borrowed("tiny_families").build_sd1(folder / "model", "v_prediction")
    borrowed("tiny").train_tiny(folder / "model", "lora", folder / "run", steps=2, snapshots=2)
    write_choice(folder / "run", Choice(2, "artefact.safetensors", 0.5))


RUN = ("run/artefact.safetensors", "run/run.json", "run/chosen.json")


def read_run(folder: Path, file: Path) -> None:
    import torch

    from pseudoword.artefact import load_run

    model = folder.parent / "whole/run/model"
    load_run(folder / "run", torch.device("cpu"), str(model))


def make_study(folder: Path) -> None:
    studies = borrowed("synthetic_study")
    prompts = studies.TOYBOX_PROMPTS[:3]
    given = ["given-embed"]
    studies.build_study(folder / "study", ["lora", "dora"], prompts, [0, 1], [0], 32, given=given)


STUDY = (
    *("study/study.json", "study/results.json", "study/results.json", "study/scores.parquet"),
    *("study/runs/lora-s0/run.json", "study/runs/lora-s0/log.jsonl"),
    *("study/runs/lora-s0/images/00-0.png", "study/photos/00.png"),
)


def read_study(folder: Path, file: Path) -> None:
    from pseudoword.report.write import write_report

    write_report(folder / "study")


def make_summary(folder: Path) -> None:
    from pseudoword.metrics.concepts import summarise_concepts
    from pseudoword.runs import write_json

    studies = borrowed("synthetic_study")
    folders = {name: folder / name for name in ("a", "b", "c")}
    for name, place in folders.items():
        studies.build_study(
            place, ["lora", "dora"], studies.TOYBOX_PROMPTS[:3], [0, 1], [0], 32, class_noun=name
        )
    found = {"pseudoword": "0", **summarise_concepts(folders), "notes": []}
    write_json(folder / "summary.json", found, sealed=True)


SUMMARY = ("summary.json", "b/results.json", "b/scores.parquet", "b/study.json")


def read_summary(folder: Path, file: Path) -> None:
    from pseudoword.metrics.concepts import summarise_concepts
    from pseudoword.report.across import write_summary

    if file.name == "summary.json":
        write_summary(folder)
    else:
        summarise_concepts({name: folder / name for name in ("a", "b", "c")})


def make_cache(folder: Path) -> None:
    read_cache(folder, folder)


class Means:
    """An encoder in name: a picture's vector is its mean colour."""

    name, sha256, preprocessing = "means", "0", "none"

    def embed_images(self, images: Any) -> np.ndarray:
        return np.array([np.asarray(i).mean((0, 1)) for i in images], np.float32)

    def look(self, images: Any) -> tuple[np.ndarray, np.ndarray]:
        vectors = self.embed_images(images)
        return vectors, vectors.astype(np.float16)


def read_cache(folder: Path, file: Path) -> None:
    from pseudoword.metrics.cache import EmbeddingCache

    cache = EmbeddingCache(folder)
    vectors, _ = cache.look(Means(), [picture(), picture(32, 32)])
    cache.embed(Means(), [picture(33, 33)])
    assert vectors.shape == (2, 3), "vectors of another shape than the encoder's"


def cache_files() -> tuple[str, ...]:
    from pseudoword.metrics.cache import EmbeddingCache
    from pseudoword.metrics.lazily import pixel_hashes
    from pseudoword.metrics.perceptual import RECIPE
    from pseudoword.runs import hash_bytes

    cache = EmbeddingCache(Path())
    both = hash_bytes(*pixel_hashes([picture(), picture(32, 32)]))[:24]
    return tuple(str(cache.path_for(Means(), what)) for what in ("", f"-{RECIPE}-{both}"))
