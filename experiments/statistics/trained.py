"""Are spoilt methods named, and equal ones left alone? Real trainings on toys of the toybox.

    python experiments/statistics/trained.py OUT [--toys 100-109] [--docs docs/statistics]

A study a toy compares LoRA with the three spoilt ones of crippled.py. Another trains LoRA with six
seeds; its trainings are then shared out between two names, three each in all ten ways, and two each
of the first four in all three ways, so that whoever is called the winner is so by chance (A/A). The
same command goes on after an interruption; the results are DOCS/toybox.json.
"""

import argparse
from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from pages import write_page
from PIL import Image

from pseudoword.concept import load_concept
from pseudoword.console import reporting
from pseudoword.device import pick_device
from pseudoword.evaluate import Judges
from pseudoword.metrics.summary import summarise
from pseudoword.plan import make_plan
from pseudoword.progress import Reporter
from pseudoword.runs import read_json, write_json
from pseudoword.scoring import measure
from pseudoword.settings import StudySettings
from pseudoword.single import save_picture
from pseudoword.study import _scored, run_study
from pseudoword.toybox.photos import SIZE, find_toy, render_photo_set
from pseudoword.toybox.world.concepts import concept_toy

HERE = Path(__file__).parent
DOCS = HERE.parent.parent / "docs"
SPOILT = {"lora-few-steps": "TooFewSteps", "lora-hot": "TooHot", "lora-copies": "Copyist"}
EXPECTED = {
    "lora-few-steps": {"hardly_learnt", "undertrained"},
    "lora-hot": {"overtrained"},
    "lora-copies": {"copying"},
    "lora": set[str](),
}
"""The kinds of flag that name what is wrong."""
EACH = (3, 2)
"""Trainings a name."""


def spoilt_study(toy: int, out: Path, reporter: Reporter) -> list[dict[str, Any]]:
    """A row a method: its flags, its scores, the verdict."""
    photos, folder = out / "photos" / f"toy-{toy:03d}", out / f"toy-{toy:03d}"
    render_photo_set(toy, photos)
    file = HERE / "crippled.py"
    settings = StudySettings(
        class_noun=concept_toy(toy).class_noun,
        methods=["lora", *(f"{file}:{name}" for name in SPOILT.values())],
        seeds=2,
        effort="quick",
    )
    results = run_study([photos], settings, folder, reporter)
    if not (folder / "copied").exists():
        _copy_photos(folder)
        (folder / "copied").touch()
        results = run_study([photos], settings, folder, reporter)
    return [
        {
            "toy": toy,
            "method": name,
            "flags": [flag["kind"] for flag in row["flags"]],
            "named": bool({flag["kind"] for flag in row["flags"]} & EXPECTED[name]),
            **{
                part: results["normalised"][name][part]["value"]
                for part in ("fidelity", "adherence", "overall")
            },
            "copied": row["scores"]["copied"]["value"],
            "held_out_loss": [
                (loss["held_out"] or {}).get("value")
                for loss in results["selection"][name]["losses"]
            ],
            "checkpoint": results["selection"][name]["checkpoint"],
            "verdict": results["verdict"]["kind"],
            "best": results["verdict"]["best"],
        }
        for name, row in results["methods"].items()
    ]


def _copy_photos(folder: Path) -> None:
    """Training photos, a little shifted, in the place of what the copyist drew."""
    record = read_json(folder / "study.json")
    photos = [folder / photo["file"] for photo in record["photos"] if not photo["held_out"]]
    for run in sorted((folder / "runs").glob("lora-copies-s*")):
        for index, path in enumerate(sorted((run / "images").glob("*.png"))):
            with Image.open(photos[index % len(photos)]) as photo:
                pixels = np.asarray(photo.convert("RGB"))
            shift = index % 3 - 1
            save_picture(path, np.roll(pixels, (shift, -shift), axis=(0, 1)))


def equal_studies(toy: int, out: Path, reporter: Reporter) -> list[dict[str, Any]]:
    """The verdict of each way to share trainings out between two names."""
    photos, folder = out / "photos" / f"toy-{toy:03d}", out / f"equal-{toy:03d}"
    render_photo_set(toy, photos)
    noun = concept_toy(toy).class_noun
    settings = StudySettings(class_noun=noun, methods=["lora"], seeds=2 * max(EACH), effort="quick")
    run_study([photos], settings, folder, reporter)
    device = pick_device(settings.device)
    plan = make_plan(
        settings, load_concept([photos], noun, SIZE), find_toy([photos]), folder, device
    )
    scored = replace(_scored(plan), drift=(), drift_seeds=())
    judges = Judges.load(plan.trial.encoders, str(device), folder / "cache" / "embeddings")
    rows = []
    for split in (split for each in EACH for split in splits(each)):
        names = dict(zip(("one", "other"), split, strict=True))
        runs = {
            (name, place): plan.runs()["lora", seed]
            for name, seeds in names.items()
            for place, seed in enumerate(seeds)
        }
        shared = replace(scored, titles={name: name for name in names}, runs=runs)
        results = summarise(measure(shared, judges, reporter))
        pair = next(row for row in results["comparisons"])
        rows.append(
            {
                "toy": toy,
                "trainings": len(split[0]),
                "split": [list(seeds) for seeds in split],
                "verdict": results["verdict"]["kind"],
                "best": results["verdict"]["best"],
                "difference": pair["value"],
                "p": pair["p"],
            }
        )
    return rows


def splits(each: int) -> Iterator[tuple[tuple[int, ...], tuple[int, ...]]]:
    """All ways to share the first 2 * `each` seeds out between two names."""
    others = range(1, 2 * each)
    for chosen in combinations(others, each - 1):
        yield (0, *chosen), tuple(seed for seed in others if seed not in chosen)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--toys", default="100-109", help="first-last")
    parser.add_argument("--docs", type=Path, default=DOCS / "statistics")
    parser.add_argument("--only", choices=("spoilt", "equal"), help="one kind of study alone")
    arguments = parser.parse_args()
    first, _, last = arguments.toys.partition("-")
    toys = range(int(first), int(last or first) + 1)
    path = arguments.docs / "toybox.json"
    found: dict[str, Any] = read_json(path) if path.exists() else {"spoilt": [], "equal": []}
    with reporting() as reporter:
        for kind, study in (("spoilt", spoilt_study), ("equal", equal_studies)):
            for toy in toys if arguments.only in (None, kind) else ():
                if not any(row["toy"] == toy for row in found[kind]):
                    found[kind] += study(toy, arguments.out, reporter)
                    write_json(path, found)
    if arguments.docs == DOCS / "statistics":
        write_page(DOCS)


if __name__ == "__main__":
    main()
