"""Saving a training in the middle, so that the resumed one equals an uninterrupted one."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from pseudoword.runs import atomic_path


def save_checkpoint(
    path: Path,
    step: int,
    seconds: float,
    parameters: Sequence[nn.Parameter],
    optimizer: torch.optim.Optimizer,
    average: Sequence[Tensor] = (),
    more: Mapping[str, Any] | None = None,
) -> None:
    """Writes parameters, optimizer state, running averages and the number of finished steps.

    `more` is anything else that JSON can hold.
    """
    from safetensors.torch import save_file

    tensors = {f"parameter.{i}": p.detach().contiguous() for i, p in enumerate(parameters)}
    numbers: dict[str, Any] = {}
    places: set[int] = set()
    for key, value in _flat("optimizer", optimizer.state_dict()["state"]):
        if isinstance(value, Tensor):
            # 8-bit optimizers share a small table among all states; safetensors wants it apart.
            shared = value.data_ptr() in places
            places.add(value.data_ptr())
            tensors[key] = value.clone() if shared else value.contiguous()
        else:
            numbers[key] = value
    tensors |= {f"average.{i}": value.contiguous() for i, value in enumerate(average)}
    with atomic_path(path) as temporary:
        note = {"step": step, "seconds": seconds, "optimizer": numbers, "more": more}
        save_file(tensors, temporary, {"pseudoword": json.dumps(note)})


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
) -> tuple[int, float, Any]:
    """Puts a checkpoint back in place; returns the finished steps, their seconds, and `more`."""
    from safetensors import safe_open

    states: dict[Any, Any] = {}
    with safe_open(path, "pt") as file, torch.no_grad():
        for key in file.keys():
            kind, index, *_ = key.split(".", 2)
            tensor = file.get_tensor(key)
            if kind == "parameter":
                parameters[int(index)].copy_(tensor)
            elif kind == "average":
                average[int(index)].copy_(tensor)
            else:
                _put(states, key, tensor)
        note = json.loads(file.metadata()["pseudoword"])
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
