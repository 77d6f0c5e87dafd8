"""Whether a study is finished, told from its files alone: no model is loaded, no picture opened."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from pseudoword.concept import Concept
from pseudoword.drawing import drift_drawn, prompts_drawn
from pseudoword.failures import surviving
from pseudoword.families import file_key, known_fingerprint
from pseudoword.metrics.tables import read_identity
from pseudoword.plan import Plan, make_plan
from pseudoword.record import identity
from pseudoword.runs import IDENTITY, given_folder, hash_json, names_in, read_json, run_folder
from pseudoword.settings import StudySettings
from pseudoword.sources import known_record
from pseudoword.toybox.photos import find_toy
from pseudoword.truth import TRUTH, renders

WRITTEN = ("study.json", IDENTITY, "selection.json", "scores.parquet", "report.html")
"""What is there before or beside results.json."""


def finished_study(
    photos: Sequence[Path], settings: StudySettings, out: Path, device: torch.device
) -> dict[str, Any] | None:
    """The content of results.json, where `run_study` would do nothing; else None.

    A study by another version, or of photos or a single file of a model that were written anew,
    counts as not finished: `run_study` then goes through all its steps, most of which are done.
    Raises UserError for photos that cannot be used, and results of another study.
    """
    if not all((out / name).is_file() for name in (*WRITTEN, "results.json")):
        return None
    record = known_record(out, photos, settings)
    fingerprint = None if record is None else _fingerprint(record, settings)
    if fingerprint is None or record is None:
        return None
    unread = Concept(record["class_noun"], (), (), ())
    plan = make_plan(settings, unread, find_toy(photos), out, device)
    claimed = read_json(out / IDENTITY)
    wanted = json.loads(json.dumps(identity(plan, fingerprint)))
    # The files of the photos are known to be the same, so they are what they were.
    wanted["photos"] = claimed["photos"]
    trained = all((folder / "run.json").is_file() for folder in plan.runs().values())
    if claimed != wanted or not trained or not _truth_there(plan):
        return None
    given = [given_folder(out, each.name) for each in plan.given]
    if not all(prompts_drawn(plan.prompts, plan.image_seeds, folder) for folder in given):
        return None
    drawn = [run_folder(out, None), *surviving(plan).runs().values()]
    if not all(_drawn(plan, folder) for folder in drawn):
        return None
    if not all((out / photo["file"]).is_file() for photo in record["photos"]):
        return None
    if record.get("identity") != hash_json(claimed):
        return None
    results: dict[str, Any] = read_json(out / "results.json")
    read_identity(out, record, results)
    return results


def _fingerprint(record: Mapping[str, Any], settings: StudySettings) -> str | None:
    """The model's, if nothing has to be loaded for it."""
    key = file_key(settings.model, settings.loading)
    if key is None:
        return known_fingerprint(settings.model, settings.loading)
    (known,) = record["weights"].values()
    return known if record.get("model_file") == key else None


def _truth_there(plan: Plan) -> bool:
    """Whether no true render is missing."""
    there = names_in(plan.out / TRUTH)
    wanted = renders(plan.prompts, plan.toy, len(plan.image_seeds))
    return all(name in there for names in wanted.values() for name in names)


def _drawn(plan: Plan, folder: Path) -> bool:
    """Whether a run was drawn as was chosen, and nothing is missing since."""
    base = folder == run_folder(plan.out, None)
    ended = base or ((folder / "done").exists() and (folder / "chosen.json").exists())
    return ended and pictures_there(plan, folder)


def pictures_there(plan: Plan, folder: Path) -> bool:
    """Whether no final picture is missing: one that was removed is to be drawn again."""
    count = plan.effort.drift_pictures
    return prompts_drawn(plan.prompts, plan.image_seeds, folder) and drift_drawn(
        plan.drift, count, folder
    )
