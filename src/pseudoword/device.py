"""Where computing happens, and what it costs."""

import os
import sys
from typing import TYPE_CHECKING, Any

from pseudoword.errors import UserError
from pseudoword.memory import lacking

if TYPE_CHECKING:
    import torch

M_MMAP_THRESHOLD, M_TRIM_THRESHOLD, M_TOP_PAD = -3, -1, -2
"""Options of mallopt(3), in bytes: from which size on memory is mapped apart, how much of its end
is kept, and by how much it grows."""
MAPPED_APART = (2**30, 2**25)
"""What is asked of M_MMAP_THRESHOLD in turn: older ones of glibc refuse more than the second."""


def pick_device(name: str) -> "torch.device":
    """`auto` (a GPU where there is one), `cpu`, `cuda`, `cuda:1` or `mps`. Raises UserError."""
    import torch

    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        if lacking(error):
            raise  # It is there, and full.
        raise UserError(
            f"--device {name} is not there: use --device cpu, or auto for a GPU where one is."
        ) from None
    return device


def send(tensor: "torch.Tensor", device: "torch.device") -> "torch.Tensor":
    """`tensor` (on the CPU) on `device`, without waiting for a GPU to finish what it is at.

    A copy from ordinary memory would begin only once the GPU is idle.
    """
    if device.type == "cuda":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)


def wait_for(device: "torch.device") -> None:
    """Returns when all that the device was told to do is done, so that clocks can be read."""
    import torch

    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def keep_memory() -> None:
    """Lets the process keep the memory of large tensors that it frees, where libc can.

    It would be given back after each operation and be faulted in again page by page by the next,
    which takes up to a tenth of a training step on a CPU (docs/performance.md). glibc can; other
    libraries go on as they do.
    """
    mallopt = _of_libc("mallopt")
    # It returns 0 for what it refuses. Without the first, the others would do harm: any of them
    # stops glibc from raising that limit by itself.
    if mallopt and any(mallopt(M_MMAP_THRESHOLD, size) for size in MAPPED_APART):
        mallopt(M_TRIM_THRESHOLD, 2**31 - 1)
        mallopt(M_TOP_PAD, 2**26)


def _of_libc(name: str) -> Any:
    """A function of the C library, None where it has none of this name."""
    import ctypes

    if sys.platform != "linux":
        return None
    try:
        return getattr(ctypes.CDLL(None), name, None)
    except OSError:
        # A process without a dynamic linker.
        return None


def peak_memory_bytes(device: "torch.device") -> int:
    """The most memory used so far: the process's on a CPU, the allocator's on a GPU."""
    import torch

    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    return peak_resident_bytes()


def reset_peak_memory(device: "torch.device") -> None:
    """Begins a new count for `peak_memory_bytes`, where the system can."""
    import torch

    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    elif os.path.exists("/proc/self/clear_refs"):
        # What is kept for later is not used.
        if malloc_trim := _of_libc("malloc_trim"):
            malloc_trim(0)
        try:
            with open("/proc/self/clear_refs", "w") as file:
                file.write("5")
        except PermissionError:
            # A locked-down container: the count then runs from the start of the process.
            return


def peak_resident_bytes() -> int:
    """The most memory that this process had so far, told without loading torch."""
    if os.path.exists("/proc/self/status"):
        with open("/proc/self/status") as file:
            for line in file:
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) * 1024
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
