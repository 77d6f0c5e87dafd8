"""A study: several methods learn one concept on equal terms, and are compared."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pseudoword.artefact import load_run
from pseudoword.compute import check_compute
from pseudoword.concept import load_concept
from pseudoword.device import pick_device
from pseudoword.divergence import DivergedError
from pseudoword.drawing import (
    draw_drift,
    draw_given,
    draw_prompts,
    drift_seeds,
)
from pseudoword.evaluate import Judges
from pseudoword.failures import failure_rows, surviving
from pseudoword.families import load_model
from pseudoword.families.model import Model
from pseudoword.finished import finished_study, pictures_there
from pseudoword.foreign.given import parse_artefacts
from pseudoword.locks import hold
from pseudoword.methods import check_quantise
from pseudoword.methods.base import token_count
from pseudoword.metrics.flags import flags_of
from pseudoword.pictures import find_pictures
from pseudoword.plan import (
    SNAPSHOTS,
    Plan,
    check_settings,
    chosen_encoders,
    make_plan,
    study_methods,
)
from pseudoword.progress import Reporter
from pseudoword.prompts import fill
from pseudoword.record import drift_record, identity, write_record, write_settings
from pseudoword.report.write import write_report
from pseudoword.runs import (
    given_folder,
    hash_json,
    read_json,
    run_folder,
    write_atomic,
    write_json,
)
from pseudoword.scoring import Scored, score_study
from pseudoword.selection import draw_untouched, select
from pseudoword.settings import StudySettings
from pseudoword.single import (
    check_objective,
    claim_folder,
    load_for,
    save_picture,
    tell_intake,
    tell_long_prompts,
    train_into,
)
from pseudoword.sources import read_sources
from pseudoword.toybox.photos import find_toy, true_pictures
from pseudoword.train import has_ended
from pseudoword.truth import TRUTH, Truth, load_truth, outside_language, renders


def run_study(
    photos: Sequence[Path], settings: StudySettings, out: Path, reporter: Reporter
) -> dict[str, Any]:
    """Trains, draws, scores and reports into `out`; what is done already is not done again.

    Returns the content of results.json. Raises UserError for anything the user can mend, before
    any training; HeldError where another process works in `out`.
    """
    with hold(out, reporter.note):
        return _run_study(photos, settings, out, reporter)


def _run_study(
    photos: Sequence[Path], settings: StudySettings, out: Path, reporter: Reporter
) -> dict[str, Any]:
    device = pick_device(settings.device)
    encoders = chosen_encoders(settings)
    check_settings(settings)
    parse_artefacts(settings.artefacts, settings.compute.quantise)
    kinds = study_methods(settings)
    # Told before a model is loaded, and perhaps downloaded for it.
    check_quantise(settings.compute.quantise, kinds.values())
    check_compute(settings.compute, device)
    find_pictures(photos, [])
    done = finished_study(photos, settings, out, device)
    if done is not None:
        reporter.note(f"{out} is finished: nothing is done again")
        for row in done["failures"]:
            reporter.note(f"{row['title']}: {row['text']}")
        return done
    model = load_model(settings.model, device, settings.loading, settings.compute)
    check_objective(model, settings.objective)
    concept = load_concept(photos, settings.class_noun, model.resolution, intake=settings.intake)
    sources = read_sources(photos, settings.class_noun, settings.intake)
    plan = make_plan(settings, concept, find_toy(photos), out, device)
    judges = Judges.load(encoders, str(device), out / "cache" / "embeddings", note=reporter.note)
    claimed = identity(plan, model.fingerprint)
    claim_folder(out, claimed)
    # The record is of this version and these encoders from here on, and older scores are not.
    (out / "results.json").unlink(missing_ok=True)
    notes = _tell(plan, model, reporter)
    write_record(plan, model, judges, hash_json(claimed), notes, sources)
    write_settings(plan)
    # Whatever is in memory while a method trains would count as its own.
    del judges
    base = run_folder(out, None)
    _draw(plan, model, concept.class_noun, base, "untouched model", reporter)
    draw_untouched(plan.trial, model, reporter)
    del model
    # Before any training, since a file that does not fit is told when it is loaded.
    for artefact in plan.given:
        folder = given_folder(out, artefact.name)
        prompts, seeds, drawing = plan.prompts, plan.image_seeds, settings.generate
        draw_given(artefact, settings, device, prompts, seeds, drawing, folder, reporter)
    for (name, seed), folder in plan.runs().items():
        _train(plan, name, seed, folder, reporter)
    whole, plan = plan, surviving(plan)
    selection = select(plan.trial, reporter)
    for folder in plan.runs().values():
        _draw_run(plan, folder, reporter)
    _render_truth(plan)
    judges = Judges.load(encoders, str(device), out / "cache" / "embeddings", note=reporter.note)
    results = score_study(_scored(plan), judges, reporter)
    results["selection"] = selection
    results["failures"] = failure_rows(whole, selection)
    for name, row in results["methods"].items():
        row["flags"] = flags_of(row, results["normalised"][name], selection[name])
    results["drift"] = drift_record(plan)
    write_json(out / "results.json", results, sealed=True)
    write_report(out)
    return results


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
    if not plan.settings.select or plan.concept.held_out is None:
        notes.append(
            "whether a training went too far is not told: that takes a photo that is held out (of "
            "four or more) and the choice of checkpoints"
        )
        reporter.note(notes[-1])
    removed = plan.trial.removed
    if removed and plan.settings.select:
        listed = ", ".join(repr(prompt.template) for prompt in removed)
        notes.append(
            f"nothing is chosen on {listed}: the study's own prompts hold that, and what is chosen "
            "on is not judged on"
        )
        reporter.note(notes[-1])
    strange = outside_language(plan.prompts, plan.toy) if plan.toy is not None else None
    if strange is not None:
        notes.append(
            f"the truth is not scored: the renderer cannot draw the prompt {strange.template!r}"
        )
        reporter.note(notes[-1])
    return notes


def _train(plan: Plan, name: str, seed: int, folder: Path, reporter: Reporter) -> None:
    """Trains one method with one seed. One that diverges is told, and the study goes on."""
    try:
        if has_ended(folder):
            return
        method = plan.make_method(name)
        model = load_for(method, plan.settings, plan.device)
        train_into(
            model,
            method,
            plan.concept,
            folder,
            seed,
            plan.out / "cache",
            plan.settings.objective,
            SNAPSHOTS,
            reporter,
            plan.settings.checkpoints,
            plan.settings.generate.batch_size,
        )
    except DivergedError as error:
        reporter.note(f"{str(error).splitlines()[0]} The study goes on without its end.")


def _draw_run(plan: Plan, folder: Path, reporter: Reporter) -> None:
    """Draws the pictures of a run as was chosen, from the stored artefact."""
    if (folder / "done").exists() and pictures_there(plan, folder):
        return
    loaded = load_run(folder, plan.device, plan.settings.model, plan.settings.compute)
    who = f"{loaded.method.title}, seed {loaded.run['seed']}"
    _draw(plan, loaded.model, loaded.noun_phrase, folder, who, reporter)
    write_atomic(folder / "done", "")


def _draw(
    plan: Plan, model: Model, phrase: str, folder: Path, who: str, reporter: Reporter
) -> None:
    """The final pictures, and those without the concept."""
    drawing, task = plan.settings.generate, f"{who}, pictures"
    draw_prompts(model, phrase, plan.prompts, plan.image_seeds, drawing, folder, task, reporter)
    count, task = plan.effort.drift_pictures, f"{who}, pictures without the concept"
    draw_drift(model, plan.drift, drawing, count, folder, task, reporter)


def _render_truth(plan: Plan) -> None:
    """True renders of the toy for every prompt that the world's language can say."""
    for prompt, names in renders(plan.prompts, plan.toy, len(plan.image_seeds)).items():
        pictures = true_pictures(plan.toy, prompt.template, len(names)) or []
        for name, picture in zip(names, pictures, strict=True):
            save_picture(plan.out / TRUTH / name, picture)


def _scored(plan: Plan) -> Scored:
    """Where everything is that the scores are made from."""
    return Scored(
        out=plan.out,
        identity=read_json(plan.out / "study.json")["identity"],
        concept=plan.concept,
        prompts=plan.prompts,
        image_seeds=plan.image_seeds,
        titles={name: plan.make_method(name).title for name in plan.methods},
        runs=plan.runs(),
        base=run_folder(plan.out, None),
        truth=_truth(plan),
        given={given.name: (given, given_folder(plan.out, given.name)) for given in plan.given},
        drift=plan.drift,
        drift_seeds=drift_seeds(plan.effort.drift_pictures),
    )


def _truth(plan: Plan) -> Truth | None:
    """The truth, where the concept is a toy and every prompt can be rendered."""
    if plan.toy is None or outside_language(plan.prompts, plan.toy) is not None:
        return None
    return load_truth(plan.toy, plan.prompts, plan.out / TRUTH)
