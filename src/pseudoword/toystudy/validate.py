"""Are the metrics right? Their rankings of pictures and of methods against the truth's."""

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from pseudoword.locks import hold
from pseudoword.metrics.agreement import kendall, pairs_right, spearman
from pseudoword.metrics.design import BASE, TRUTH_METRICS
from pseudoword.metrics.stats import from_sample, interval, resamples, weighted_means
from pseudoword.metrics.verdict import normalise, separates
from pseudoword.progress import Reporter
from pseudoword.runs import atomic_path, write_json
from pseudoword.toystudy.arms import Bench, score_arms
from pseudoword.toystudy.plan import ToyPlan
from pseudoword.toystudy.run import run_toys
from pseudoword.toystudy.sets import SETS
from pseudoword.toystudy.traps import TRAPS, TRUTH

if TYPE_CHECKING:
    import pandas as pd

PICTURE_METRICS = ("clip_i", "dino", "clip_i_train", "dino_train", "clip_t")
ARM_METRICS = (*PICTURE_METRICS, *SETS, "overall")
LOWER_IS_BETTER = frozenset(SETS)
ASPECTS = TRUTH_METRICS
"""The truths that a metric may follow."""

Agreement = Callable[[np.ndarray, np.ndarray], float]
AGREEMENTS: dict[str, Agreement] = {
    "spearman": spearman,
    "kendall": kendall,
    "pairs_right": pairs_right,
}


def validate_metrics(plan: ToyPlan, reporter: Reporter) -> dict[str, Any]:
    """Makes what studies are missing, scores all arms, and compares; OUT/validation.json holds it.

    "pictures" and "methods" give, by metric and aspect of the truth, each agreement with a 95 %
    interval over toys; "traps" what each metric says of pictures made to fool it.
    """
    run_toys(plan, reporter)
    with hold(plan.out, reporter.note):
        return _validate(plan, reporter)


def _validate(plan: ToyPlan, reporter: Reporter) -> dict[str, Any]:
    """Scores all arms of studies that are done, and writes what comes of it."""
    import pandas as pd

    scored = [score_arms(Bench.of(plan, toy), reporter) for toy in plan.toys]
    pictures = pd.concat([frame for frame, _ in scored], ignore_index=True)
    arms = pd.concat([frame for _, frame in scored], ignore_index=True)
    for name, frame in (("pictures", pictures), ("arms", arms)):
        with atomic_path(plan.out / f"validation-{name}.parquet") as path:
            frame.to_parquet(path, index=False, compression="zstd")
    found = {
        "toys": list(plan.toys),
        "arms": int(len(_honest(arms)) / len(plan.toys)),
        "pictures_an_arm": len(pictures) // len(arms),
        "pictures": compare_pictures(pictures),
        "arms_ranked": compare_arms(arms),
        "methods": compare_methods(arms),
        "checkpoints": compare_checkpoints(arms),
        "traps": compare_traps(arms),
    }
    write_json(plan.out / "validation.json", found, sealed=True)
    return found


def compare_pictures(pictures: "pd.DataFrame") -> dict[str, Any]:
    """Agreement on the pictures of one prompt of one toy, averaged over prompts."""
    return _table(_honest(pictures), PICTURE_METRICS, lambda rows: rows["prompt_id"])


def compare_arms(arms: "pd.DataFrame") -> dict[str, Any]:
    """Agreement on all trained runs and checkpoints of a toy, and the untouched model."""
    return _table(_honest(arms), ARM_METRICS, lambda rows: rows["toy"])


def compare_methods(arms: "pd.DataFrame") -> dict[str, Any]:
    """Agreement on the methods alone, each the mean of its finished runs of a toy."""
    trained = _honest(arms)
    finished = trained[trained["arm"].str.contains(":") & ~trained["arm"].str.contains("@")]
    method = finished["arm"].str.partition(":")[0]
    columns = [*ARM_METRICS, *ASPECTS]
    means = finished.groupby([finished["toy"], method])[columns].mean().reset_index()
    return _table(means, ARM_METRICS, lambda rows: rows["toy"])


