"""How long a method trains until it is nearly as good as it gets.

    python benchmarks/time_to_quality.py [--methods lora] [--toys 3] [--option learning_rate=1e-3]

Each method learns toys with several snapshots on the way, each of which draws the same prompts from
the same noise. A toy's scores are judged by the oracle (near doubles beaten) and by the encoder in
DINO's role (likeness to the held-out photo). The time to quality is when a score has come 90 % of
its way from the untouched model's to its value at the end of training, between two snapshots by
interpolation; it counts encoding and class pictures, not the drawing for this measurement. Medians
over toys. A score that ends no better than the untouched model's has no such time.
"""

import argparse
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from measure import machine, middle, report
from models import place

from pseudoword.artefact import load_run
from pseudoword.concept import Concept, load_concept
from pseudoword.console import reporting
from pseudoword.device import pick_device
from pseudoword.drawing import draw_prompts
from pseudoword.evaluate import Judges, open_picture, photo_images
from pseudoword.families import load_model, model_row
from pseudoword.families.model import Model
from pseudoword.methods import METHODS, make_method
from pseudoword.metrics.distances import cosine_matrix
from pseudoword.progress import Reporter
from pseudoword.prompts import custom_suite
from pseudoword.runs import picture_path, read_json
from pseudoword.settings import GenerateSettings, ObjectiveSettings
from pseudoword.single import save_picture, train_into
from pseudoword.toybox.photos import render_photo_set, true_pictures
from pseudoword.toybox.world.concepts import concept_toy
from pseudoword.truth import Truth, load_truth

FIRST_TOY = 300
"""None of these toys is in a study, nor were settings chosen on them."""
SHARE = 0.9
RENDERS = 8
IMAGE_SEEDS = (6000, 6001)
PROMPTS = custom_suite(
    (
        "a photo of a {}",
        "a photo of a {} in the desert",
        "a photo of a {} on the grass",
        "a photo of a {} wearing a yellow hat",
        "an oil painting of a {}",
    )
)
SCORES = {"doubles_beaten": "oracle", "dino": "DINO's role"}


def time_to(share: float, start: float, seconds: Sequence[float], values: Sequence[float]) -> float:
    """When `values` first reach `share` of the way from `start` (at 0 s) to the last of them.

    NaN where they end no higher than they start.
    """
    if values[-1] <= start:
        return float("nan")
    wanted = start + share * (values[-1] - start)
    times, scores = [0.0, *seconds], [start, *values]
    after = next(index for index, score in enumerate(scores) if score >= wanted)
    before = after - 1
    part = (wanted - scores[before]) / (scores[after] - scores[before])
    return float(times[before] + part * (times[after] - times[before]))


class Judge:
    """Scores a folder of pictures of one toy."""

    def __init__(self, truth: Truth, judges: Judges, concept: Concept) -> None:
        self._truth, self._judges = truth, judges
        self._fresh = judges.embed("dino", photo_images(concept, held_out=True))

    def __call__(self, folder: Path) -> dict[str, float]:
        places = [(prompt.id, seed) for prompt in PROMPTS for seed in IMAGE_SEEDS]
        pictures = [open_picture(picture_path(folder, *place)) for place in places]
        true = self._truth.score(self._truth.embed(pictures), [prompt for prompt, _ in places])
        likeness = cosine_matrix(self._judges.embed("dino", pictures), self._fresh)
        return {
            "doubles_beaten": float(true["doubles_beaten"].mean()),
            "dino": float(likeness.mean()),
        }


def draw(model: Model, phrase: str, folder: Path, task: str, reporter: Reporter) -> Path:
    settings = GenerateSettings()
    draw_prompts(model, phrase, PROMPTS, IMAGE_SEEDS, settings, folder, task, reporter)
    return folder


def load_toy(toy: int, work: Path, device: str) -> tuple[Concept, Judge]:
    photos = work / f"toy-{toy}"
    render_photo_set(toy, photos)
    true = work / f"truth-{toy}"
    for prompt in PROMPTS:
        renders = true_pictures(concept_toy(toy), prompt.template, RENDERS) or []
        for index, picture in enumerate(renders):
            save_picture(true / f"{prompt.id}-{index}.png", picture)
    noun = concept_toy(toy).class_noun
    concept = load_concept([photos], noun, load_model("toybox", pick_device(device)).resolution)
    judges = Judges.load(model_row("toybox").encoders, device, None, ["dino"])
    return concept, Judge(load_truth(concept_toy(toy), PROMPTS, true), judges, concept)


