"""Choosing each method's checkpoint, and the strength to draw with, before anything is judged.

The candidates draw validation prompts from validation seeds, neither of which the final pictures
use, so the final scores are as honest for a chosen checkpoint as for any. One checkpoint is chosen
a method, by the mean over its trainings: the luck of one weighs less so, and all of them stay
repetitions of the same thing. The end of training at strength 1 is kept unless another candidate is
shown to be better (see `metrics.candidates.choose`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pseudoword.artefact import checkpoint_file, load_run
from pseudoword.concept import Concept
from pseudoword.drawing import draw_prompts, prompts_drawn
from pseudoword.evaluate import Judges, photo_images, photos_clip_t, picture_files, text_scores
from pseudoword.families.model import Model
from pseudoword.methods.base import Method
from pseudoword.metrics.candidates import (
    Candidate,
    Cells,
    Scale,
    candidate_row,
    choose,
    find_scale,
    loss_ratio,
    place,
    unscored_row,
)
from pseudoword.metrics.distances import cosine_matrix, leave_one_out_cosine
from pseudoword.probe import record_losses
from pseudoword.progress import Reporter
from pseudoword.prompts import Prompt, fill
from pseudoword.runs import (
    SELECTION,
    Choice,
    losses_path,
    picture_path,
    read_json,
    run_folder,
    validation_folder,
    write_choice,
    write_json,
)
from pseudoword.settings import StudySettings

VALIDATION_SEED = 2_000_000
"""Validation pictures start from the noise of seeds from here on, as no other picture does."""


@dataclass(frozen=True, eq=False)
class Trial:
    """What is chosen among, and what with: `prompts` and `count` pictures of each.

    `removed` are validation prompts that the study's own prompts hold. `strengths` are those beside
    1; `methods` are by name, each trained `settings.seeds` times.
    """

    out: Path
    concept: Concept
    settings: StudySettings
    device: torch.device
    encoders: Mapping[str, str]
    methods: Mapping[str, type[Method]]
    prompts: tuple[Prompt, ...]
    removed: tuple[Prompt, ...]
    count: int
    strengths: tuple[float, ...]

    @property
    def image_seeds(self) -> tuple[int, ...]:
        return tuple(range(VALIDATION_SEED, VALIDATION_SEED + self.count))

    @property
    def edit(self) -> np.ndarray:
        """Which prompts ask for more than the concept: (P,)."""
        return np.array([prompt.kind != "basic" for prompt in self.prompts], dtype=bool)

    @property
    def obstacle(self) -> str | None:
        """Why nothing can be chosen, as far as that is known before anything is drawn."""
        if not self.settings.select:
            return "the study was told not to choose"
        if len(photo_images(self.concept, held_out=False)) < 2:
            return "one photo does not tell how alike pictures of the concept can be"
        if not self.edit.any():
            return "the study's own prompts leave no validation prompt to measure adherence by"
        return None

    def runs(self, method: str) -> list[Path]:
        return [run_folder(self.out, method, seed) for seed in range(self.settings.seeds)]

    def steps(self, method: str) -> list[int]:
        """The checkpoints that every training of a method has, the last one first.

        Those of one that diverged end before it did.
        """
        kept = [set(read_json(run / "run.json")["snapshots"]) for run in self.runs(method)]
        return sorted(set.intersection(*kept), reverse=True)


def draw_untouched(trial: Trial, model: Model, reporter: Reporter) -> None:
    """The validation pictures of the untouched model."""
    if trial.obstacle is None:
        folder = validation_folder(run_folder(trial.out, None))
        _draw(trial, model, trial.concept.class_noun, folder, "untouched model", reporter)
        path = losses_path(run_folder(trial.out, None))
        noun = trial.concept.class_noun
        record_losses(path, model, trial.concept, noun, trial.out / "cache", reporter)


def select(trial: Trial, reporter: Reporter) -> dict[str, Any]:
    """Draws and scores candidates, and writes what was chosen: selection.json, chosen.json a run.

    Returns what results.json says under "selection", by method. A choice that was made stays.
    """
    path = trial.out / SELECTION
    if not path.exists():
        write_json(path, _choose_all(trial, reporter), sealed=True)
    chosen: dict[str, Any] = read_json(path)
    for method, row in chosen.items():
        for run in trial.runs(method):
            step = row["checkpoint"]
            write_choice(run, Choice(step, checkpoint_file(run, step), row["strength"]))
    return chosen


def _choose_all(trial: Trial, reporter: Reporter) -> dict[str, Any]:
    scale: Scale | str = trial.obstacle or _find_scale(trial, _judges(trial, reporter))
    if isinstance(scale, str):
        if trial.settings.select:
            reporter.note(f"the end of each training is taken at strength 1: {scale}")
        return {method: _unchosen(trial, method, scale) for method in trial.methods}
    candidates = _try(trial, scale, {m: (trial.steps(m), [1.0]) for m in trial.methods}, reporter)
    chosen = {m: choose(found, scale.sampled) for m, found in candidates.items()}
    if trial.strengths:
        further = {
            m: ([chosen[m].step], list(trial.strengths))
            for m, kind in trial.methods.items()
            if kind.has_strength
        }
        for method, found in _try(trial, scale, further, reporter).items():
            # What changes least comes first.
            order = sorted([chosen[method], *found], key=lambda c: abs(c.strength - 1))
            chosen[method] = choose(order, scale.sampled)
            candidates[method] += found
    return {m: _chosen(trial, m, scale, candidates[m], chosen[m]) for m in trial.methods}


def _try(
    trial: Trial,
    scale: Scale,
    wanted: Mapping[str, tuple[Sequence[int], Sequence[float]]],
    reporter: Reporter,
) -> dict[str, list[Candidate]]:
    """Draws and scores the steps and strengths wanted of each method, in that order."""
    for method, (steps, strengths) in wanted.items():
        for run in trial.runs(method):
            for step in steps:
                _draw_candidates(trial, run, step, strengths, reporter)
    judges = _judges(trial, reporter)

    def candidate(method: str, step: int, strength: float) -> Candidate:
        folders = [validation_folder(run, step, strength) for run in trial.runs(method)]
        return place(scale, step, strength, _cells(trial, judges, folders))

    return {
        method: [candidate(method, step, strength) for step in steps for strength in strengths]
        for method, (steps, strengths) in wanted.items()
    }


def _draw_candidates(
    trial: Trial, run: Path, step: int, strengths: Sequence[float], reporter: Reporter
) -> None:
    """One checkpoint of a run at several strengths; loaded once, and not if all is there."""
    folders = {strength: validation_folder(run, step, strength) for strength in strengths}
    drawn = all(prompts_drawn(trial.prompts, trial.image_seeds, f) for f in folders.values())
    if drawn and losses_path(run, step).exists():
        return
    compute, model = trial.settings.compute, trial.settings.model
    loaded = load_run(run, trial.device, model, compute=compute, step=step, strength=1.0)
    path, phrase = losses_path(run, step), loaded.noun_phrase
    record_losses(path, loaded.model, trial.concept, phrase, trial.out / "cache", reporter)
    for strength, folder in folders.items():
        if strength != 1:
            loaded.method.set_strength(loaded.model, strength)
        what = f"{loaded.method.title}, seed {loaded.run['seed']}, step {step}"
        what += "" if strength == 1 else f" at strength {strength:g}"
        _draw(trial, loaded.model, loaded.noun_phrase, folder, what, reporter)


def _draw(
    trial: Trial, model: Model, phrase: str, folder: Path, what: str, reporter: Reporter
) -> None:
    task, drawing = f"{what}, validation pictures", trial.settings.generate
    draw_prompts(model, phrase, trial.prompts, trial.image_seeds, drawing, folder, task, reporter)


def _judges(trial: Trial, reporter: Reporter) -> Judges:
    cache = trial.out / "cache" / "embeddings"
    return Judges.load(trial.encoders, str(trial.device), cache, ("clip", "dino"), reporter.note)


def _find_scale(trial: Trial, judges: Judges) -> Scale | str:
    untouched = _cells(trial, judges, [validation_folder(run_folder(trial.out, None))])
    by_prompt = photos_clip_t(judges, trial.concept, trial.prompts)
    ignoring = np.array([by_prompt[prompt.id] for prompt in trial.prompts])
    photos = judges.embed("dino", photo_images(trial.concept, held_out=False))
    ceiling = leave_one_out_cosine(photos)
    return find_scale(untouched, ignoring, ceiling, trial.edit, trial.settings.seeds)


def _cells(trial: Trial, judges: Judges, folders: Sequence[Path]) -> Cells:
    """The scores of validation pictures; a folder is a training."""
    places = [(prompt, seed) for prompt in trial.prompts for seed in trial.image_seeds]
    paths = [picture_path(f, prompt.id, seed) for f in folders for prompt, seed in places]
    pictures = picture_files(paths)
    texts = [fill(prompt.template, trial.concept.class_noun) for prompt, _ in places]
    photos = judges.embed("dino", photo_images(trial.concept, held_out=False))
    dino = cosine_matrix(judges.embed("dino", pictures), photos).mean(axis=1)
    clip_t = text_scores(judges, pictures, texts * len(folders))
    shape = (len(folders), len(trial.prompts), trial.count)
    return Cells(dino.reshape(shape), clip_t.reshape(shape))


def _losses(trial: Trial, method: str) -> list[dict[str, Any]]:
    """The change of the loss on held-out and training photos at each checkpoint, in order."""
    untouched = read_json(losses_path(run_folder(trial.out, None)))
    rows = []
    for step in sorted(trial.steps(method)):
        tuned = [read_json(losses_path(run, step)) for run in trial.runs(method)]
        row = {
            kind: loss_ratio(np.array([t[kind] for t in tuned]), np.array(untouched[kind]))
            for kind in ("held_out", "training")
        }
        rows.append({"step": step, **row})
    return rows


def _chosen(
    trial: Trial, method: str, scale: Scale, candidates: Sequence[Candidate], chosen: Candidate
) -> dict[str, Any]:
    order = sorted(candidates, key=lambda c: (c.step, c.strength))
    return {
        "checkpoint": chosen.step,
        "strength": chosen.strength,
        "prompts": [prompt.template for prompt in trial.prompts],
        "image_seeds": list(trial.image_seeds),
        "candidates": [candidate_row(c, scale.sampled, c is chosen) for c in order],
        "losses": _losses(trial, method),
        "problem": None,
    }


def _unchosen(trial: Trial, method: str, problem: str) -> dict[str, Any]:
    last = trial.steps(method)[0]
    return {
        "checkpoint": last,
        "strength": 1.0,
        "prompts": [],
        "image_seeds": [],
        "candidates": [unscored_row(last)],
        "losses": [],
        "problem": problem,
    }
