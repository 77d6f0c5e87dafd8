"""Work that does not fit into memory, done in smaller parts."""

import errno
import re
from collections.abc import Callable
from typing import TypeVar

from pseudoword.errors import UserError

T = TypeVar("T")
GPU = "the memory of the GPU"
MACHINE = "the memory of this machine"
_GPU_SAYS = re.compile(
    "CUBLAS_STATUS_ALLOC_FAILED"
    "|CUDNN_STATUS_(INTERNAL_ERROR_(DEVICE|HOST)_)?ALLOC(ATION)?_FAILED"
    "|CUDA error: out of memory|backend out of memory"
)
_MACHINE_SAYS = re.compile(
    "DefaultCPUAllocator: (can't allocate|not enough) memory|std::bad_alloc|Cannot allocate memory"
)


def lacking(error: BaseException) -> str | None:
    """GPU or MACHINE, where `error` says that memory of it ran out; None where it does not.

    Torch has a class for its own allocator on a GPU alone, known here by its name, since torch
    takes seconds to import; all others are told by their texts.
    """
    if isinstance(error, MemoryError):
        return MACHINE
    if isinstance(error, OSError):
        return MACHINE if error.errno == errno.ENOMEM else None
    if not isinstance(error, RuntimeError):
        return None
    text = str(error)
    if type(error).__name__ == "OutOfMemoryError" or _GPU_SAYS.search(text):
        return GPU
    return MACHINE if _MACHINE_SAYS.search(text) else None


def _give_back() -> None:
    """What torch's allocator keeps on a GPU for later."""
    import torch

    if torch.cuda.is_available():
        torch.cuda.empty_cache()


class Portion:
    """How many samples are computed at once: all, until memory runs out, and fewer from then on.

    `most` is None while all fit. `what` is told to the user, `remedy` where one sample is too much.
    """

    def __init__(self, what: str, remedy: str, note: Callable[[str], None]) -> None:
        self.what = what
        self.remedy = remedy
        self.note = note
        self.most: int | None = None

    def run(self, work: Callable[[int], T], count: int) -> T:
        """What `work(most)` gives of `count` samples; on less memory it begins anew with half.

        Raises UserError where a single sample does not fit.
        """
        asked = size = count if self.most is None else min(self.most, count)
        memory = None
        while True:
            try:
                found = work(size)
                break
            except (RuntimeError, MemoryError) as error:
                memory = lacking(error)
                if memory is None:
                    raise
            # Only here, for while an exception is handled its traceback holds on to the tensors.
            if size == 1:
                raise UserError(
                    f"{self.what}: not even one sample fits into {memory}.\n{self.remedy}"
                )
            size = (size + 1) // 2
            _give_back()
        if size < asked:
            self.most = size
            self.note(
                f"{self.what}: {asked} samples do not fit into {memory}, so from here "
                f"on {size} are computed at once; but for rounding, results are the same"
            )
        return found
