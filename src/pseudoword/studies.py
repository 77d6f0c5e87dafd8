"""Studies of several concepts: one each, then what holds over all of them."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pseudoword import __version__
from pseudoword.concept import load_concept
from pseudoword.concept_folders import ConceptFolder, find_concepts
from pseudoword.divergence import DivergedError
from pseudoword.errors import UserError, printable
from pseudoword.locks import hold, share
from pseudoword.metrics.concepts import summarise_concepts
from pseudoword.pictures import some
from pseudoword.plan import check_settings
from pseudoword.progress import Named, Reporter
from pseudoword.report.across import write_summary
from pseudoword.runs import prepare_folder, refuse_file, write_json
from pseudoword.settings import StudySettings
from pseudoword.sources import known_record
from pseudoword.study import run_study
from pseudoword.toybox.photos import find_toy

CHECKED_SIZE = 256
"""Photos are looked through at this size, px, before any model is loaded."""


def run_studies(
    folder: Path, settings: StudySettings, out: Path, reporter: Reporter
) -> dict[str, Any]:
    """A study of every concept in `folder` into OUT/<its folder's name>/, and the summary.

    `settings.class_noun` serves all concepts; empty, each has its own (`find_concepts`). What is
    done already is not done again; several processes share the concepts. Returns the content of
    OUT/summary.json, which `metrics.concepts.summarise_concepts` describes; OUT/summary.html shows
    it. Raises UserError for anything the user can mend, before any training.
    """
    if settings.artefacts:
        raise UserError(
            "--artefact was trained on one concept, and these are several: leave it out, or study "
            "its concept alone."
        )
    refuse_file(out)
    if out.exists() and os.path.samefile(out, folder):
        raise UserError(f"--out {out} is the folder of the photos: name one that is new or empty.")
    notes: list[str] = []
    concepts = find_concepts(folder, settings.class_noun, notes)
    _check(concepts, settings, out, notes)
    for note in notes:
        reporter.note(note)
    prepare_folder(out)
    studies: dict[str, Path] = {}
    failed: list[DivergedError] = []
    places = {
        concept.name: f"{printable(concept.name)} ({index} of {len(concepts)})"
        for index, concept in enumerate(concepts, start=1)
    }

    def study(concept: ConceptFolder) -> None:
        told = Named(reporter, places[concept.name])
        try:
            run_study([concept.folder], _settings_of(concept, settings), out / concept.name, told)
            studies[concept.name] = out / concept.name
        except DivergedError as error:
            # The others are worth their time all the same, unless none of them gets further.
            failed.append(error)
            notes.append(f"{printable(concept.name)} is left out: {str(error).splitlines()[0]}")
            reporter.note(notes[-1])

    share(concepts, study, reporter.note)
    if failed and not studies:
        raise failed[-1]
    studies = {c.name: studies[c.name] for c in concepts if c.name in studies}
    found = {"pseudoword": __version__, **summarise_concepts(studies), "notes": notes}
    # Each concept was held by whoever studied it; the summary is of all.
    with hold(out, reporter.note):
        write_json(out / "summary.json", found, sealed=True)
        write_summary(out)
    return found


def _settings_of(concept: ConceptFolder, settings: StudySettings) -> StudySettings:
    return settings.model_copy(update={"class_noun": concept.class_noun})


def _check(
    concepts: Sequence[ConceptFolder], settings: StudySettings, out: Path, notes: list[str]
) -> None:
    """Raises UserError for what would stop a later study, and notes photos of two concepts."""
    problems: dict[str, UserError] = {}
    owners: dict[str, list[str]] = {}
    for concept in concepts:
        of = _settings_of(concept, settings)
        check_settings(of)
        try:
            find_toy([concept.folder])
            checksums = _checksums([concept.folder], of, out / concept.name)
        except UserError as error:
            problems[printable(concept.name)] = error
            continue
        for checksum in checksums:
            owners.setdefault(checksum, []).append(printable(concept.name))
    if problems:
        raise _problems_error(problems, len(concepts))
    shared = dict.fromkeys(" and ".join(names) for names in owners.values() if len(names) > 1)
    if shared:
        notes.append(
            f"the same photo in {some(shared)}: if these are one concept, it counts for too much"
        )


def _checksums(photos: Sequence[Path], settings: StudySettings, study: Path) -> list[str]:
    """Of the photos' pixels; what the concept's study read before is not decoded again."""
    known = known_record(study, photos, settings)
    if known is not None:
        return [photo["sha256"] for photo in known["photos"]]
    noun = settings.class_noun
    concept = load_concept(photos, noun, CHECKED_SIZE, intake=settings.intake)
    return [photo.sha256 for photo in concept.photos]


def _problems_error(problems: Mapping[str, UserError], count: int) -> UserError:
    (_, first), *others = problems.items()
    if not others:
        return first
    return UserError(
        f"{str(first).replace(chr(10), ' ')}\n{len(problems)} of {count} concepts cannot be used; "
        f"also: {some(name for name, _ in others)}"
    )
