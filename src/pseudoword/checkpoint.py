"""Saving a training in the middle, so that the resumed one equals an uninterrupted one."""

from collections.abc import Sequence
from pathlib import Path

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
) -> None:
    """Writes parameters, optimizer state, running averages and the number of finished steps."""
    from safetensors.torch import save_file

    tensors = {f"parameter.{i}": p.detach().contiguous() for i, p in enumerate(parameters)}
    for i, values in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{i}.{key}": value.contiguous() for key, value in values.items()}
    tensors |= {f"average.{i}": value.contiguous() for i, value in enumerate(average)}
    with atomic_path(path) as temporary:
        save_file(tensors, temporary, {"step": str(step), "seconds": repr(seconds)})


def load_checkpoint(
    path: Path,
    parameters: Sequence[nn.Parameter],
    optimizer: torch.optim.Optimizer,
    average: Sequence[Tensor] = (),
) -> tuple[int, float]:
    """Puts a checkpoint back in place; returns the finished steps and the seconds they took."""
    from safetensors import safe_open

    states: dict[int, dict[str, Tensor]] = {}
    with safe_open(path, "pt") as file, torch.no_grad():
        for key in file.keys():
            kind, index, *rest = key.split(".", 2)
            tensor = file.get_tensor(key)
            if kind == "parameter":
                parameters[int(index)].copy_(tensor)
            elif kind == "average":
                average[int(index)].copy_(tensor)
            else:
                states.setdefault(int(index), {})[rest[0]] = tensor
        metadata = file.metadata()
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": states, "param_groups": groups})
    return int(metadata["step"]), float(metadata["seconds"])
