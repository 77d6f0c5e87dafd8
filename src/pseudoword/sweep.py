"""How much should count what was learnt? The same prompts and noise at several strengths.

Less than all of it often follows prompts better at some cost in likeness. The first training of
each method that has a strength is drawn; its artefact stays as it is.
"""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from pseudoword.artefact import LoadedRun
from pseudoword.drawing import draw_prompts
from pseudoword.evaluate import Judges
from pseudoword.metrics.stats import interval, resamples, weighted_means
from pseudoword.progress import Reporter
from pseudoword.prompts import Prompt
from pseudoword.runs import strength_folder
from pseudoword.scoring import Scored, score_folder
from pseudoword.settings import GenerateSettings

SEED = 0
"""The training that is drawn at several strengths."""


def draw_strengths(
    loaded: LoadedRun,
    strengths: Sequence[float],
    prompts: Sequence[Prompt],
    image_seeds: Sequence[int],
    settings: GenerateSettings,
    run: Path,
    reporter: Reporter,
) -> None:
    """Draws every prompt at each strength, where the method has one; then restores strength 1."""
    if not loaded.method.has_strength:
        return
    for strength in strengths:
        loaded.method.set_strength(loaded.model, strength)
        draw_prompts(
            loaded.model,
            loaded.noun_phrase,
            prompts,
            image_seeds,
            settings,
            strength_folder(run, strength),
            f"{loaded.method.title}, strength {strength:g}, pictures",
            reporter,
        )
    loaded.method.set_strength(loaded.model, 1.0)


def score_strengths(
    study: Scored, strengths: Sequence[float], judges: Judges, reporter: Reporter
) -> dict[str, list[dict[str, Any]]]:
    """By method with other strengths than 1, rows {"strength", "scores"} from weak to strong.

    A score has "value", "low", "high" and "n": the mean over prompts, and its 95 % interval over
    prompts alone, since there is one training.
    """
    rows: dict[str, list[dict[str, Any]]] = {}
    swept = [
        (name, folder)
        for (name, seed), folder in study.runs.items()
        if seed == SEED and strengths and (folder / "strengths").is_dir()
    ]
    for done, (name, folder) in enumerate(swept, start=1):
        rows[name] = [
            {
                "strength": strength,
                "scores": _scores(study, name, strength_folder(folder, strength), judges),
            }
            for strength in sorted({*strengths, 1.0})
        ]
        reporter.update("scores by strength", done, len(swept))
    return rows


def _scores(study: Scored, name: str, folder: Path, judges: Judges) -> dict[str, Any]:
    scored = score_folder(study, judges, name, SEED, folder)
    strata = np.array([int(prompt.kind != "basic") for prompt in study.prompts])
    sampled = resamples(1, strata, draws=0)
    found = {}
    for metric, values in scored.scores.items():
        by_prompt = values.reshape(1, len(study.prompts), -1).mean(axis=2)
        means = weighted_means(by_prompt, sampled)
        found[metric] = asdict(interval(means, sampled, values.size))
    return found