def snapshot_seconds(run: Path) -> dict[int, float]:
    """When each snapshot was reached: class pictures, encoding, and the log's steps."""
    lines = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    about = read_json(run / "run.json")
    before = about["cost"]["seconds"] - lines[-1]["seconds"]
    steps, seconds = ([line[key] for line in lines] for key in ("step", "seconds"))
    return {step: before + float(np.interp(step, steps, seconds)) for step in about["snapshots"]}


def learn(
    method: str,
    toy: int,
    known: tuple[Concept, Judge],
    arguments: argparse.Namespace,
    work: Path,
    reporter: Reporter,
) -> dict[str, Any]:
    """One training, its times to quality and final scores."""
    concept, judge = known
    device = pick_device(arguments.device)
    noun = concept.class_noun
    model = load_model("toybox", device)
    base = draw(model, noun, work / f"base-{toy}", f"toy {toy}, untouched", reporter)
    start = judge(base)
    learner = make_method(method, "toybox", arguments.option)
    run = work / f"{method}-{toy}"
    cache, objective = run / "cache", ObjectiveSettings()
    train_into(model, learner, concept, run, 0, cache, objective, arguments.snapshots, reporter)
    curve: list[dict[str, float]] = []
    for step, seconds in snapshot_seconds(run).items():
        loaded = load_run(run, device, step=step)
        task = f"{method}, toy {toy}, step {step}"
        folder = draw(loaded.model, loaded.noun_phrase, run / f"drawn-{step}", task, reporter)
        curve.append({"step": step, "seconds": seconds, **judge(folder)})
    found: dict[str, Any] = {"method": method, "toy": toy, "curve": curve, "start": start}
    for score in SCORES:
        values = [point[score] for point in curve]
        moments = [point["seconds"] for point in curve]
        steps = [point["step"] for point in curve]
        found[f"{score}_seconds"] = time_to(SHARE, start[score], moments, values)
        found[f"{score}_steps"] = time_to(SHARE, start[score], steps, values)
        found[f"{score}_final"] = values[-1]
    found["seconds"] = curve[-1]["seconds"]
    return found


def summary(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Medians over toys; a time that there is not counts as missing, and how many are is told."""
    names = [name for name, value in rows[0].items() if isinstance(value, float)]
    found: dict[str, Any] = {"method": rows[0]["method"], "toys": len(rows)}
    for name in names:
        found[name] = middle([row[name] for row in rows if not math.isnan(row[name])])
    found["never"] = sum(
        row["doubles_beaten_seconds"] != row["doubles_beaten_seconds"] for row in rows
    )
    return found


def main() -> None:
    arguments = parse()
    about = machine(pick_device(arguments.device), "fp32")
    rows = []
    with place(arguments.out) as work, reporting() as reporter:
        toys = range(FIRST_TOY, FIRST_TOY + arguments.toys)
        known = {toy: load_toy(toy, work, str(pick_device(arguments.device))) for toy in toys}
        for method in arguments.methods:
            for toy in toys:
                rows.append(learn(method, toy, known[toy], arguments, work, reporter))
    columns = {
        "method": "method",
        "toys": "toys",
        "seconds": "whole training s",
        "doubles_beaten_seconds": "oracle 90 % s",
        "doubles_beaten_steps": "steps",
        "doubles_beaten_final": "oracle at the end",
        "never": "never",
        "dino_seconds": "DINO 90 % s",
        "dino_steps": "steps ",
        "dino_final": "DINO at the end",
    }
    by_method = [[row for row in rows if row["method"] == name] for name in arguments.methods]
    curves = [{key: row[key] for key in ("method", "toy", "start", "curve")} for row in rows]
    about |= {"options": arguments.option, "curves": curves}
    report(columns, [summary(of) for of in by_method], {"benchmark": "time_to_quality", **about})


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    usual = ["textual-inversion", "dreambooth", "lora"]
    parser.add_argument(
        "--methods", type=lambda t: t.split(","), default=usual, help=", ".join(METHODS)
    )
    parser.add_argument("--toys", type=int, default=3)
    parser.add_argument("--snapshots", type=int, default=8)
    parser.add_argument("--option", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--out", type=Path, help="a new folder in which everything stays")
    arguments = parser.parse_args()
    pairs = (option.split("=", 1) for option in arguments.option)
    arguments.option = {name: yaml.safe_load(value) for name, value in pairs}
    return arguments


if __name__ == "__main__":
    main()
