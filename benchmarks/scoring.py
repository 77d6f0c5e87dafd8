"""Pictures scored a second: the whole scoring of a study, and encoders called picture by picture.

    python benchmarks/scoring.py [--pictures 10]

A made-up study of three methods is scored as `study` does it: every embedding in the roles of CLIP,
DINO and Inception, the oracle, every metric, interval and the verdict. "cold" has no embeddings
yet, "again" finds them in the cache: that is the metrics alone. "one by one" is what people's
own scripts do: CLIP-I, CLIP-T and DINO, each encoder called for one picture at a time.
"""

import argparse
import json
import shutil
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from measure import machine, report
from models import place
from pictures import TOY, class_noun, photo_folder
from PIL import Image

from pseudoword.concept import Concept, load_concept
from pseudoword.console import PlainReporter, silence_libraries
from pseudoword.device import pick_device
from pseudoword.evaluate import Judges, encoder_names, photo_images
from pseudoword.metrics.distances import cosine_matrix
from pseudoword.prompts import Prompt, fill, load_suite
from pseudoword.runs import picture_path, run_folder, write_atomic, write_json
from pseudoword.scoring import Scored, score_study
from pseudoword.single import save_picture
from pseudoword.toybox.photos import SIZE, true_pictures
from pseudoword.toybox.world.concepts import concept_toy
from pseudoword.truth import load_truth

METHODS = ("textual-inversion", "dreambooth", "lora")
COST = {
    "seconds": 1.0,
    "peak_memory_bytes": 1,
    "trainable_parameters": 1,
    "artefact_bytes": 1,
}


def make_study(out: Path, photos: Path, pictures: int) -> Scored:
    """A study whose pictures are renders of other toys, so that all differ."""
    noun = class_noun()
    prompts = load_suite("toybox", noun)
    arms = [(method, 0) for method in METHODS]
    runs = {arm: run_folder(out, *arm) for arm in arms}
    base = run_folder(out, None)
    for place_of, folder in enumerate([base, *runs.values()]):
        for prompt in prompts:
            drawn = true_pictures(concept_toy(TOY + place_of), prompt.template, pictures)
            for seed, picture in enumerate(drawn or _noise(pictures, place_of)):
                save_picture(picture_path(folder, prompt.id, seed), picture)
    for folder in runs.values():
        write_json(folder / "run.json", {"cost": COST})
        write_atomic(folder / "log.jsonl", json.dumps({"step": 1, "loss": 0.1}) + "\n")
    for prompt in prompts:
        for index, picture in enumerate(true_pictures(concept_toy(TOY), prompt.template, 8) or []):
            save_picture(out / "truth" / f"{prompt.id}-{index}.png", picture)
    return Scored(
        out=out,
        identity="",
        concept=load_concept([photos], noun, SIZE),
        prompts=prompts,
        image_seeds=tuple(range(pictures)),
        titles={method: method for method in METHODS},
        runs=runs,
        base=base,
        truth=load_truth(concept_toy(TOY), prompts, out / "truth"),
    )


def _noise(count: int, seed: int) -> list[np.ndarray]:
    """For prompts that the renderer cannot draw of another class."""
    rng = np.random.default_rng(seed)
    return list(rng.integers(0, 256, (count, SIZE, SIZE, 3), np.uint8))


def score_one_by_one(
    judges: Judges, folders: Sequence[Path], study: Scored, concept: Concept
) -> None:
    """CLIP-I, DINO and CLIP-T of every picture, nothing kept."""
    clip, dino = judges.encoders["clip"], judges.encoders["dino"]
    photos = photo_images(concept, held_out=False)
    known = {
        encoder: np.concatenate([encoder.embed_images([photo]) for photo in photos])
        for encoder in (clip, dino)
    }
    for folder in folders:
        for prompt in study.prompts:
            for seed in study.image_seeds:
                _score_one(judges, folder, prompt, seed, known[clip], known[dino], concept)


def _score_one(
    judges: Judges,
    folder: Path,
    prompt: Prompt,
    seed: int,
    clip_photos: np.ndarray,
    dino_photos: np.ndarray,
    concept: Concept,
) -> None:
    clip, dino = judges.encoders["clip"], judges.encoders["dino"]
    with Image.open(picture_path(folder, prompt.id, seed)) as picture:
        seen = clip.embed_images([picture])
        cosine_matrix(dino.embed_images([picture]), dino_photos).mean()
    cosine_matrix(seen, clip_photos).mean()
    cosine_matrix(seen, clip.embed_texts([fill(prompt.template, concept.class_noun)])).mean()


def main() -> None:
    arguments = parse()
    silence_libraries()
    device = pick_device(arguments.device)
    about = machine(device, "fp32")
    usual = {"clip": "auto", "dino": "auto", "inception": "auto"}
    names = encoder_names(arguments.model, usual)
    times: dict[str, list[float]] = {"cold": [], "again": [], "one by one": []}
    with place(None) as work, Path("/dev/null").open("w") as nowhere:
        reporter = PlainReporter(nowhere)
        photos = photo_folder(arguments.photos, SIZE, work)
        study = make_study(work / "study", photos, arguments.pictures)
        folders = list(study.folders().values())
        cache = work / "embeddings"
        for _ in range(arguments.rounds):
            shutil.rmtree(cache, ignore_errors=True)
            for name in ("cold", "again"):
                judges = Judges.load(names, str(device), cache)
                clock = time.perf_counter()
                score_study(study, judges, reporter)
                times[name].append(time.perf_counter() - clock)
            judges = Judges.load(names, str(device), None)
            clock = time.perf_counter()
            score_one_by_one(judges, folders, study, study.concept)
            times["one by one"].append(time.perf_counter() - clock)
    count = len(folders) * len(study.prompts) * len(study.image_seeds)
    rows = [
        {"scoring": name, "pictures": count, "pictures_per_second": count / min(found)}
        for name, found in times.items()
    ]
    columns = {
        "scoring": "scoring",
        "pictures": "pictures",
        "pictures_per_second": "pictures/s",
    }
    report(columns, rows, {"benchmark": "scoring", "encoders": names, **about})


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pictures", type=int, default=2, help="of each prompt")
    parser.add_argument("--photos", type=Path, nargs="*", default=[])
    parser.add_argument("--model", default="toybox", help="whose usual encoders are taken")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--device", default="auto")
    return parser.parse_args()


if __name__ == "__main__":
    main()
