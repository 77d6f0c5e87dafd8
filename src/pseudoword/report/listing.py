"""The scores of every picture as one table."""

from collections.abc import Sequence
from dataclasses import dataclass

from pseudoword.report.data import Metric, Study

MOST = 500
"""Pictures up to which the page lists them all; the files of `--format csv` always do."""


@dataclass(frozen=True)
class ListedPicture:
    """One picture with a value a metric; `seed` is None where nothing was trained."""

    by: str
    method: str
    seed: int | None
    prompt_id: str
    prompt: str
    kind: str
    image_seed: int
    values: Sequence[float | None]


@dataclass(frozen=True)
class Listing:
    metrics: Sequence[Metric]
    rows: Sequence[ListedPicture]


def listing(study: Study) -> Listing:
    """Every picture that has a score, by arm, prompt, training and noise."""
    scored = {name for scores in study.image_scores.values() for name in scores}
    metrics = [metric for name, metric in study.metrics.items() if name in scored]
    rows = []
    for arm in (*study.arms, *study.given):
        seeds = [key[1] for key in study.image_scores if key[0] == arm.name]
        for prompt in study.prompts:
            for seed in sorted(set(seeds)):
                for image_seed in study.image_seeds:
                    scores = study.image_scores.get((arm.name, seed, prompt.id, image_seed), {})
                    if scores:
                        rows.append(
                            ListedPicture(
                                arm.title,
                                arm.name,
                                None if seed < 0 else seed,
                                prompt.id,
                                prompt.template,
                                prompt.kind,
                                image_seed,
                                [scores.get(metric.name) for metric in metrics],
                            )
                        )
    return Listing(metrics, rows)
