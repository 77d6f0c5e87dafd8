"""Sets of pictures of one toy, scored by what one would use on photos, and by the truth.

An arm is one trained run, one of its checkpoints, the untouched model, or a trap: in each, the same
prompts and the same number of pictures.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from pseudoword.artefact import load_run
from pseudoword.concept import Concept, load_concept
from pseudoword.device import pick_device
from pseudoword.drawing import draw_prompts
from pseudoword.evaluate import (
    Judges,
    open_picture,
    photo_ceiling,
    photos_clip_t,
    score_pictures,
)
from pseudoword.metrics.design import BASE
from pseudoword.metrics.verdict import normalise, overall_score
from pseudoword.progress import Reporter
from pseudoword.prompts import Prompt, fill
from pseudoword.runs import picture_path, read_json, run_folder
from pseudoword.toybox.photos import SIZE
from pseudoword.toybox.world.concepts import concept_toy
from pseudoword.toystudy.plan import ToyPlan
from pseudoword.toystudy.sets import set_distances
from pseudoword.toystudy.traps import trap_pictures
from pseudoword.truth import Truth, load_truth

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class Bench:
    """All that the arms of one toy are scored with."""

    plan: ToyPlan
    toy: int
    folder: Path
    prompts: Sequence[Prompt]
    concept: Concept
    judges: Judges
    truth: Truth

    @staticmethod
    def of(plan: ToyPlan, toy: int) -> "Bench":
        folder = plan.folder(toy)
        record = read_json(folder / "study.json")
        prompts = tuple(Prompt(**prompt) for prompt in record["prompts"])
        return Bench(
            plan=plan,
            toy=toy,
            folder=folder,
            prompts=prompts,
            concept=load_concept([plan.photos(toy)], record["class_noun"], SIZE),
            judges=plan.judges(toy),
            truth=load_truth(concept_toy(toy), prompts, folder / "truth"),
        )

    @property
    def places(self) -> list[tuple[Prompt, int]]:
        """Prompt and image seed of every picture of an arm, in order."""
        return [(prompt, seed) for prompt in self.prompts for seed in range(self.plan.pictures)]

    def read(self, folder: Path) -> list[Image.Image]:
        """The pictures that a run or checkpoint drew."""
        return [open_picture(picture_path(folder, prompt.id, seed)) for prompt, seed in self.places]


def arms_of(bench: Bench, reporter: Reporter) -> dict[str, list[Image.Image]]:
    """The pictures of every arm: BASE, METHOD:sSEED, METHOD:s0@STEP for checkpoints, trap:NAME."""
    plan = bench.plan
    arms = {BASE: bench.read(run_folder(bench.folder, None))}
    for method in plan.settings(bench.toy).methods:
        for seed in range(plan.seeds):
            arms[f"{method}:s{seed}"] = bench.read(run_folder(bench.folder, method, seed))
        for step, folder in _draw_checkpoints(bench, method, reporter).items():
            arms[f"{method}:s0@{step}"] = bench.read(folder)
    photos = [photo.pixels for photo in bench.concept.training]
    drawn = trap_pictures(concept_toy(bench.toy), bench.prompts, photos, plan.pictures)
    for name, pictures in drawn.items():
        arms[f"trap:{name}"] = [Image.fromarray(picture) for picture in pictures]
    return arms


def _draw_checkpoints(bench: Bench, method: str, reporter: Reporter) -> dict[int, Path]:
    """The pictures of the first run's snapshots but the last, drawn where they are not there."""
    run, folders = run_folder(bench.folder, method), {}
    for step in read_json(run / "run.json")["snapshots"][:-1]:
        folder = run / "checkpoints" / f"{step:06d}"
        if not all(picture_path(folder, prompt.id, seed).exists() for prompt, seed in bench.places):
            device = pick_device(bench.plan.device)
            loaded = load_run(run, device, bench.plan.model, step=step)
            draw_prompts(
                loaded.model,
                loaded.noun_phrase,
                bench.prompts,
                range(bench.plan.pictures),
                bench.plan.settings(bench.toy).generate,
                folder,
                f"toy {bench.toy}: {run.name} at step {step}, pictures",
                reporter,
            )
        folders[step] = folder
    return folders


def score_arms(bench: Bench, reporter: Reporter) -> "tuple[pd.DataFrame, pd.DataFrame]":
    """A row a picture, and a row an arm (means, distances of sets, and the verdict's score)."""
    import pandas as pd

    arms = arms_of(bench, reporter)
    place = pd.DataFrame(
        {
            "toy": bench.toy,
            "prompt_id": [prompt.id for prompt, _ in bench.places],
            "basic": [prompt.kind == "basic" for prompt, _ in bench.places],
        }
    )
    texts = [fill(p.template, bench.concept.class_noun) for p, _ in bench.places]
    ids = list(place["prompt_id"])
    frames, features = [], {}
    for done, (arm, pictures) in enumerate(arms.items(), start=1):
        scores = score_pictures(bench.judges, pictures, texts, bench.concept)
        scores |= bench.truth.score(bench.truth.embed(pictures), ids)
        frames.append(place.assign(arm=arm, **scores))
        features[arm] = bench.judges.embed("inception", pictures)
        reporter.update(f"toy {bench.toy}: scores", done, len(arms))
    pictures_frame = pd.concat(frames, ignore_index=True)
    metrics = [c for c in pictures_frame if c not in ("toy", "prompt_id", "basic", "arm")]
    rows = pictures_frame.groupby("arm", sort=False)[metrics].mean()
    rows = rows.join(_set_distances(bench, features, place["basic"].to_numpy()))
    rows["overall"] = _overall(bench, pictures_frame)
    return pictures_frame, rows.assign(toy=bench.toy).reset_index()


def _set_distances(
    bench: Bench, features: dict[str, np.ndarray], basic: np.ndarray
) -> "pd.DataFrame":
    """FID and KID of every arm."""
    import pandas as pd

    photos = [Image.fromarray(photo.pixels) for photo in bench.concept.photos]
    reference = bench.judges.embed("inception", photos)
    untouched = features[BASE][~basic]
    rows = {
        arm: set_distances(vectors, basic, reference, None if arm == BASE else untouched)
        for arm, vectors in features.items()
    }
    return pd.DataFrame.from_dict(rows, orient="index")


def _overall(bench: Bench, pictures: "pd.DataFrame") -> "pd.Series":
    """The verdict's score: normalised fidelity times normalised adherence, by arm."""
    import pandas as pd

    fidelity = pictures.groupby("arm")["dino"].mean()
    ceiling = float(photo_ceiling(bench.judges, bench.concept)["dino"].mean())
    edits = pictures[~pictures["basic"]]
    adherence = edits.groupby("arm")["clip_t"].mean()
    edit_prompts = [prompt for prompt in bench.prompts if prompt.kind != "basic"]
    ignoring = photos_clip_t(bench.judges, bench.concept, edit_prompts)
    floor, most, least = fidelity[BASE], adherence[BASE], float(np.mean(list(ignoring.values())))
    if ceiling <= floor or most <= least:
        # The metric cannot tell this toy, or these prompts: there is no scale.
        return pd.Series(np.nan, index=fidelity.index)
    f = normalise(fidelity.to_numpy(), floor, ceiling)
    a = normalise(adherence.to_numpy(), least, most)
    return pd.Series(overall_score(f, a), index=fidelity.index)
