"""Trainings of a study that diverged: what is left of their methods, and what is said of them.

A method is judged by all of its trainings or not at all: without the one that diverged, it would be
praised for its luck. So its pictures are drawn from a checkpoint that every training has, and a
method without such a checkpoint takes no part in pictures, scores and verdict.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pseudoword.divergence import DivergedError
from pseudoword.plan import Plan
from pseudoword.runs import read_json
from pseudoword.train import remedy


def surviving(plan: Plan) -> Plan:
    """The plan of the methods that pictures can be drawn of, once all trainings have ended.

    Raises DivergedError where there is none.
    """
    kept = [name for name in plan.methods if plan.trial.steps(name)]
    if not kept:
        first = _diverged(plan)[0]
        raise DivergedError(
            f"no method has a usable training: {first['title']}, seed {first['seed']}, diverged by "
            f"step {first['diverged']['step']}, for {first['diverged']['reason']}.\n"
            f"{_remedy(first)}"
        )
    return replace(
        plan,
        changes={name: plan.changes[name] for name in kept},
        kinds={name: plan.kinds[name] for name in kept},
        trial=replace(plan.trial, methods={name: plan.trial.methods[name] for name in kept}),
    )


def failure_rows(plan: Plan, selection: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What results.json says under "failures"; `selection` as there, of the methods that are left.

    Each has "method", "title", "seed", "step", "reason", "takes_part", a "text" and a "remedy".
    """
    rows = []
    for run in _diverged(plan):
        step, reason = run["diverged"]["step"], run["diverged"]["reason"]
        chosen = selection.get(run["method"])
        text = f"Seed {run['seed']} diverged by step {step:,} of {run['steps']:,}, for {reason}. "
        if chosen is None:
            text += "Not every training has a sound checkpoint, so there are no pictures to score."
        else:
            text += f"Step {chosen['checkpoint']:,}, before that, is drawn with in every training."
        rows.append(
            {
                "method": run["method"],
                "title": run["title"],
                "seed": run["seed"],
                "step": step,
                "reason": reason,
                "takes_part": chosen is not None,
                "text": text,
                "remedy": _remedy(run),
            }
        )
    return rows


def _diverged(plan: Plan) -> list[dict[str, Any]]:
    """run.json of the trainings that diverged."""
    runs = [read_json(folder / "run.json") for folder in plan.runs().values()]
    return [run for run in runs if run["diverged"] is not None]


def _remedy(run: Mapping[str, Any]) -> str:
    return (
        f"{remedy(run)} (`options: {{{run['method']}: {{learning_rate: ...}}}}` in a `--config` "
        "file), with a new `--out`."
    )
