"""Weights between the layout of diffusers and transformers and that of the original checkpoints.

Both ways follow one table of names (`original_names`), exactly: no value is computed with.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

from pseudoword.errors import UserError
from pseudoword.families.original_names import SLOTS, TABLES, Place, Table


def _convolution(weight: Tensor) -> Tensor:
    return weight[:, :, None, None] if weight.ndim == 2 else weight


def _linear(weight: Tensor) -> Tensor:
    return weight.flatten(1) if weight.ndim > 2 else weight


def _transposed(weight: Tensor) -> Tensor:
    return weight.T.contiguous()


def _swapped(values: Tensor) -> Tensor:
    return torch.cat(values.chunk(2)[::-1])


def _same(values: Tensor) -> Tensor:
    return values


FORMS: dict[str, tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]] = {
    "same": (_same, _same),
    "convolution": (_convolution, _linear),
    "transposed": (_transposed, _transposed),
    "swapped": (_swapped, _swapped),
}
"""How the original lays values out: the way there and the way back."""


def original_places(kind: str, names: Iterable[str], config: Mapping[str, Any]) -> dict[str, Place]:
    """Where each tensor of a module stands in the original layout; `key` is then a whole key.

    `kind` is one of `original_names.TABLES`, `names` are keys of the module's state dict and
    `config` is its configuration. Raises UserError where the original layout has no place.
    """
    table = TABLES[kind](config)
    return {name: _place(kind, table, name.removeprefix("text_model.")) for name in names}


def original_module(kind: str, path: str, config: Mapping[str, Any]) -> str:
    """The original name of a module: "down_blocks.1.attentions.0" => "input_blocks.4.1".

    The arguments and errors are those of `original_places`. A part of a fused module has the name
    of the whole.
    """
    return _place(kind, TABLES[kind](config), path.removeprefix("text_model.")).key.rstrip(".")


def _place(kind: str, table: Table, name: str) -> Place:
    """The place of a tensor or module: that of the longest path above it in the table."""
    head = name
    while head not in table:
        if not head:
            raise UserError(
                f"{name} of this model's {kind} has no name in the original checkpoint layout:\n"
                "keep the model as a folder in the diffusers layout."
            )
        head = head.rpartition(".")[0]
    place = table[head]
    rest = name[len(head) :].removeprefix(".")
    return Place(place.key.format(rest), place.slot, place.form)


def to_original(
    kind: str, state: Mapping[str, Tensor], config: Mapping[str, Any]
) -> dict[str, Tensor]:
    """A module's state dict in the original layout, without the prefix that files add.

    The arguments and errors are those of `original_places`.
    """
    slots: dict[str, dict[int | None, Tensor]] = {}
    for name, place in original_places(kind, state, config).items():
        there, _ = FORMS[place.form]
        pieces = slots.setdefault(place.key, {})
        if place.slot in pieces:
            raise ValueError(f"two tensors of the {kind} would be {place.key}")
        pieces[place.slot] = there(state[name])
    return {key: _fuse(pieces) for key, pieces in slots.items()}


def _fuse(pieces: Mapping[int | None, Tensor]) -> Tensor:
    if None in pieces:
        return pieces[None]
    return torch.cat([pieces[slot] for slot in range(len(SLOTS))])


def from_original(
    kind: str, state: Mapping[str, Tensor], config: Mapping[str, Any], names: Iterable[str]
) -> dict[str, Tensor]:
    """The tensors `names` of a module, out of a state dict in the original layout.

    The arguments and errors are those of `original_places`; `state` has no prefix, may hold more,
    and each of its tensors is read once. Raises KeyError where one is missing.
    """
    sharers: dict[str, list[tuple[str, Place]]] = {}
    for name, place in original_places(kind, names, config).items():
        sharers.setdefault(place.key, []).append((name, place))
    result = {}
    for key, group in sharers.items():
        values = state[key]
        for name, place in group:
            # A copy of a third, so that the other two can be freed.
            piece = values if place.slot is None else values.chunk(len(SLOTS))[place.slot].clone()
            result[name] = FORMS[place.form][1](piece)
    return result