def compare_checkpoints(arms: "pd.DataFrame") -> dict[str, Any]:
    """Agreement on one run and its checkpoints, averaged over the methods' first runs of a toy."""
    first = arms[arms["arm"].str.contains(":s0", regex=False)]
    return _table(first, ARM_METRICS, lambda rows: rows["arm"].str.partition(":")[0])


def compare_traps(arms: "pd.DataFrame") -> dict[str, Any]:
    """What each metric gives a trap, on the scale where the untouched model has 0 and the truth 1.

    The scale is that of the means over toys, and there is none where the truth is not above the
    untouched model beyond chance. "fooled" is the share of toys whose trap scores at least as well
    as the truth does.
    """
    found: dict[str, Any] = {}
    for metric in (*ARM_METRICS, *ASPECTS):
        table = arms.assign(value=_upwards(arms, metric)).pivot(
            index="toy", columns="arm", values="value"
        )
        best = table[f"trap:{TRUTH}"]
        sampled = resamples(len(table), np.zeros(1, dtype=np.int64), draws=0)
        means = {
            arm: weighted_means(table[arm].to_numpy(np.float64)[:, None], sampled)
            for arm in (BASE, *(f"trap:{name}" for name in (TRUTH, *TRAPS)))
        }
        zero, one = means[BASE], means[f"trap:{TRUTH}"]
        # FID and KID of edit prompts have the untouched model as their reference.
        scaled = np.isfinite(zero).all() and separates(zero, one, sampled)
        found[metric] = {}
        for trap in TRAPS:
            value = table[f"trap:{trap}"]
            row = {"fooled": float((value >= best).mean())}
            if scaled:
                values = normalise(means[f"trap:{trap}"], zero, one)
                row |= vars(interval(values, sampled, len(table)))
            found[metric][trap] = row
    return found


def _table(
    frame: "pd.DataFrame",
    metrics: Sequence[str],
    ranked_together: Callable[["pd.DataFrame"], "pd.Series"],
) -> dict[str, Any]:
    """By metric, aspect and agreement: the mean over toys with its interval.

    A toy has the mean over those of its groups that have an agreement; `ranked_together` labels
    rows by group.
    """
    found: dict[str, Any] = {}
    toys = [
        [group for _, group in rows.groupby(ranked_together(rows))]
        for _, rows in frame.groupby("toy")
    ]
    for metric in metrics:
        found[metric] = {}
        for aspect in ASPECTS:
            row = {}
            for name, agreement in AGREEMENTS.items():
                values = [
                    _mean(_agreement(agreement, group, metric, aspect) for group in groups)
                    for groups in toys
                ]
                known = np.array([value for value in values if np.isfinite(value)])
                row[name] = vars(from_sample(known)) if len(known) else None
            found[metric][aspect] = row
    return found


def _agreement(agreement: Agreement, rows: "pd.DataFrame", metric: str, aspect: str) -> float:
    """That of a metric with an aspect of the truth, over the rows where the metric is defined."""
    values, truth = _upwards(rows, metric), rows[aspect].to_numpy()
    known = np.isfinite(values)
    return agreement(values[known], truth[known])


def _mean(values: Iterable[float]) -> float:
    """The mean of those that are defined; NaN where none is."""
    known = [value for value in values if np.isfinite(value)]
    return float(np.mean(known)) if known else float("nan")


def _honest(frame: "pd.DataFrame") -> "pd.DataFrame":
    """Without the traps."""
    return frame[~frame["arm"].str.startswith("trap:")]


def _upwards(rows: "pd.DataFrame", metric: str) -> np.ndarray:
    """The metric's values so that more is better."""
    values: np.ndarray = rows[metric].to_numpy(np.float64)
    return -values if metric in LOWER_IS_BETTER else values
