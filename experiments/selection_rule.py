"""How often does choosing a checkpoint on few validation pictures help, and what does it cost?

    python experiments/selection_rule.py [--studies 2000]

Simulated methods with three checkpoints, whose true fidelity differs by a known amount; the noise
of pictures, prompts and trainings is that of docs/study/scores.parquet (see `noise`). Prints, by
what the middle checkpoint is truly ahead of the last one (in overall score) and by the size of the
validation, the mean of what each rule's choice truly scores beyond the last checkpoint: "best"
takes the highest score, "chosen" is the rule that studies follow.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

from pseudoword.metrics.candidates import Candidate, Cells, Scale, choose, find_scale, place

SCORES = Path(__file__).parents[1] / "docs" / "study" / "scores.parquet"
EDIT = np.array([False, True, True, True])
FLOOR, CEILING, LEAST, MOST = 0.3, 0.8, 0.15, 0.3
FIDELITY, ADHERENCE = 0.6, 0.7
GAINS = (-0.1, 0.0, 0.05, 0.1, 0.2)
"""By what the middle checkpoint is ahead of the last one; the first is far behind."""
SIZES = {"quick, 2 seeds": (2, 1), "standard, 3 seeds": (3, 2), "thorough, 3 seeds": (3, 4)}


def noise(metric: str) -> tuple[float, float, float]:
    """Standard deviations of trainings, of trainings x prompts, and of pictures within those."""
    frame = pd.read_parquet(SCORES)
    rows = frame[frame["method"] != "base_model"]
    cell = rows.groupby(["toy", "method", "seed", "prompt_id"])[metric]
    within, means = float(np.sqrt(cell.var().mean())), cell.mean()
    centred = means - means.groupby(["toy", "method", "prompt_id"]).transform("mean")
    runs = centred.groupby(["toy", "method", "seed"]).mean()
    left = centred - runs.reindex(centred.index.droplevel("prompt_id")).to_numpy()
    return float(runs.std()), float(left.std()), within


def draw(
    rng: np.random.Generator,
    level: float,
    sizes: tuple[float, float, float],
    shape: tuple[int, int, int],
) -> np.ndarray:
    seeds, prompts, _ = shape
    found = level + rng.normal(scale=sizes[0], size=(seeds, 1, 1))
    found = found + rng.normal(scale=sizes[1], size=(seeds, prompts, 1))
    return np.asarray(found + rng.normal(scale=sizes[2], size=shape))


def candidate(
    rng: np.random.Generator,
    scale: Scale,
    step: int,
    overall: float,
    noises: list[tuple[float, float, float]],
    shape: tuple[int, int, int],
) -> Candidate:
    """A checkpoint whose true fidelity makes its overall score `overall`."""
    dino = FLOOR + overall / ADHERENCE * (CEILING - FLOOR)
    clip_t = LEAST + ADHERENCE * (MOST - LEAST)
    cells = Cells(draw(rng, dino, noises[0], shape), draw(rng, clip_t, noises[1], shape))
    return place(scale, step, 1.0, cells)


def main() -> None:
    parser = argparse.ArgumentParser(description="Simulate the choice of checkpoints.")
    parser.add_argument("--studies", type=int, default=2000)
    studies = parser.parse_args().studies
    noises = [noise("dino_train"), noise("clip_t")]
    print("noise of DINO and CLIP-T:", [[round(s, 3) for s in sizes] for sizes in noises])
    for name, (seeds, pictures) in SIZES.items():
        shape = (seeds, len(EDIT), pictures)
        for gain in GAINS:
            last = FIDELITY * ADHERENCE
            truth = {30: last, 20: last + gain, 10: last - 0.2}
            gained = {"best": 0.0, "chosen": 0.0}
            moved = 0
            for study in range(studies):
                rng = np.random.default_rng([study, seeds, pictures])
                base = (1, *shape[1:])
                untouched = Cells(
                    draw(rng, FLOOR, (0.0, 0.0, noises[0][2]), base),
                    draw(rng, MOST, (0.0, 0.0, noises[1][2]), base),
                )
                scale = find_scale(untouched, np.full(4, LEAST), np.full(4, CEILING), EDIT, seeds)
                if isinstance(scale, str):
                    continue
                found = [candidate(rng, scale, s, o, noises, shape) for s, o in truth.items()]
                picks = {
                    "best": max(found, key=lambda c: c.overall[0]),
                    "chosen": choose(found, scale.sampled),
                }
                for rule, pick in picks.items():
                    gained[rule] += (truth[pick.step] - last) / studies
                moved += picks["chosen"].step != 30
            told = ", ".join(f"{rule} {value:+.3f}" for rule, value in gained.items())
            print(f"{name}, ahead by {gain:+.2f}: {told}; moved in {moved / studies:.0%}")


if __name__ == "__main__":
    main()
