"""The scores of every picture as one table."""

from collections.abc import Iterator, Sequence
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


def listed_metrics(study: Study) -> list[Metric]:
    """The metrics that any picture has a score of."""
    known = study.image_scores.known
    return [metric for name, metric in study.metrics.items() if name in known]


def listing(study: Study) -> Iterator[ListedPicture]:
    """Every picture that has a score, by arm, prompt, training and noise."""
    metrics = listed_metrics(study)
    for arm in (*study.arms, *study.given):
        for prompt in study.prompts:
            for seed, _, image_seed in study.image_scores.pictures(arm.name, prompt.id):
                scores = study.image_scores.of(arm.name, (seed, prompt.id, image_seed))
                yield ListedPicture(
                    arm.title,
                    arm.name,
                    None if seed < 0 else seed,
                    prompt.id,
                    prompt.template,
                    prompt.kind,
                    image_seed,
                    [scores.get(metric.name) for metric in metrics],
                )
