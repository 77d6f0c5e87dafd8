"""Work that does not fit into the GPU's memory, done in smaller parts."""

from collections.abc import Callable
from typing import TypeVar

import torch

from pseudoword.errors import UserError

T = TypeVar("T")


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
        while True:
            try:
                found = work(size)
                break
            except torch.OutOfMemoryError:
                pass
            # Only here, for while an exception is handled its traceback holds on to the tensors.
            if size == 1:
                raise UserError(
                    f"{self.what}: not even one sample fits into the memory of the GPU.\n"
                    f"{self.remedy}"
                )
            size = (size + 1) // 2
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
        if size < asked:
            self.most = size
            self.note(
                f"{self.what}: {asked} samples do not fit into the memory of the GPU, so from here "
                f"on {size} are computed at once; but for rounding, results are the same"
            )
        return found
