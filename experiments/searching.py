"""What the searches share: one training of a toy, its pictures on the way, and their worth.

Prompts and noise are others than those of studies, and none of the toys is in any study. What
counts is the truth: right toy by degrees, in the right scene ("worth": near doubles beaten above
chance, 0 to 1, where the scene is right, else 0).
"""

from pathlib import Path

from pseudoword.artefact import load_run
from pseudoword.concept import Concept, load_concept
from pseudoword.device import pick_device
from pseudoword.drawing import draw_prompts
from pseudoword.evaluate import open_picture
from pseudoword.families import load_model
from pseudoword.families.model import Model
from pseudoword.methods.base import Method
from pseudoword.progress import Reporter
from pseudoword.prompts import custom_suite
from pseudoword.runs import picture_path, write_atomic
from pseudoword.settings import GenerateSettings, ObjectiveSettings
from pseudoword.single import save_picture, train_into
from pseudoword.toybox.photos import render_photo_set, true_pictures
from pseudoword.toybox.world.concepts import concept_toy
from pseudoword.truth import Truth, load_truth

FIRST_TOY = 200
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


def load_photos(toy: int, model: Model, out: Path) -> Concept:
    """The toy's photos, rendered into `out`."""
    photos = out / "photos" / f"toy-{toy}"
    render_photo_set(toy, photos)
    return load_concept([photos], concept_toy(toy).class_noun, model.resolution)


def learn(
    toy: int,
    method: Method,
    objective: ObjectiveSettings,
    folder: Path,
    snapshots: int,
    out: Path,
    reporter: Reporter,
) -> None:
    """One training into `folder`, with its snapshots; what trainings share is in `out`."""
    model = load_model("toybox", pick_device("auto"))
    concept = load_photos(toy, model, out)
    cache = out / "cache"
    train_into(model, method, concept, folder, 0, cache, objective, snapshots, reporter)


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
