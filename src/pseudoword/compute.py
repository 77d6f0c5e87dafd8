"""How computing is done: precision, memory, the optimizer, and what this machine can do of it."""

import importlib
import importlib.metadata
import importlib.util
import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from pseudoword.errors import UserError
from pseudoword.settings import ComputeSettings

PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
LIBRARIES = ("torch", "diffusers", "transformers", "peft", "numpy", "safetensors")
NEEDED = {"int8": "torchao", "nf4": "bitsandbytes", "adamw-8bit": "bitsandbytes"}
"""The library that a choice needs beyond those of every installation."""
MOST_GRADIENT = 1.0
"""Norm that gradients are clipped to."""
CLIP_EPSILON = 1e-6
"""What torch's clip_grad_norm_ adds to the norm."""


def effective(compute: ComputeSettings, device: torch.device) -> ComputeSettings:
    """The same settings with the precision that "auto" means on `device`."""
    if compute.precision != "auto":
        return compute
    precision = "fp32"
    if device.type == "cuda":
        with torch.cuda.device(device):
            has_bf16 = torch.cuda.is_bf16_supported(including_emulation=False)
        precision = "bf16" if has_bf16 else "fp16"
    return compute.model_copy(update={"precision": precision})


def check_compute(compute: ComputeSettings, device: torch.device) -> None:
    """Raises UserError, before any work, for what cannot be done on this machine."""
    for option, choice in (("quantise", compute.quantise), ("optimizer", compute.optimizer)):
        if choice in NEEDED:
            _require(NEEDED[choice], f"--{option} {choice}")
    if compute.compile and (missing := _compiler(device)) is not None:
        raise UserError(
            f"--compile needs {missing}, which is not here: install it or leave it out."
        )
    if compute.offload and device.type == "cpu":
        raise UserError("--offload needs a GPU, and computing is on a CPU here: leave it out.")


def _compiler(device: torch.device) -> str | None:
    """What torch.compile needs on `device` and does not find."""
    if device.type == "cuda":
        return None if importlib.util.find_spec("triton") else "triton"
    compiler = os.environ.get("CXX", "g++")
    return None if shutil.which(compiler) else f"a C++ compiler ({compiler})"


def _require(library: str, option: str) -> None:
    try:
        importlib.import_module(library)
    except ImportError:
        raise UserError(
            f"{option} needs {library}, which is not here: pip install 'pseudoword[quantised]'."
        ) from None


def compute_record(compute: ComputeSettings, device: torch.device) -> dict[str, Any]:
    """What results depend on. Offloading moves weights about and changes no number."""
    return effective(compute, device).model_dump(exclude={"offload"})


def library_versions(compute: ComputeSettings) -> dict[str, str]:
    """Versions of the libraries that computing so uses."""
    more = {NEEDED[choice] for choice in (compute.quantise, compute.optimizer) if choice in NEEDED}
    return {name: importlib.metadata.version(name) for name in (*LIBRARIES, *sorted(more))}


def make_optimizer(
    compute: ComputeSettings, groups: Sequence[Mapping[str, Any]]
) -> torch.optim.Optimizer:
    """AdamW over parameter groups; its moments in float32, or in 8 bits (arXiv 2110.02861)."""
    if compute.optimizer == "adamw-8bit":
        from bitsandbytes.optim import AdamW8bit

        optimizer: torch.optim.Optimizer = AdamW8bit([dict(group) for group in groups])
        return optimizer
    return torch.optim.AdamW([dict(group) for group in groups], fused=True)


class Stepper:
    """Backward and update of one training; in fp16 with a scaled loss (arXiv 1710.03740, 3.2).

    Small gradients would vanish in fp16. Where scaled ones overflow, the step is left out, counted
    in `skipped`, and the scale halved. In other precisions the scaler does nothing.

    A step with AdamW waits for no result of the device. The 8-bit one cannot be told there to leave
    a step out: with fp16 the host asks whether it should.
    """

    def __init__(self, compute: ComputeSettings, device: torch.device) -> None:
        self._scaler = torch.amp.GradScaler(device.type, enabled=compute.precision == "fp16")
        self._one = torch.ones((), device=device)
        self._skipped = torch.zeros((), dtype=torch.int64, device=device)

    @property
    def skipped(self) -> int:
        """Steps left out so far; waits for the device."""
        return int(self._skipped)

    def backward(self, loss: Tensor) -> None:
        self._scaler.scale(loss).backward()

    def step(self, optimizer: torch.optim.Optimizer, parameters: Sequence[nn.Parameter]) -> None:
        """Updates parameters from their gradients, clipped as they are without the scale."""
        gradients = [p.grad for p in parameters if p.grad is not None]
        if not gradients:
            # Every group rests. A scaler refuses to step without a gradient.
            return
        if isinstance(optimizer, torch.optim.AdamW) and not self._scaler.is_enabled():
            _clipped_step(optimizer, gradients)
        else:
            self._scaler.unscale_(optimizer)
            nn.utils.clip_grad_norm_(parameters, MOST_GRADIENT)
            self._scaler.step(optimizer)
            # Its `get_scale` would wait for the device.
            scale = self._scaler.scale(self._one)
            self._scaler.update()
            self._skipped += self._scaler.scale(self._one) < scale
        forget_gradients(parameters)

    def state(self) -> dict[str, Any]:
        """What a resumed training needs, for JSON."""
        return {"scaler": self._scaler.state_dict(), "skipped": self.skipped}

    def load(self, state: Mapping[str, Any]) -> None:
        self._scaler.load_state_dict(state["scaler"])
        self._skipped.fill_(state["skipped"])


def forget_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """What an optimizer's zero_grad does, in a tenth of its time."""
    for parameter in parameters:
        parameter.grad = None


def _clipped_step(optimizer: Any, gradients: Sequence[Tensor]) -> None:
    """A step of a fused AdamW with gradients whose norm is at most MOST_GRADIENT.

    It divides them by `grad_scale` while it reads them, which saves a pass over
    all gradients that `clip_grad_norm_` takes to do the same.
    """
    norm = nn.utils.get_total_norm(gradients)
    optimizer.grad_scale = ((norm + CLIP_EPSILON) / MOST_GRADIENT).clamp(min=1.0)
    optimizer.step()
    del optimizer.grad_scale


class Stage:
    """The accelerator as a stage: parts of a model stand on it while they work, else beside it."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._there: tuple[nn.Module, ...] = ()

    def bring(self, parts: Iterable[nn.Module]) -> None:
        """Sends away whatever else is there, and then brings these."""
        wanted = tuple(parts)
        if wanted == self._there:
            return
        for part in self._there:
            if part not in wanted:
                part.to("cpu")
        for part in wanted:
            part.to(self._device)
        self._there = wanted
