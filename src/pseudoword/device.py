"""Where computing happens, and what it costs."""

import os
import sys
from typing import TYPE_CHECKING

from pseudoword.errors import UserError

if TYPE_CHECKING:
    import torch


def pick_device(name: str) -> "torch.device":
    """`auto` (a GPU where there is one), `cpu`, `cuda`, `cuda:1` or `mps`. Raises UserError."""
    import torch

    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError):
        raise UserError(
            f"--device {name} is not there: use --device cpu, or auto for a GPU where one is."
        ) from None
    return device


def peak_memory_bytes(device: "torch.device") -> int:
    """The most memory used so far: the process's on a CPU, the allocator's on a GPU."""
    import torch

    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    return _peak_resident_bytes()


def reset_peak_memory(device: "torch.device") -> None:
    """Begins a new count for `peak_memory_bytes`, where the system can."""
    import torch

    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    elif os.path.exists("/proc/self/clear_refs"):
        try:
            with open("/proc/self/clear_refs", "w") as file:
                file.write("5")
        except PermissionError:
            # A locked-down container: the count then runs from the start of the process.
            return


def _peak_resident_bytes() -> int:
    if os.path.exists("/proc/self/status"):
        with open("/proc/self/status") as file:
            for line in file:
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) * 1024
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
