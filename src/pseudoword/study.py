"""A study: several methods learn one concept on equal terms, and are compared."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from pseudoword import __version__
from pseudoword.artefact import load_run
from pseudoword.compute import check_compute, compute_record, library_versions
from pseudoword.concept import Concept, clean_class_noun, load_concept, save_photos
from pseudoword.device import pick_device
from pseudoword.drawing import draw_given, draw_prompts
from pseudoword.errors import UserError
from pseudoword.evaluate import Judges, encoder_names
from pseudoword.families import load_model, model_row
from pseudoword.families.model import Model
from pseudoword.foreign.given import Given, parse_artefacts
from pseudoword.methods import check_quantise, find_method, make_method
from pseudoword.methods.base import Method, token_count
from pseudoword.methods.own import own_code
from pseudoword.pictures import find_pictures
from pseudoword.progress import Reporter
from pseudoword.prompts import Prompt, custom_suite, fill, load_suite
from pseudoword.report.write import write_report
from pseudoword.runs import (
    given_folder,
    prepare_folder,
    read_json,
    refuse_file,
    run_folder,
    write_atomic,
    write_json,
)
from pseudoword.scoring import Scored, score_study
from pseudoword.settings import EFFORTS, StudySettings
from pseudoword.single import (
    check_objective,
    claim_folder,
    load_for,
    prior_latents,
    save_picture,
    tell_intake,
    tell_long_prompts,
    train_into,
)
from pseudoword.sweep import SEED as SWEPT_SEED
from pseudoword.sweep import draw_strengths, score_strengths
from pseudoword.toybox.photos import find_toy, true_pictures
from pseudoword.truth import Truth, load_truth, oracle_record, outside_language

SNAPSHOTS = 3
TRUTH = 8
"""True renders a prompt, where the concept is a toy."""


@dataclass(frozen=True, eq=False)
class Plan:
    """All that a study is going to do."""

    settings: StudySettings
    concept: Concept
    prompts: tuple[Prompt, ...]
    changes: Mapping[str, Mapping[str, Any]]
    kinds: Mapping[str, type[Method]]
    given: tuple[Given, ...]
    image_seeds: tuple[int, ...]
    toy: Any | None
    out: Path
    device: torch.device

    @property
    def methods(self) -> tuple[str, ...]:
        return tuple(self.changes)

    @property
    def strengths(self) -> tuple[float, ...]:
        """The inference strengths to draw beside 1."""
        chosen = self.settings.strengths or EFFORTS[self.settings.effort].strengths
        return tuple(strength for strength in dict.fromkeys(chosen) if strength != 1)

    def make_method(self, name: str) -> Method:
        """A fresh instance: one serves one model."""
        preset = model_row(self.settings.model).preset
        return make_method(self.kinds[name], preset, self.changes[name])

    def run_folder(self, method: str, seed: int) -> Path:
        return run_folder(self.out, method, seed)


def run_study(
    photos: Sequence[Path], settings: StudySettings, out: Path, reporter: Reporter
) -> dict[str, Any]:
    """Trains, draws, scores and reports into `out`; what is done already is not done again.

    Returns the content of results.json. Raises UserError for anything the user can mend, before
    any training.
    """
    device = pick_device(settings.device)
    encoders = chosen_encoders(settings)
    changes, prompts = check_settings(settings)
    given = parse_artefacts(settings.artefacts, settings.compute.quantise)
    kinds = study_methods(settings)
    # Told before a model is loaded, and perhaps downloaded for it.
    check_quantise(settings.compute.quantise, kinds.values())
    check_compute(settings.compute, device)
    find_pictures(photos, [])
    refuse_file(out)
    model = load_model(settings.model, device, settings.loading, settings.compute)
    check_objective(model, settings.objective)
    concept = load_concept(photos, settings.class_noun, model.resolution, intake=settings.intake)
    plan = Plan(
        settings=settings,
        concept=concept,
        prompts=prompts,
        changes=changes,
        kinds=kinds,
        given=given,
        image_seeds=tuple(range(settings.pictures or EFFORTS[settings.effort].pictures)),
        toy=find_toy(photos),
        out=out,
        device=device,
    )
    judges = Judges.load(encoders, str(device), out / "cache" / "embeddings")
    prepare_folder(out)
    claim_folder(out, _identity(plan, model), out / "identity.json")
    _write_record(plan, model, judges, _tell(plan, model, reporter))
    # Whatever is in memory while a method trains would count as its own.
    del judges
    base = run_folder(out, None)
    _draw(plan, model, concept.class_noun, base, "untouched model, pictures", reporter)
    del model
    # Before any training, since a file that does not fit is told when it is loaded.
    for artefact in plan.given:
        drawing = settings.generate
        folder = given_folder(out, artefact.name)
        seeds = plan.image_seeds
        draw_given(artefact, settings, device, prompts, seeds, drawing, folder, reporter)
    for name in plan.methods:
        for seed in range(settings.seeds):
            _run(plan, name, seed, reporter)
    if plan.toy is not None:
        _render_truth(plan)
    judges = Judges.load(encoders, str(device), out / "cache" / "embeddings")
    scored = _scored(plan)
    results = score_study(scored, judges, reporter)
    results["strengths"] = score_strengths(scored, plan.strengths, judges, reporter)
    write_json(out / "results.json", results)
    write_report(out)
    return results


def check_settings(
    settings: StudySettings,
) -> tuple[dict[str, dict[str, Any]], tuple[Prompt, ...]]:
    """The settings that each method gets beyond its preset, and the prompts.

    Raises UserError for whatever can be told to be wrong without loading anything.
    """
    row = model_row(settings.model)
    class_noun, _ = clean_class_noun(settings.class_noun)
    kinds = study_methods(settings)
    unknown = sorted(set(settings.options) - set(kinds))
    if unknown:
        raise UserError(f"options: {unknown[0]} is not among --methods.")
    if settings.prompts and settings.suite != "auto":
        raise UserError("--suite and --prompt exclude each other: give one of them.")
    if settings.prompts:
        prompts = custom_suite(settings.prompts)
    else:
        suite = row.suite if settings.suite == "auto" else settings.suite
        prompts = load_suite(suite, class_noun)
    factor = EFFORTS[settings.effort].step_factor
    changes = {}
    for name, kind in kinds.items():
        usual = make_method(kind, row.preset).settings.steps
        scaled = {"steps": max(1, round(usual * factor))}
        changes[name] = scaled | dict(settings.options.get(name, {}))
        make_method(kind, row.preset, changes[name])
    return changes, prompts


def study_methods(settings: StudySettings) -> dict[str, type[Method]]:
    """The methods of a study by name, its own ones among them. Raises UserError."""
    kinds = [find_method(name) for name in settings.methods]
    if not kinds:
        raise UserError("--methods names no method: see `pseudoword methods`.")
    named = {kind.name: kind for kind in kinds}
    if len(named) < len(kinds):
        raise UserError("--methods names a method twice: name each once.")
    return named


def _tell(plan: Plan, model: Model, reporter: Reporter) -> list[str]:
    """Says what was ignored, changed or doubtful; returns the notes."""
    methods = [plan.make_method(name) for name in plan.methods]
    notes = tell_intake(reporter, plan.concept, model, methods)
    noun = plan.concept.class_noun
    # As long as the method with the most words for the concept makes them.
    most = max(method.phrase_tokens(model, noun) for method in methods)
    extra = max(0, most - token_count(model, noun))
    texts = [fill(prompt.template, noun) for prompt in plan.prompts]
    notes += tell_long_prompts(reporter, model, texts, extra)
    strange = outside_language(plan.prompts, plan.toy) if plan.toy is not None else None
    if strange is not None:
        notes.append(
            f"the truth is not scored: the renderer cannot draw the prompt {strange.template!r}"
        )
        reporter.note(notes[-1])
    return notes


def chosen_encoders(settings: StudySettings) -> dict[str, str]:
    """The encoder in each role. Raises UserError for one that does not fit it."""
    chosen = {
        "clip": settings.clip_encoder,
        "dino": settings.dino_encoder,
        "inception": settings.inception_encoder,
    }
    return encoder_names(settings.model, chosen)


def _identity(plan: Plan, model: Model) -> dict[str, Any]:
    """What may not change between two runs of the same command."""
    return {
        "settings": plan.settings.model_dump(exclude={"device", "artefacts", "compute"}),
        "given": [[given.phrase, given.strength, given.sha256] for given in plan.given],
        "compute": compute_record(plan.settings.compute, plan.device),
        "methods": {name: plan.make_method(name).settings.model_dump() for name in plan.methods},
        "prompts": [prompt.template for prompt in plan.prompts],
        "photos": [photo.identity for photo in plan.concept.photos],
        "model": model.fingerprint,
        **own_code(list(plan.kinds.values())),
    }


def _write_record(plan: Plan, model: Model, judges: Judges, notes: list[str]) -> None:
    """study.json; a study that is taken up again keeps its date."""
    path = plan.out / "study.json"
    settings = plan.settings
    created = read_json(path)["created"] if path.exists() else datetime.now(UTC).isoformat()
    write_json(
        path,
        {
            "pseudoword": __version__,
            "created": created,
            "class_noun": plan.concept.class_noun,
            "model": settings.model,
            "effort": settings.effort,
            "settings": settings.model_dump(),
            "compute": compute_record(settings.compute, plan.device),
            "versions": library_versions(settings.compute),
            "weights": {settings.model: model.fingerprint},
            "photos": save_photos(plan.concept, plan.out),
            "held_out": plan.concept.held_out is not None,
            "notes": notes,
            "warnings": list(plan.concept.warnings),
            "prompts": [vars(prompt) for prompt in plan.prompts],
            "image_seeds": list(plan.image_seeds),
            "seeds": list(range(settings.seeds)),
            "methods": [_method_record(plan.make_method(name)) for name in plan.methods],
            "given": [{**vars(given), "path": str(given.path)} for given in plan.given],
            "encoders": {
                role: {
                    "name": encoder.name,
                    "sha256": encoder.sha256,
                    "preprocessing": encoder.preprocessing,
                }
                for role, encoder in judges.encoders.items()
            }
            | ({"oracle": oracle_record()} if plan.toy is not None else {}),
        },
    )


def _method_record(method: Method) -> dict[str, Any]:
    return {
        "name": method.name,
        "file": method.file,
        "title": method.title,
        "about": method.summary,
        "settings": method.settings.model_dump(),
    }


def _run(plan: Plan, name: str, seed: int, reporter: Reporter) -> None:
    """Trains one method with one seed and draws its pictures from the stored artefact."""
    folder = plan.run_folder(name, seed)
    if (folder / "done").exists():
        return
    if not (folder / "run.json").exists():
        method = plan.make_method(name)
        model = load_for(method, plan.settings, plan.device)
        noun = plan.concept.class_noun
        batch = plan.settings.generate.batch_size
        prior = prior_latents(model, method, noun, plan.out / "cache", reporter, batch)
        objective = plan.settings.objective
        train_into(model, method, plan.concept, folder, seed, prior, objective, SNAPSHOTS, reporter)
        del model, method, prior
    compute = plan.settings.compute
    loaded = load_run(folder, plan.device, plan.settings.model, compute=compute)
    task = f"{loaded.method.title}, seed {seed}, pictures"
    _draw(plan, loaded.model, loaded.noun_phrase, folder, task, reporter)
    if seed == SWEPT_SEED:
        drawing = plan.settings.generate
        strengths, prompts, seeds = plan.strengths, plan.prompts, plan.image_seeds
        draw_strengths(loaded, strengths, prompts, seeds, drawing, folder, reporter)
    write_atomic(folder / "done", "")


def _draw(
    plan: Plan, model: Model, phrase: str, folder: Path, task: str, reporter: Reporter
) -> None:
    drawing = plan.settings.generate
    draw_prompts(model, phrase, plan.prompts, plan.image_seeds, drawing, folder, task, reporter)


def _render_truth(plan: Plan) -> None:
    """True renders of the toy for every prompt that the world's language can say."""
    for prompt in plan.prompts:
        pictures = true_pictures(plan.toy, prompt.template, max(TRUTH, len(plan.image_seeds)))
        for index, picture in enumerate(pictures or []):
            save_picture(plan.out / "truth" / f"{prompt.id}-{index}.png", picture)


def _scored(plan: Plan) -> Scored:
    """Where everything is that the scores are made from."""
    runs = {
        (name, seed): plan.run_folder(name, seed)
        for name in plan.methods
        for seed in range(plan.settings.seeds)
    }
    return Scored(
        out=plan.out,
        concept=plan.concept,
        prompts=plan.prompts,
        image_seeds=plan.image_seeds,
        titles={name: plan.make_method(name).title for name in plan.methods},
        runs=runs,
        base=run_folder(plan.out, None),
        truth=_truth(plan),
        given={given.name: (given, given_folder(plan.out, given.name)) for given in plan.given},
    )


def _truth(plan: Plan) -> Truth | None:
    """The truth, where the concept is a toy and every prompt can be rendered."""
    if plan.toy is None or outside_language(plan.prompts, plan.toy) is not None:
        return None
    return load_truth(plan.toy, plan.prompts, plan.out / "truth")
