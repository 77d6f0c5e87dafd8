"""What only a study of a toy can know: is it the right toy, in the right scene?"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from pseudoword.evaluate import open_picture
from pseudoword.metrics.design import TRUTH_METRICS
from pseudoword.metrics.distances import cosine_matrix, leave_one_out_cosine
from pseudoword.prompts import Prompt
from pseudoword.runs import file_sha256
from pseudoword.toybox.oracle import (
    BATCH_SIZE,
    WEIGHTS,
    Oracle,
    content,
    fit_of,
    load_oracle,
    look,
    read_attributes,
)
from pseudoword.toybox.photos import SIZE
from pseudoword.toybox.pixels import as_pixels
from pseudoword.toybox.world.grammar import Edits, edit_toy, parse_prompt
from pseudoword.toybox.world.lineup import lineup
from pseudoword.toybox.world.scene import Toy

ORACLE_NAME = "toybox-oracle"
TRUTH = "truth"
"""Where a study of a toy keeps true renders of what its prompts ask for."""
FEWEST = 8
"""Renders of a prompt."""


@dataclass(frozen=True, eq=False)
class Truth:
    """What each prompt of a study asks for, by the prompt's id: the words of a scene, the toy
    (the first of its line-up), and true renders of both as vectors."""

    oracle: Oracle
    asked: Mapping[str, Mapping[str, str]]
    lineups: Mapping[str, Sequence[Toy]]
    renders: Mapping[str, np.ndarray]

    def embed(self, pictures: Sequence[Image.Image]) -> np.ndarray:
        """The oracle's features (n, d)."""
        starts = range(0, len(pictures), BATCH_SIZE)
        batches = (as_pixels(pictures[start : start + BATCH_SIZE]) for start in starts)
        return np.concatenate([look(self.oracle, pixels) for pixels in batches])

    def score(self, vectors: np.ndarray, prompt_ids: Sequence[str]) -> dict[str, np.ndarray]:
        """Every truth per picture as (n,): right (1) or wrong (0), shares, likeness to renders."""
        scores = {name: np.zeros(len(vectors)) for name in TRUTH_METRICS}
        ids = np.array(prompt_ids)
        for prompt_id in dict.fromkeys(prompt_ids):
            rows = np.flatnonzero(ids == prompt_id)
            found = self._judge(vectors[rows], prompt_id)
            likeness = cosine_matrix(content(vectors[rows]), content(self.renders[prompt_id]))
            found["truth_likeness"] = likeness.mean(axis=1)
            for name, values in found.items():
                scores[name][rows] = values
        return scores

    def ceiling(self) -> dict[str, np.ndarray]:
        """What the true renders themselves score; their likeness is that to each other."""
        parts: list[dict[str, np.ndarray]] = []
        for prompt_id, vectors in self.renders.items():
            found = self._judge(vectors, prompt_id)
            found["truth_likeness"] = leave_one_out_cosine(content(vectors))
            parts.append(found)
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def _judge(self, vectors: np.ndarray, prompt_id: str) -> dict[str, np.ndarray]:
        words = read_attributes(self.oracle, vectors)
        seen = [np.array(words[name]) == word for name, word in self.asked[prompt_id].items()]
        fits = fit_of(self.oracle, vectors, self.lineups[prompt_id])
        right_toy = fits.argmax(axis=1) == 0
        right_scene = np.all(seen, axis=0)
        return {
            "right_toy": right_toy.astype(np.float64),
            "right_scene": right_scene.astype(np.float64),
            "right_both": (right_toy & right_scene).astype(np.float64),
            "doubles_beaten": (fits[:, 1:] < fits[:, :1]).mean(axis=1),
        }


def asked_words(edits: Edits) -> dict[str, str]:
    """The words that a right picture shows, by attribute."""
    # What a prompt does not ask for is not in its true renders either; but any setting will do.
    asked = {
        "style": edits.style or "photo",
        "hat": edits.hat or "none",
        "neighbour": edits.neighbour or "none",
    }
    for name in ("setting", "colour", "pattern"):
        word = getattr(edits, name)
        if word is not None:
            asked[name] = word
    return asked


def outside_language(prompts: Sequence[Prompt], toy: Toy) -> Prompt | None:
    """The first prompt that asks for something the renderer cannot draw, or None."""
    for prompt in prompts:
        try:
            parse_prompt(prompt.template, toy.class_noun)
        except ValueError:
            return prompt
    return None


def renders(prompts: Sequence[Prompt], toy: Toy | None, pictures: int) -> dict[Prompt, list[str]]:
    """The files of the true renders of each prompt that the renderer can draw; none without a toy.

    There are as many as a run has `pictures` of a prompt, and no fewer than `FEWEST`.
    """
    if toy is None:
        return {}
    return {
        prompt: [f"{prompt.id}-{index}.png" for index in range(max(FEWEST, pictures))]
        for prompt in prompts
        if outside_language([prompt], toy) is None
    }


def load_truth(toy: Toy, prompts: Sequence[Prompt], folder: Path, weights: Path = WEIGHTS) -> Truth:
    """The truth of `prompts`, whose renders lie in `folder` as <id>-<number>.png."""
    oracle = load_oracle(weights)
    asked, lineups, renders = {}, {}, {}
    for prompt in prompts:
        edits = parse_prompt(prompt.template, toy.class_noun)
        asked[prompt.id] = asked_words(edits)
        lineups[prompt.id] = lineup(edit_toy(toy, edits))
        pictures = [open_picture(path) for path in sorted(folder.glob(f"{prompt.id}-*.png"))]
        renders[prompt.id] = look(oracle, as_pixels(pictures))
    return Truth(oracle, asked, lineups, renders)


def oracle_record(weights: Path = WEIGHTS) -> dict[str, Any]:
    """What study.json keeps of the oracle."""
    return {
        "name": ORACLE_NAME,
        "sha256": file_sha256(weights),
        "preprocessing": f"RGB, bicubic to {SIZE} x {SIZE} px",
    }
