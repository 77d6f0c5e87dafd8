"""What a study writes down of itself: identity.json and study.json."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from pseudoword import __version__
from pseudoword.compute import compute_record, library_versions
from pseudoword.concept import save_photos
from pseudoword.drawing import drift_seeds
from pseudoword.evaluate import Judges
from pseudoword.families import file_key
from pseudoword.families.model import Model
from pseudoword.methods.base import Method
from pseudoword.methods.own import own_code
from pseudoword.plan import SNAPSHOTS, Plan
from pseudoword.runs import read_json, write_atomic, write_json
from pseudoword.sources import Source
from pseudoword.truth import oracle_record


def identity(plan: Plan, fingerprint: str) -> dict[str, Any]:
    """What may not change between two runs of the same command; `fingerprint` is the model's."""
    return {
        "settings": plan.settings.model_dump(
            exclude={"device", "artefacts", "compute", "checkpoints"}
        ),
        "given": [[given.phrase, given.strength, given.sha256] for given in plan.given],
        "compute": compute_record(plan.settings.compute, plan.device),
        "methods": {name: plan.make_method(name).settings.model_dump() for name in plan.methods},
        "prompts": [prompt.template for prompt in plan.prompts],
        "image_seeds": list(plan.image_seeds),
        "validation": _validation_record(plan) | {"strengths": list(plan.trial.strengths)},
        "drift": drift_record(plan),
        "snapshots": SNAPSHOTS,
        "photos": [photo.identity for photo in plan.concept.photos],
        "model": fingerprint,
        **own_code(list(plan.kinds.values())),
    }


def write_settings(plan: Plan) -> None:
    """settings.yaml: this study for `--config`, with its suite's prompts to be added to."""
    import yaml

    settings = plan.settings.model_dump(mode="json")
    settings |= {"suite": "auto", "prompts": [f"{p.kind}: {p.template}" for p in plan.prompts]}
    text = yaml.safe_dump(settings, allow_unicode=True, sort_keys=False)
    write_atomic(plan.out / "settings.yaml", text)


def write_record(
    plan: Plan,
    model: Model,
    judges: Judges,
    identity: str,
    notes: list[str],
    sources: Sequence[Source],
) -> None:
    """study.json; a study that is taken up again keeps its date. `identity` is a hash."""
    path = plan.out / "study.json"
    settings = plan.settings
    created = read_json(path)["created"] if path.exists() else datetime.now(UTC).isoformat()
    write_json(
        path,
        {
            "pseudoword": __version__,
            "created": created,
            "identity": identity,
            "class_noun": plan.concept.class_noun,
            "model": settings.model,
            "effort": settings.effort,
            "settings": settings.model_dump(),
            "compute": compute_record(settings.compute, plan.device),
            "versions": library_versions(settings.compute),
            "weights": {settings.model: model.fingerprint},
            "model_file": file_key(settings.model, settings.loading),
            "photos": save_photos(plan.concept, plan.out),
            "sources": sources,
            "held_out": plan.concept.held_out is not None,
            "notes": notes,
            "warnings": list(plan.concept.warnings),
            "prompts": [vars(prompt) for prompt in plan.prompts],
            "image_seeds": list(plan.image_seeds),
            "validation": _validation_record(plan),
            "drift": drift_record(plan),
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
        sealed=True,
    )


def _validation_record(plan: Plan) -> dict[str, Any]:
    """What checkpoints and strengths are chosen on; final pictures share none of it."""
    trial = plan.trial
    final = {prompt.template.lower() for prompt in plan.prompts}
    return {
        "prompts": [vars(prompt) for prompt in trial.prompts],
        "image_seeds": list(trial.image_seeds),
        "disjoint": final.isdisjoint(prompt.template.lower() for prompt in trial.prompts)
        and set(plan.image_seeds).isdisjoint(trial.image_seeds),
    }


def drift_record(plan: Plan) -> dict[str, Any]:
    seeds = drift_seeds(plan.effort.drift_pictures)
    return {"prompts": [vars(prompt) for prompt in plan.drift], "image_seeds": list(seeds)}


def _method_record(method: Method) -> dict[str, Any]:
    return {
        "name": method.name,
        "file": method.file,
        "title": method.title,
        "about": method.summary,
        "settings": method.settings.model_dump(),
    }
