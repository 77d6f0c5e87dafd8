"""All scores of all arms, in groups of metrics that tell of one thing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pseudoword.report.data import Arm, Estimate, Metric, Study
from pseudoword.report.tables import best

GROUPS: dict[str, tuple[str, ...]] = {
    "Likeness to the subject": ("dino", "dino_train", "clip_i", "clip_i_train"),
    "Adherence to the prompt": ("clip_t", "clip_dir"),
    "Learning by heart": ("nearest", "copied"),
    "Forgetting": ("pres", "drift"),
    "Diversity": ("diversity", "lpips", "vendi"),
    "Sets of pictures": tuple(
        f"{name}_{of}"
        for of in ("basic", "edit")
        for name in ("scd", "kid", "cmmd", "fd_dino", "fid")
    ),
    "The truth": (
        "right_both",
        "right_toy",
        "right_scene",
        "doubles_beaten",
        "truth_likeness",
        "kid_truth",
    ),
}
"""What is in no group comes last, under "Other"."""

ABOUT: dict[str, str] = {
    "Learning by heart": "Whether pictures repeat the photos instead of showing the subject anew.",
    "Forgetting": "What training did to prompts without the subject.",
    "Diversity": "How different the pictures of a method are from each other, all methods from "
    "equally many. Low diversity beside high likeness is a method that draws one picture.",
    "Sets of pictures": "Distances of whole sets of pictures. A method that draws one good picture "
    "again and again is far from the photos here. Below each: the pictures on both sides, for FD "
    "and FID those of one training, and the rank that their covariance can have.",
    "The truth": "Known for toys of the toybox only.",
}


@dataclass(frozen=True)
class ScoreRow:
    """One metric: an estimate an arm, the ceiling, and the same by kind of prompt.

    `best` names the method that is ahead; `warnings` maps a warning to the arms that it concerns.
    """

    metric: Metric
    estimates: Sequence[Estimate | None]
    ceiling: Estimate | None
    best: str | None
    warnings: Mapping[str, Sequence[str]]
    kinds: Sequence[tuple[str, Sequence[Estimate | None]]]


@dataclass(frozen=True)
class ScoreGroup:
    title: str
    about: str
    rows: Sequence[ScoreRow]

    @property
    def has_ceiling(self) -> bool:
        return any(row.ceiling is not None for row in self.rows)


def score_groups(study: Study) -> list[ScoreGroup]:
    """The groups that the study has scores of."""
    known = {name for names in GROUPS.values() for name in names}
    other = tuple(name for name in study.metrics if name not in known)
    groups = []
    for title, names in {**GROUPS, "Other": other}.items():
        metrics = [study.metrics[name] for name in names if name in study.metrics]
        rows = [_row(study, metric) for metric in metrics]
        if rows:
            groups.append(ScoreGroup(title, ABOUT.get(title, ""), rows))
    return groups


def _row(study: Study, metric: Metric) -> ScoreRow:
    estimates = [arm.scores.get(metric.name) for arm in study.arms]
    warnings: dict[str, list[str]] = {}
    for arm, estimate in zip(study.arms, estimates, strict=True):
        if estimate and estimate.warning:
            warnings.setdefault(estimate.warning, []).append(arm.title)
    return ScoreRow(
        metric,
        estimates,
        study.ceiling.get(metric.name),
        best(study, metric),
        warnings,
        by_kind(study, metric, study.arms),
    )


def by_kind(
    study: Study, metric: Metric, arms: Sequence[Arm]
) -> list[tuple[str, list[Estimate | None]]]:
    """The estimates of each kind of prompt; none where the metric is not told by kind."""
    rows = [
        (kind, [arm.by_kind.get(kind, {}).get(metric.name) for arm in arms])
        for kind in study.kinds()
    ]
    rows = [(kind, estimates) for kind, estimates in rows if any(estimates)]
    return rows if len(study.kinds()) > 1 else []
