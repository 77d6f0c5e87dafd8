"""What training did to prompts without the concept, from the pictures that a study drew of them."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from pseudoword.concept import Concept
from pseudoword.errors import UserError
from pseudoword.evaluate import Judges, picture_files
from pseudoword.metrics.design import BASE
from pseudoword.metrics.distances import mean_cosine_to
from pseudoword.metrics.drift import Drift, same_seed_drift
from pseudoword.prompts import DriftPrompt
from pseudoword.runs import DRIFT, drift_path


def measure_drift(
    prompts: Sequence[DriftPrompt],
    image_seeds: Sequence[int],
    folders: Mapping[tuple[str, int], Path],
    concept: Concept,
    judges: Judges,
) -> Drift | None:
    """PRES and drift of every arm whose run folders hold drift pictures; None without prompts.

    `folders` are run folders by arm and training seed, the untouched model's among them. Raises
    UserError where a picture is missing.
    """
    if not prompts:
        return None
    photos = judges.embed("dino", [Image.fromarray(photo.pixels) for photo in concept.photos])
    of_class = [prompt.kind == "class" for prompt in prompts]

    def vectors(folder: Path) -> np.ndarray:
        found = judges.embed("dino", _pictures(folder, prompts, image_seeds))
        return found.reshape(len(prompts), len(image_seeds), -1)

    untouched = vectors(folders[BASE, -1])
    pres: dict[str, list[np.ndarray]] = {}
    drift: dict[str, list[np.ndarray]] = {}
    for (arm, _), folder in folders.items():
        if not (folder / DRIFT).is_dir():
            continue
        tuned = vectors(folder)
        likeness = mean_cosine_to(tuned[of_class].reshape(-1, tuned.shape[-1]), photos)
        pres.setdefault(arm, []).append(likeness.reshape(-1, len(image_seeds)))
        if arm != BASE:
            flat = [each.reshape(-1, each.shape[-1]) for each in (untouched, tuned)]
            drift.setdefault(arm, []).append(same_seed_drift(*flat).reshape(tuned.shape[:2]))
    return Drift(
        kinds=[prompt.kind for prompt in prompts],
        pres={arm: np.stack(seeds) for arm, seeds in pres.items()},
        drift={arm: np.stack(seeds) for arm, seeds in drift.items()},
    )


def _pictures(
    folder: Path, prompts: Sequence[DriftPrompt], image_seeds: Sequence[int]
) -> Sequence[Image.Image]:
    paths = [drift_path(folder, prompt.id, seed) for prompt in prompts for seed in image_seeds]
    missing = next((path for path in paths if not path.exists()), None)
    if missing is not None:
        raise UserError(
            f"{missing} is missing.\nRun the same study again: it adds what is not there."
        )
    return picture_files(paths)
