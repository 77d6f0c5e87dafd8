"""Saving a training in the middle, so that the resumed one equals an uninterrupted one.

A checkpoint is one file, so that no kill can part it from what it says of itself: what it belongs
to, and a checksum of all that it holds. There is no second, older one. Files are written beside
their place, so only a broken disk harms one that is there; against that, twice the gigabytes would
seldom help, and the training starts again without them.
"""

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from pseudoword import __version__
from pseudoword.checksum import DamagedError, check_seal, save_sealed
from pseudoword.disk import read_from
from pseudoword.settings import CheckpointSettings

CHECKPOINT = "checkpoint.safetensors"
CHECKPOINT_SECONDS = 60.0
CHECKPOINT_SHARE = 50.0
"""Unless the user says when, steps between checkpoints take this many times as long as writing."""
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

    Raises CheckpointError, before anything is changed, where it is not whole or not `of` this;
    UserError where it cannot be read: beginning anew would write over one that may be whole.
    """
    from safetensors import SafetensorError, safe_open

    try:
        note = check_seal(path, NOTED)
        _require(path, note["of"], {"version": __version__, **(of or {})})
        with read_from(path), safe_open(path, "pt") as file:
            return _put_back(file, note, parameters, optimizer, average)
    except DamagedError as error:
        raise CheckpointError(path, error.reason) from None
    except SafetensorError as error:
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
                _put(states, key, _laid_out_like(parameters[int(index)], tensor))
    for key, value in note["optimizer"].items():
        _put(states, key, value)
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": states, "param_groups": groups})
    return note["step"], note["seconds"], note["more"]


def _laid_out_like(parameter: Tensor, tensor: Tensor) -> Tensor:
    """A value for each weight in the parameter's own order in memory.

    Fused optimizers walk through both alike, whatever the strides say: a parameter in channels_last
    would meet the states of other weights.
    """
    if tensor.shape != parameter.shape:
        return tensor
    return torch.empty_like(parameter, dtype=tensor.dtype, device=tensor.device).copy_(tensor)


def _put(states: dict[Any, Any], key: str, value: Any) -> None:
    """Undoes `_flat` for one leaf of the optimizer's state."""
    _, index, *path, name = key.split(".")
    inner = states.setdefault(int(index), {})
    for part in path:
        inner = inner.setdefault(part, {})
    inner[name] = value


class Saved(Protocol):
    """All of a training that changes from step to step, as a checkpoint keeps it."""

    parameters: list[nn.Parameter]
    step: int
    """Steps that are finished."""
    changing: bool
    """Whether a step is being finished just now, so that the parts belong to different steps."""

    def save(self, path: Path, of: Mapping[str, Any]) -> None: ...

    def load(self, path: Path, of: Mapping[str, Any]) -> None:
        """Raises CheckpointError, and changes nothing, where the file does not serve."""


class Checkpoints:
    """The checkpoint of one training: when it is written, and what it belongs to (`of`)."""

    def __init__(
        self, folder: Path, of: Mapping[str, Any], settings: CheckpointSettings, state: Saved
    ) -> None:
        self.path = folder / CHECKPOINT
        self._of = of
        self._settings = settings
        self._state = state
        self._saved = 0
        self._wait = settings.checkpoint_seconds or CHECKPOINT_SECONDS
        self._since = time.monotonic()

    def resume(self, note: Callable[[str], None]) -> None:
        """Takes the checkpoint up; one that does not serve is told, and all starts from scratch."""
        if not self.path.exists():
            return
        try:
            self._state.load(self.path, self._of)
        except CheckpointError as error:
            note(f"{self.path} {error.reason}: the training starts from the beginning")
        self._saved = self._state.step

    def due(self, step: int) -> bool:
        """Whether to write one after so many steps."""
        steps = self._settings.checkpoint_steps
        by_steps = steps > 0 and step % steps == 0
        return by_steps or time.monotonic() - self._since > self._wait

    def write(self) -> None:
        """Writes one, unless weights that have blown up would stay in it for good."""
        began = time.monotonic()
        if all_finite(self._state.parameters):
            self._state.save(self.path, self._of)
            self._saved = self._state.step
        self._since = time.monotonic()
        if not self._settings.checkpoint_seconds:
            # Gigabytes take long to write: they may not take over the training.
            self._wait = max(CHECKPOINT_SECONDS, CHECKPOINT_SHARE * (self._since - began))

    def interrupted(self) -> None:
        """Saves what was done since the last one, if the state is that of one whole step."""
        if not self._state.changing and self._state.step > self._saved:
            self.write()


def all_finite(parameters: Sequence[nn.Parameter]) -> bool:
    """Whether every number is finite; waits once for the device."""
    norms = torch._foreach_norm([parameter.detach() for parameter in parameters], ord=math.inf)
    return bool(torch.stack(norms).isfinite().all())
