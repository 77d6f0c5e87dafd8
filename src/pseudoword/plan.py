"""All that a study is going to do, from its settings and photos."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from pseudoword.concept import Concept, clean_class_noun
from pseudoword.errors import UserError
from pseudoword.evaluate import encoder_names
from pseudoword.families import model_row
from pseudoword.foreign.given import Given, parse_artefacts
from pseudoword.methods import find_method, make_method
from pseudoword.methods.base import Method
from pseudoword.prompts import (
    VALIDATION,
    DriftPrompt,
    Prompt,
    World,
    custom_suite,
    load_suite,
    subject_free_suite,
    validation_suite,
)
from pseudoword.runs import run_folder
from pseudoword.selection import Trial
from pseudoword.settings import EFFORTS, EffortRow, StudySettings

SNAPSHOTS = 3
"""Checkpoints of a training, the last of them its end."""


@dataclass(frozen=True, eq=False)
class Plan:
    """All that a study is going to do."""

    settings: StudySettings
    concept: Concept
    prompts: tuple[Prompt, ...]
    drift: tuple[DriftPrompt, ...]
    trial: Trial
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
    def effort(self) -> EffortRow:
        return EFFORTS[self.settings.effort]

    def make_method(self, name: str) -> Method:
        """A fresh instance: one serves one model."""
        preset = model_row(self.settings.model).preset
        return make_method(self.kinds[name], preset, self.changes[name])

    def runs(self) -> dict[tuple[str, int], Path]:
        """The run folders by method and training seed, in the order in which they are worked on."""
        return {
            (name, seed): run_folder(self.out, name, seed)
            for name in self.methods
            for seed in range(self.settings.seeds)
        }


def make_plan(
    settings: StudySettings, concept: Concept, toy: Any | None, out: Path, device: torch.device
) -> Plan:
    """The plan of settings that `check_settings` has passed; `toy` is the concept, if it is one."""
    changes, prompts = check_settings(settings)
    kinds = study_methods(settings)
    effort = EFFORTS[settings.effort]
    wanted = settings.strengths or effort.strengths
    world: World = "toybox" if "toybox" in _suites(settings) else "photos"
    validation = validation_suite(world, prompts)
    return Plan(
        settings=settings,
        concept=concept,
        prompts=prompts,
        drift=subject_free_suite(world, concept.class_noun),
        trial=Trial(
            out=out,
            concept=concept,
            settings=settings,
            device=device,
            encoders=chosen_encoders(settings),
            methods=kinds,
            prompts=validation,
            removed=tuple(prompt for prompt in VALIDATION[world] if prompt not in validation),
            count=effort.validation_pictures,
            strengths=tuple(strength for strength in dict.fromkeys(wanted) if strength != 1),
        ),
        changes=changes,
        kinds=kinds,
        given=parse_artefacts(settings.artefacts, settings.compute.quantise),
        image_seeds=tuple(range(settings.pictures or effort.pictures)),
        toy=toy,
        out=out,
        device=device,
    )


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
    if settings.strengths and not settings.select:
        raise UserError("--strengths are chosen from: leave them out, or --no-select.")
    if settings.prompts and settings.suite != "auto":
        raise UserError("--suite and --prompt exclude each other: give one of them.")
    if settings.prompts:
        prompts = custom_suite(settings.prompts)
    else:
        prompts = load_suite(_suites(settings)[-1], class_noun)
    factor = EFFORTS[settings.effort].step_factor
    changes = {}
    for name, kind in kinds.items():
        usual = make_method(kind, row.preset).settings.steps
        scaled = {"steps": max(1, round(usual * factor))}
        changes[name] = scaled | dict(settings.options.get(name, {}))
        make_method(kind, row.preset, changes[name])
    return changes, prompts


def _suites(settings: StudySettings) -> tuple[str, ...]:
    """The model's own suite of prompts, and the one that was asked for in its place, if any."""
    own = model_row(settings.model).suite
    return (own,) if settings.suite == "auto" else (own, settings.suite)


def study_methods(settings: StudySettings) -> dict[str, type[Method]]:
    """The methods of a study by name, its own ones among them. Raises UserError."""
    kinds = [find_method(name) for name in settings.methods]
    if not kinds:
        raise UserError("--methods names no method: see `pseudoword methods`.")
    named = {kind.name: kind for kind in kinds}
    if len(named) < len(kinds):
        raise UserError("--methods names a method twice: name each once.")
    return named


def chosen_encoders(settings: StudySettings) -> dict[str, str]:
    """The encoder in each role. Raises UserError for one that does not fit it."""
    chosen = {
        "clip": settings.clip_encoder,
        "dino": settings.dino_encoder,
        "inception": settings.inception_encoder,
    }
    return encoder_names(settings.model, chosen)
