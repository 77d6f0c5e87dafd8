"""Which learning rate and how many steps suit each method on the toybox?

    python experiments/search_settings.py OUT [--toys 3] [--methods lora,dora] [--finalists 1]

Every method learns the same toys, none of which is in any study, with several learning rates; each
run is looked at on its way, and what counts is the "worth" of `searching.py`. With --finalists N
the first toy meets every learning rate, and further ones only the N best of it. The untouched model
draws the same prompts. The same command goes on after an interruption; OUT/search.csv has a row a
method, learning rate and step, OUT/toys.csv one a toy too.
"""

import argparse
from pathlib import Path
from typing import Any

import pandas as pd
from searching import FIRST_TOY, learn, score_step, score_untouched, truth_of

from pseudoword.console import reporting
from pseudoword.methods import make_method
from pseudoword.progress import Reporter
from pseudoword.runs import read_json, write_atomic
from pseudoword.settings import ObjectiveSettings

STEPS = 400
SNAPSHOTS = 2
LEARNING_RATES = {
    "textual-inversion": (3e-3, 1e-2, 3e-2, 1e-1, 3e-1),
    "dreambooth": (3e-5, 1e-4, 2e-4, 4e-4, 8e-4),
    "lora": (2.5e-4, 5e-4, 1e-3, 2e-3),
    "dora": (5e-4,),
    "loha": (1e-3, 3e-3),
    "lokr": (1e-3, 3e-3),
    "oft": (1e-3, 3e-3),
    "boft": (1e-3,),
    "custom-diffusion": (5e-4, 2e-3),
    "pivotal-tuning": (5e-4,),
    "full-fine-tuning": (2e-4,),
}


def train(toy: int, method: str, learning_rate: float, out: Path, reporter: Reporter) -> Path:
    """One run with its snapshots; done before, nothing is done."""
    folder = out / f"toy-{toy}" / f"{method}-{learning_rate:g}"
    if not (folder / "run.json").exists():
        learner = make_method(method, "toybox", {"learning_rate": learning_rate, "steps": STEPS})
        learn(toy, learner, ObjectiveSettings(), folder, SNAPSHOTS, out, reporter)
    return folder


def best_rates(rows: list[dict[str, Any]], method: str, count: int) -> tuple[float, ...]:
    """The learning rates of a method with the best worth at any step of the first toy."""
    own = [r for r in rows if r["method"] == method and r["toy"] == FIRST_TOY]
    best = {
        rate: max(r["worth"] for r in own if r["learning_rate"] == rate)
        for rate in LEARNING_RATES[method]
    }
    return tuple(sorted(best, key=lambda rate: -best[rate])[:count])


def main() -> None:
    parser = argparse.ArgumentParser(description="Search for settings on the toybox.")
    parser.add_argument("out", type=Path)
    parser.add_argument("--toys", type=int, default=3)
    parser.add_argument("--methods", default=",".join(LEARNING_RATES))
    parser.add_argument("--finalists", type=int, default=0)
    arguments = parser.parse_args()
    rows: list[dict[str, Any]] = []
    with reporting() as reporter:
        for toy in range(FIRST_TOY, FIRST_TOY + arguments.toys):
            truth = truth_of(toy, arguments.out)
            place = {"toy": toy, "method": "untouched", "learning_rate": 0.0, "step": 0}
            rows.append(place | score_untouched(toy, truth, arguments.out, reporter))
            for method in arguments.methods.split(","):
                rates = LEARNING_RATES[method]
                if arguments.finalists and toy > FIRST_TOY:
                    rates = best_rates(rows, method, arguments.finalists)
                for rate in rates:
                    run = train(toy, method, rate, arguments.out, reporter)
                    for step in read_json(run / "run.json")["snapshots"]:
                        place = {"toy": toy, "method": method, "learning_rate": rate, "step": step}
                        rows.append(place | score_step(run, step, truth, reporter))
                    write_atomic(arguments.out / "toys.csv", pd.DataFrame(rows).to_csv(index=False))
    frame = pd.DataFrame(rows)
    grouped = frame.groupby(["method", "learning_rate", "step"])
    means = grouped.mean().drop(columns="toy").assign(toys=grouped.size())
    write_atomic(arguments.out / "search.csv", means.reset_index().to_csv(index=False))
    print(means.round(3).to_string())
    print("\nbest by worth over all toys:")
    whole = means[(means["toys"] == arguments.toys)].drop(index="untouched")
    for method, place in whole["worth"].groupby("method").idxmax().items():
        print(f"{method}: learning_rate {place[1]:g}, {place[2]} steps")


if __name__ == "__main__":
    main()
