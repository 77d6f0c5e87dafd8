"""Which learning rate and how many steps suit each method on the toybox?

    python experiments/search_settings.py OUT [--toys 3] [--methods lora,dora] [--finalists 1]

Every method learns the same toys, none of which is in any study, with several learning rates; each
run is looked at on its way. Prompts and noise are others than those of studies. What counts is the
truth: right toy by degrees, in the right scene ("worth": near doubles beaten above chance, 0 to 1,
where the scene is right, else 0). With --finalists N the first toy meets every learning rate, and
further ones only the N best of it. The untouched model draws the same prompts. The same command
goes on after an interruption; OUT/search.csv has a row a method, learning rate and step,
OUT/toys.csv one a toy too.
"""

import argparse
from pathlib import Path
from typing import Any

import pandas as pd

from pseudoword.artefact import load_run
from pseudoword.concept import load_concept
from pseudoword.console import reporting
from pseudoword.device import pick_device
from pseudoword.drawing import draw_prompts
from pseudoword.evaluate import open_picture
from pseudoword.families import load_model
from pseudoword.families.model import Model
from pseudoword.methods import make_method
from pseudoword.progress import Reporter
from pseudoword.prompts import custom_suite
from pseudoword.runs import picture_path, read_json, write_atomic
from pseudoword.settings import GenerateSettings, ObjectiveSettings
from pseudoword.single import prior_latents, save_picture, train_into
from pseudoword.toybox.photos import render_photo_set, true_pictures
from pseudoword.toybox.world.concepts import concept_toy
from pseudoword.truth import Truth, load_truth

FIRST_TOY = 200
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
PROMPTS = custom_suite(
    (
        "a photo of a {} on a rug",
        "a photo of a {} in the desert",
        "a photo of a {} on the grass",
        "a photo of a {} on the moon",
        "a photo of a {} wearing a yellow hat",
        "a photo of a {} next to a green ball",
        "an oil painting of a {}",
        "a photo of a orange {} in the city",
    )
)
IMAGE_SEEDS = (5000, 5001)
RENDERS = 8


def truth_of(toy: int, out: Path) -> Truth:
    """What the prompts ask for, rendered once."""
    folder = out / "truth" / f"toy-{toy}"
    for prompt in PROMPTS:
        if not (folder / f"{prompt.id}-{RENDERS - 1}.png").exists():
            pictures = true_pictures(concept_toy(toy), prompt.template, RENDERS) or []
            for index, picture in enumerate(pictures):
                save_picture(folder / f"{prompt.id}-{index}.png", picture)
    return load_truth(concept_toy(toy), PROMPTS, folder)


def train(toy: int, method: str, learning_rate: float, out: Path, reporter: Reporter) -> Path:
    """One run with its snapshots; done before, nothing is done."""
    photos = out / "photos" / f"toy-{toy}"
    folder = out / f"toy-{toy}" / f"{method}-{learning_rate:g}"
    if not (folder / "run.json").exists():
        render_photo_set(toy, photos)
        noun = concept_toy(toy).class_noun
        model = load_model("toybox", pick_device("auto"))
        learner = make_method(method, "toybox", {"learning_rate": learning_rate, "steps": STEPS})
        concept = load_concept([photos], noun, model.resolution)
        prior = prior_latents(model, learner, noun, out / "cache", reporter)
        objective = ObjectiveSettings()
        train_into(model, learner, concept, folder, 0, prior, objective, SNAPSHOTS, reporter)
    return folder


def draw(model: Model, phrase: str, folder: Path, task: str, reporter: Reporter) -> None:
    """Every prompt from every image seed, once."""
    settings = GenerateSettings()
    draw_prompts(model, phrase, PROMPTS, IMAGE_SEEDS, settings, folder, task, reporter)


def score_step(run: Path, step: int, truth: Truth, reporter: Reporter) -> dict[str, float]:
    """The truth of the pictures of one snapshot."""
    folder = run / "checkpoints" / f"{step:06d}"
    if not (folder / "drawn").exists():
        loaded = load_run(run, pick_device("auto"), step=step)
        task = f"{run.parent.name} {run.name} at {step}, pictures"
        draw(loaded.model, loaded.noun_phrase, folder, task, reporter)
        write_atomic(folder / "drawn", "")
    return score(folder, truth)


def score_untouched(toy: int, truth: Truth, out: Path, reporter: Reporter) -> dict[str, float]:
    """The truth of what the untouched model draws of the class noun."""
    folder = out / f"toy-{toy}" / "untouched"
    if not (folder / "drawn").exists():
        model = load_model("toybox", pick_device("auto"))
        draw(model, concept_toy(toy).class_noun, folder, "untouched, pictures", reporter)
        write_atomic(folder / "drawn", "")
    return score(folder, truth)


def score(folder: Path, truth: Truth) -> dict[str, float]:
    places = [(prompt.id, seed) for prompt in PROMPTS for seed in IMAGE_SEEDS]
    pictures = [open_picture(picture_path(folder, *place)) for place in places]
    scores = truth.score(truth.embed(pictures), [prompt_id for prompt_id, _ in places])
    scores["worth"] = (2 * scores["doubles_beaten"] - 1) * scores["right_scene"]
    return {name: float(values.mean()) for name, values in scores.items()}


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
