"""Measuring artefacts that others trained without a study: drawn beside the untouched model."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pseudoword.compute import compute_record
from pseudoword.concept import load_concept, save_photos
from pseudoword.device import pick_device
from pseudoword.drawing import draw_given, draw_prompts
from pseudoword.evaluate import Judges
from pseudoword.families import load_model, model_row
from pseudoword.foreign.given import parse_artefacts
from pseudoword.locks import hold
from pseudoword.metrics.given import summarise_given
from pseudoword.pictures import find_pictures
from pseudoword.plan import chosen_encoders
from pseudoword.progress import Reporter
from pseudoword.prompts import Prompt, custom_suite, load_suite
from pseudoword.runs import given_folder, hash_json, run_folder, write_json
from pseudoword.scoring import Scored, measure
from pseudoword.settings import EFFORTS, PhotoSettings, StudySettings
from pseudoword.single import claim_folder


def evaluate_given(
    references: Sequence[Path], settings: StudySettings, out: Path, reporter: Reporter
) -> dict[str, Any]:
    """Draws the suite with each of `settings.artefacts` and without, and scores both.

    Everything goes into `out`, and what is done already is not done again. Returns {"metrics",
    "given", "base_model", "ceiling", "notes"}, as evaluation.json keeps it. Raises UserError.
    """
    with hold(out, reporter.note):
        return _evaluate_given(references, settings, out, reporter)


def _evaluate_given(
    references: Sequence[Path], settings: StudySettings, out: Path, reporter: Reporter
) -> dict[str, Any]:
    device = pick_device(settings.device)
    given = parse_artefacts(settings.artefacts, settings.compute.quantise)
    prompts = _prompts(settings)
    encoders = chosen_encoders(settings)
    find_pictures(references, [])
    model = load_model(settings.model, device, settings.loading, settings.compute)
    plain = PhotoSettings(captions=False, masks=False)
    concept = load_concept(
        references, settings.class_noun, model.resolution, hold_out=False, intake=plain
    )
    drawing = settings.generate
    seeds = tuple(range(settings.pictures or EFFORTS[settings.effort].pictures))
    identity = {
        "given": [[one.phrase, one.strength, one.sha256] for one in given],
        "prompts": [prompt.template for prompt in prompts],
        "image_seeds": list(seeds),
        "generate": drawing.model_dump(),
        "class_noun": concept.class_noun,
        "photos": [photo.identity for photo in concept.photos],
        "model": model.fingerprint,
        "compute": compute_record(settings.compute, device),
    }
    claim_folder(out, identity)
    save_photos(concept, out)
    notes = [*model.notes, *concept.notes, *concept.warnings]
    for note in notes:
        reporter.note(note)
    base, task = run_folder(out, None), "untouched model, pictures"
    draw_prompts(model, concept.class_noun, prompts, seeds, drawing, base, task, reporter)
    del model
    for one in given:
        folder = given_folder(out, one.name)
        draw_given(one, settings, device, prompts, seeds, drawing, folder, reporter)
    scored = Scored(
        out=out,
        identity=hash_json(identity),
        concept=concept,
        prompts=prompts,
        image_seeds=seeds,
        titles={},
        runs={},
        base=base,
        given={one.name: (one, given_folder(out, one.name)) for one in given},
    )
    judges = Judges.load(encoders, str(device), out / "cache" / "embeddings", note=reporter.note)
    results = summarise_given(measure(scored, judges, reporter), scored.known())
    write_json(out / "evaluation.json", results | {"notes": notes}, sealed=True)
    return results | {"notes": notes}


def _prompts(settings: StudySettings) -> tuple[Prompt, ...]:
    if settings.prompts:
        return custom_suite(settings.prompts)
    auto = settings.suite == "auto"
    suite = model_row(settings.model).suite if auto else settings.suite
    return load_suite(suite, settings.class_noun)
