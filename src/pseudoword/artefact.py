"""From a run folder back to a model that draws the concept."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import torch
from pydantic import BaseModel, ConfigDict, ValidationError
from torch import Tensor

from pseudoword.checksum import DamagedError, check_seal
from pseudoword.compute import check_compute
from pseudoword.disk import read_from
from pseudoword.errors import UserError
from pseudoword.families import load_model
from pseudoword.families.model import FLOAT32, Model
from pseudoword.families.quantise import cast
from pseudoword.methods import METHODS, check_quantise, find_method
from pseudoword.methods.base import Method
from pseudoword.runs import Choice, read_choice, read_json
from pseudoword.settings import ComputeSettings, LoadSettings, Settings, explain
from pseudoword.snapshots import ARTEFACT

Checked = TypeVar("Checked", bound=Settings)


@dataclass(frozen=True, eq=False)
class LoadedRun:
    """A model that has learnt a concept."""

    model: Model
    method: Method
    run: dict[str, Any]
    choice: Choice
    """The checkpoint that is loaded, and the strength that it counts with."""
    seal: str
    """The checksum of its file, which it was found to fit."""

    @property
    def noun_phrase(self) -> str:
        """How prompts word the concept."""
        return self.method.noun_phrase(self.run["class_noun"])


def load_run(
    folder: Path,
    device: torch.device,
    model_name: str | None = None,
    compute: ComputeSettings = FLOAT32,
    step: int | None = None,
    strength: float | None = None,
) -> LoadedRun:
    """Loads the untouched model of a run afresh and puts its artefact in place.

    Without `step` and `strength` it draws as the run's study chose, else with the end of training
    at strength 1; a choice that was made and is gone is refused, unless both are given. A strength
    was chosen for one step, so another step counts once, unless told. The model computes as
    `compute` says, however the run was trained: an artefact holds nothing of its base. Raises
    UserError where the folder is no run, has no such step or strength, the model is another than
    the one it was trained on, or it cannot compute so.
    """
    run = _read_run(folder)
    choice = _choice(folder, run, step, strength)
    kind = find_method(run["method_file"] or run["method"])
    changes_weights = "weights" in kind.learns
    check_quantise(compute.quantise, [kind])
    check_compute(compute, device)
    loading = _checked(LoadSettings, run["loading"], folder / "run.json")
    model = load_model(model_name or run["model"], device, loading, compute, changes_weights)
    if model.fingerprint != run["model_fingerprint"]:
        raise UserError(
            f"{folder} was trained on other weights of {run['model']} than those of {model.name} "
            "here: train it again, or name the right --model."
        )
    tensors, about = _read_artefact(folder / choice.artefact, model)
    method = kind(_checked(kind.Settings, about["settings"], folder / choice.artefact))
    method.load(model, run["class_noun"], tensors)
    if choice.strength != 1:
        method.set_strength(model, choice.strength)
    if changes_weights:
        # What was learnt has been added in float32, and is frozen from here on.
        for part in (model.denoiser, *model.text_encoders):
            cast(part, model.compute.precision)
    return LoadedRun(model, method, run, choice, about["seal"])


def checkpoint_file(folder: Path, step: int) -> str:
    """The file of a run's checkpoint. Raises UserError where it kept none of that step."""
    run = _read_run(folder)
    kept = {*run["snapshots"]} | (set() if run["diverged"] else {run["steps"]})
    if step not in kept:
        told = ", ".join(map(str, sorted(kept))) or "none"
        raise UserError(f"{folder} has no checkpoint of step {step}: it has those of {told}.")
    return ARTEFACT if step == run["steps"] else f"snapshots/{step:06d}.safetensors"


def _choice(
    folder: Path, run: Mapping[str, Any], step: int | None, strength: float | None
) -> Choice:
    if step is not None and strength is not None:
        return Choice(step, checkpoint_file(folder, step), strength)
    usual = read_choice(folder) or Choice(run["steps"], ARTEFACT, 1.0)
    if step is None and run["diverged"] and usual.step == run["steps"]:
        raise UserError(
            f"{folder} diverged by step {run['diverged']['step']}, so it has no end to draw with: "
            f"name a --checkpoint ({', '.join(map(str, run['snapshots'])) or 'it has none'})."
        )
    if step is not None:
        file = checkpoint_file(folder, step)
        usual = usual if step == usual.step else Choice(step, file, 1.0)
    return usual if strength is None else replace(usual, strength=strength)


def _checked(kind: type[Checked], values: Any, path: Path) -> Checked:
    """Settings that the file `path` holds. Raises UserError where they are none of this version."""
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        raise UserError(
            f"{explain(error, str(path))}:\ndamaged or of another version, so train the run again."
        ) from None


class _Record(BaseModel):
    """What is read of run.json."""

    model_config = ConfigDict(strict=True)

    method: str
    method_file: str | None
    model: str
    model_fingerprint: str
    class_noun: str
    loading: dict[str, Any]
    steps: int
    snapshots: list[int]
    diverged: dict[str, Any] | None


def _read_run(folder: Path) -> dict[str, Any]:
    run: dict[str, Any] = read_json(folder / "run.json")
    try:
        known = _Record.model_validate(run)
    except ValidationError:
        known = None
    if known is None or (known.method not in METHODS and known.method_file is None):
        raise UserError(
            f"{folder / 'run.json'} is not that of a run by this version: train the run again."
        )
    if run["method_file"] is not None:
        _refuse_shipped_code(folder, Path(run["method_file"]))
    return run


def _refuse_shipped_code(folder: Path, file: Path) -> None:
    """A run folder from elsewhere must not bring code along: loading a method runs its file."""
    inside = file.is_relative_to(folder.resolve())
    if inside or not file.is_absolute() or file != file.resolve():
        raise UserError(
            f"{folder / 'run.json'} names code that came with it, {file}: it is not run. "
            "Read it, and train with it under another path."
        )


def _read_artefact(path: Path, model: Model) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors, and what is noted of them, such as the settings that they were trained with.

    Raises UserError where they were not trained on `model`, wherever run.json came from.
    """
    from safetensors import SafetensorError, safe_open

    remedy = "remove its run's folder and run the same command again"
    try:
        about = check_seal(path)
        with read_from(path), safe_open(path, "pt", device=str(model.device)) as file:
            tensors = {key: file.get_tensor(key) for key in file.keys()}
    except DamagedError as error:
        raise UserError(f"{path} {error.reason}:\n{remedy}.") from None
    except FileNotFoundError:
        raise UserError(f"{path} is missing:\n{remedy}.") from None
    except SafetensorError as error:
        raise UserError(f"{path} cannot be read ({error}):\n{remedy}.") from None
    if "model" not in about:
        raise UserError(f"{path} is of another version, which noted no model:\n{remedy}.")
    if about["model"] != model.fingerprint:
        raise UserError(
            f"{path} was trained on other weights than those of {model.name} here, "
            f"whatever run.json says:\n{remedy}."
        )
    return tensors, about
