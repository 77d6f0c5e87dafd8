"""From a run folder back to a model that draws the concept."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from pseudoword.errors import UserError
from pseudoword.families import load_model
from pseudoword.families.model import Model
from pseudoword.methods import METHODS
from pseudoword.methods.base import Method
from pseudoword.runs import read_json
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
    folder: Path, device: torch.device, model_name: str | None = None, artefact: str = ARTEFACT
) -> LoadedRun:
    """Loads the untouched model of a run afresh and puts its artefact in place.

    `artefact` may name a snapshot in the folder. Raises UserError where the folder is no run, or
    the model is another than the one it was trained on.
    """
    from safetensors import SafetensorError, safe_open

    run = read_json(folder / "run.json")
    model = load_model(model_name or run["model"], device)
    if model.fingerprint != run["model_fingerprint"]:
        raise UserError(
            f"{folder} was trained on other weights of {run['model']} than those here now: "
            "train it again."
        )
    path = folder / artefact
    try:
        with safe_open(path, "pt", device=str(device)) as file:
            tensors = {key: file.get_tensor(key) for key in file.keys()}
            settings = json.loads(file.metadata()["pseudoword"])["settings"]
    except (FileNotFoundError, SafetensorError) as error:
        raise UserError(f"{path} cannot be read ({error}): train the run again.") from None
    kind = METHODS[run["method"]]
    method = kind(kind.Settings(**settings))
    method.load(model, run["class_noun"], tensors)
    return LoadedRun(model, method, run)
