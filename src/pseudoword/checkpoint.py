"""Saving a training in the middle, so that the resumed one equals an uninterrupted one.

A checkpoint is one file, so that no kill can part it from what it says of itself: what it belongs
to, and a checksum of all that it holds. There is no second, older one. Files are written beside
their place, so only a broken disk harms one that is there; against that, twice the gigabytes would
seldom help, and the training starts again without them.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from pseudoword import __version__
from pseudoword.checksum import DamagedError, check_seal, save_sealed

NOTED = ("of", "step", "seconds", "optimizer", "more")
"""What a checkpoint says beside its tensors."""


class CheckpointError(DamagedError):
    """A checkpoint that is damaged, or belongs to another work; `reason` says which."""


def save_checkpoint(
    path: Path,
    step: int,
    seconds: float,
    parameters: Sequence[nn.Parameter],
    optimizer: torch.optim.Optimizer,
    average: Sequence[Tensor] = (),
    more: Mapping[str, Any] | None = None,
    of: Mapping[str, Any] | None = None,
) -> None:
    """Writes parameters, optimizer state, running averages and the number of finished steps.

    `more` is anything else that JSON can hold; `of` is what the checkpoint belongs to, each part
    under its name.
    """
    from safetensors.torch import save_file

    tensors = {f"parameter.{i}": p.detach() for i, p in enumerate(parameters)}
    numbers: dict[str, Any] = {}
    for key, value in _flat("optimizer", optimizer.state_dict()["state"]):
        if isinstance(value, Tensor):
            tensors[key] = value
        else:
            numbers[key] = value
    tensors |= {f"average.{i}": value for i, value in enumerate(average)}
    # 8-bit optimizers share a small table among all states; safetensors wants it apart.
    places: set[int] = set()
    for key, value in tensors.items():
        shared = value.data_ptr() in places
        places.add(value.data_ptr())
        tensors[key] = (value.clone() if shared else value).cpu().contiguous()
    note = {
        "of": {"version": __version__, **(of or {})},
        "step": step,
        "seconds": seconds,
        "optimizer": numbers,
        "more": more,
    }
    save_sealed(path, tensors, note, save_file)


def _flat(prefix: str, values: Mapping[Any, Any]) -> Iterator[tuple[str, Any]]:
    """The leaves of nested mappings, by dotted names: 8-bit optimizers nest their states."""
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(f"{prefix}.{key}", value)
        else:
            yield f"{prefix}.{key}", value


def load_checkpoint(
    path: Path,
    parameters: Sequence[nn.Parameter],
    optimizer: torch.optim.Optimizer,
    average: Sequence[Tensor] = (),
    of: Mapping[str, Any] | None = None,
) -> tuple[int, float, Any]:
    """Puts a checkpoint back in place; returns the finished steps, their seconds, and `more`.

    Raises CheckpointError, before anything is changed, where it is not whole or not `of` this.
    """
    from safetensors import SafetensorError, safe_open

    try:
        note = check_seal(path, NOTED)
        _require(path, note["of"], {"version": __version__, **(of or {})})
        with safe_open(path, "pt") as file:
            return _put_back(file, note, parameters, optimizer, average)
    except DamagedError as error:
        raise CheckpointError(path, error.reason) from None
    except (OSError, SafetensorError) as error:
        raise CheckpointError(path, f"is damaged ({error})") from None


def _require(path: Path, found: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    names = [name for name in {**wanted, **found} if found.get(name) != wanted.get(name)]
    if names:
        raise CheckpointError(path, f"belongs to other work (another {', '.join(names)})")


def _put_back(
    file: Any,
    note: Mapping[str, Any],
    parameters: Sequence[nn.Parameter],
    optimizer: torch.optim.Optimizer,
    average: Sequence[Tensor],
) -> tuple[int, float, Any]:
    states: dict[Any, Any] = {}
    with torch.no_grad():
        for key in file.keys():
            kind, index, *_ = key.split(".", 2)
            tensor = file.get_tensor(key)
            if kind == "parameter":
                parameters[int(index)].copy_(tensor)
            elif kind == "average":
                average[int(index)].copy_(tensor)
            else:
                _put(states, key, tensor)
    for key, value in note["optimizer"].items():
        _put(states, key, value)
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": states, "param_groups": groups})
    return note["step"], note["seconds"], note["more"]


def _put(states: dict[Any, Any], key: str, value: Any) -> None:
    """Undoes `_flat` for one leaf of the optimizer's state."""
    _, index, *path, name = key.split(".")
    inner = states.setdefault(int(index), {})
    for part in path:
        inner = inner.setdefault(part, {})
    inner[name] = value
