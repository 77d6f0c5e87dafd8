"""From a run folder back to a model that draws the concept."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pseudoword.compute import check_compute
from pseudoword.errors import UserError
from pseudoword.families import load_model
from pseudoword.families.model import FLOAT32, Model
from pseudoword.families.quantise import cast
from pseudoword.methods import METHODS, check_quantise, find_method
from pseudoword.methods.base import Method
from pseudoword.runs import read_json
from pseudoword.settings import ComputeSettings, LoadSettings
from pseudoword.train import ARTEFACT


@dataclass(frozen=True, eq=False)
class LoadedRun:
    """A model that has learnt a concept."""

    model: Model
    method: Method
    run: dict[str, Any]

    @property
    def noun_phrase(self) -> str:
        """How prompts word the concept."""
        return self.method.noun_phrase(self.run["class_noun"])


def load_run(
    folder: Path,
    device: torch.device,
    model_name: str | None = None,
    artefact: str = ARTEFACT,
    compute: ComputeSettings = FLOAT32,
) -> LoadedRun:
    """Loads the untouched model of a run afresh and puts its artefact in place.

    `artefact` may name a snapshot in the folder. The model computes as `compute` says, however the
    run was trained: an artefact holds nothing of its base. Raises UserError where the folder is no
    run, the model is another than the one it was trained on, or it cannot compute so.
    """
    run = _read_run(folder)
    kind = find_method(run["method_file"] or run["method"])
    changes_weights = "weights" in kind.learns
    check_quantise(compute.quantise, [kind])
    check_compute(compute, device)
    loading = LoadSettings(**run["loading"])
    model = load_model(model_name or run["model"], device, loading, compute, changes_weights)
    if model.fingerprint != run["model_fingerprint"]:
        raise UserError(
            f"{folder} was trained on other weights of {run['model']} than those of {model.name} "
            "here: train it again, or name the right --model."
        )
    tensors, settings = _read_artefact(folder / artefact, device)
    method = kind(kind.Settings(**settings))
    method.load(model, run["class_noun"], tensors)
    if changes_weights:
        # What was learnt has been added in float32, and is frozen from here on.
        for part in (model.denoiser, *model.text_encoders):
            cast(part, model.compute.precision)
    return LoadedRun(model, method, run)


def _read_run(folder: Path) -> dict[str, Any]:
    run = read_json(folder / "run.json")
    wanted = {"method", "method_file", "model", "model_fingerprint", "class_noun", "loading"}
    if (
        not isinstance(run, dict)
        or not wanted <= set(run)
        or (run["method"] not in METHODS and run["method_file"] is None)
    ):
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


def _read_artefact(path: Path, device: torch.device) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors, and the settings that they were trained with."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "pt", device=str(device)) as file:
            tensors = {key: file.get_tensor(key) for key in file.keys()}
            metadata = file.metadata() or {}
    except (OSError, SafetensorError) as error:
        raise UserError(f"{path} cannot be read ({error}): train the run again.") from None
    if "pseudoword" not in metadata:
        raise UserError(f"{path} was not written by pseudoword: train the run again.")
    return tensors, json.loads(metadata["pseudoword"])["settings"]
