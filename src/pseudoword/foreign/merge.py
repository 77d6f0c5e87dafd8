"""Differences added to the weights of a model, where no layer beside them is needed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from pseudoword.errors import UserError
from pseudoword.families.original import FORMS
from pseudoword.foreign.differences import UnfitError, difference
from pseudoword.foreign.files import Tensors, adapter_settings
from pseudoword.foreign.names import Names, Target, split_key
from pseudoword.pictures import some

if TYPE_CHECKING:
    from pseudoword.families.model import Model

Factors = dict[str, Tensor]


@dataclass(eq=False)
class Change:
    """One parameter, as it was, and what is added to it at full strength."""

    parameter: nn.Parameter
    untouched: Tensor
    difference: Tensor


class Merge:
    """Differences of some parameters: base + strength * difference, exactly base at 0."""

    def __init__(self, changes: Sequence[Change]) -> None:
        self.changes = list(changes)

    @torch.no_grad()
    def set_strength(self, strength: float) -> None:
        for change in self.changes:
            whole = change.untouched + strength * change.difference
            change.parameter.copy_(change.untouched if strength == 0 else whole)

    @property
    def changes_nothing(self) -> bool:
        return not any(bool(change.difference.any()) for change in self.changes)


def read_lora(file: Tensors, model: "Model") -> Merge:
    """The differences in a LoRA of kohya's, LyCORIS' or diffusers' names.

    Raises UserError where a key is left over, a factor is missing, or a shape is another.
    """
    groups, unknown = _grouped(file.tensors)
    names = Names(model)
    placed: dict[str, list[Target]] = {}
    for name, factors in groups.items():
        targets = names.find(name)
        if targets is None:
            unknown += [f"{name} ({', '.join(sorted(factors))})"]
        else:
            placed[name] = targets
    if unknown:
        raise _left_over(file.path, model, unknown, len(groups))
    scales = _Scales(adapter_settings(file))
    changes: dict[nn.Parameter, Change] = {}
    for name, targets in placed.items():
        try:
            found = _changes(groups[name], targets, scales.of(name))
        except UnfitError as unfit:
            raise _does_not_fit(file.path, model, f"{name}: {unfit}") from None
        for change in found:
            earlier = changes.get(change.parameter)
            # A fused name and its parts, or two names of one module, add up as they would at work.
            if earlier is not None:
                change.difference = change.difference + earlier.difference
            changes[change.parameter] = change
    return Merge(list(changes.values()))


def _grouped(tensors: Mapping[str, Tensor]) -> tuple[dict[str, Factors], list[str]]:
    """Factors by module's name, and the keys that are no factor's."""
    groups: dict[str, Factors] = {}
    unknown = []
    for key, value in tensors.items():
        found = split_key(key)
        if found is None or found[1] in groups.get(found[0], {}):
            unknown.append(key)
        else:
            groups.setdefault(found[0], {})[found[1]] = value.float()
    return groups, unknown


def _changes(factors: Factors, targets: Sequence[Target], scale: float | None) -> list[Change]:
    """What becomes of the modules that one name means, through the layout that the name is of."""
    # Where the module is: parts that take turns on an accelerator wait beside it.
    device = next(targets[0].module.parameters()).device
    factors = {role: value.to(device) for role, value in factors.items()}
    targets = sorted(targets, key=lambda target: target.slot or 0)
    found = []
    if set(factors) - {"bias", "alpha"}:
        weights = [_parameter(target, "weight") for target in targets]
        whole = torch.cat([_there(t, w) for t, w in zip(targets, weights, strict=True)])
        found += _split(targets, weights, difference(whole, factors, scale))
    if "bias" in factors:
        biases = [_parameter(target, "bias") for target in targets]
        found += _split(targets, biases, factors["bias"])
    if not found:
        raise UnfitError("nothing but a scale")
    return found


def _parameter(target: Target, name: str) -> nn.Parameter:
    found = getattr(target.module, name, None)
    if not isinstance(found, nn.Parameter):
        raise UnfitError(f"{target.path} has no {name}")
    return found


def _there(target: Target, values: Tensor) -> Tensor:
    return FORMS[target.form][0](values.detach().float())


def _split(
    targets: Sequence[Target], parameters: Sequence[nn.Parameter], added: Tensor
) -> list[Change]:
    if added.shape[0] != sum(p.shape[0] for p in parameters) or added.numel() != sum(
        p.numel() for p in parameters
    ):
        raise UnfitError(f"shape {tuple(added.shape)}")
    pieces = added.split([p.shape[0] for p in parameters])
    return [
        Change(
            p,
            # In main memory, where there is room for two more copies.
            p.detach().to("cpu", copy=True),
            FORMS[t.form][1](piece).reshape(p.shape).to("cpu", p.dtype),
        )
        for t, p, piece in zip(targets, parameters, pieces, strict=True)
    ]


class _Scales:
    """The scales that a file's settings tell, by module: alpha / rank, or alpha / sqrt(rank)."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self._settings = settings

    def of(self, name: str) -> float | None:
        part, _, path = name.partition(".")
        alpha, rank = self._settings.get(f"{part}.lora_alpha"), self._settings.get(f"{part}.r")
        if alpha is None or rank is None:
            return None
        alpha = self._pattern(f"{part}.alpha_pattern", path, alpha)
        rank = self._pattern(f"{part}.rank_pattern", path, rank)
        rooted = self._settings.get(f"{part}.use_rslora")
        try:
            return float(alpha) / (float(rank) ** 0.5 if rooted else float(rank))
        except (ArithmeticError, TypeError, ValueError):
            raise UnfitError(f"alpha {alpha!r:.40} and rank {rank!r:.40}") from None

    def _pattern(self, name: str, path: str, usual: Any) -> Any:
        """What the pattern that fits `path` says, else the usual."""
        from peft.utils.other import get_pattern_key

        values = self._settings.get(name) or {}
        if not isinstance(values, dict):
            raise UnfitError(f"{name} {values!r:.40}")
        return values.get(get_pattern_key(list(values), path), usual)


def _left_over(path: Path, model: "Model", unknown: Sequence[str], known: int) -> UserError:
    if unknown[0].startswith("base_model.model."):
        return UserError(
            f"{path} is the weights of an adapter of peft, which needs its adapter_config.json:\n"
            f"name the folder, {path.parent}."
        )
    return UserError(
        f"{path}: {len(unknown)} of {max(known, len(unknown))} names fit nothing in {model.name}, "
        f"such as {some(unknown, 3)}:\nname the model that it was made for, or convert it to a "
        "LoRA in kohya's or diffusers' names."
    )


def _does_not_fit(path: Path, model: "Model", what: str) -> UserError:
    return UserError(
        f"{path} does not fit {model.name} ({what}):\nname the model that it was made for, or "
        "fetch the file again if it is damaged."
    )
