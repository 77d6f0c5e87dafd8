"""Making tensors without values, as models are made of until their weights are read.

torch works out in Python what such tensors look like, with symbols in mind that nothing here needs:
for them it imports sympy, which takes longer than to load a small model. What transformers does to
tensors without values is done here in the plain way; anything else is left to torch.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch.overrides import TorchFunctionMode


class Valueless(TorchFunctionMode):
    """Within it, no sympy for the functions of torch that a loading meets."""

    def __torch_function__(
        self,
        func: Any,
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        given = dict(kwargs or {})
        first = args[0] if args else given.get("tensor")
        if func is torch.arange and is_meta(given.get("device")):
            return torch.arange(*args, **given | {"device": "cpu"}).to("meta")
        if isinstance(first, torch.Tensor) and first.is_meta:
            if func is torch.nn.init.normal_:
                return first
            if func is torch.empty_like and given.keys() == {"device"} and first.is_contiguous():
                return torch.empty(first.shape, dtype=first.dtype, **given)
        return func(*args, **given)


def is_meta(device: Any) -> bool:
    """Whether that is the device of tensors without values; none given is not."""
    return device is not None and torch.device(device).type == "meta"
