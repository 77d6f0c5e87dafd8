"""How the world's inner loops are compiled.

Without fast-math: its freedom to reorder would let the same scene differ between machines. The
GIL is released, so that pictures can be drawn by threads.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from numba import njit
from numba.core.caching import FunctionCache

_SOURCES = b"".join(path.read_bytes() for path in sorted(Path(__file__).parent.glob("*.py")))
_FINGERPRINT = hashlib.sha256(_SOURCES).hexdigest()

compiled = njit(nogil=True, error_model="numpy")
"""For functions that only compiled functions call: they become part of their callers."""


class _Cache(FunctionCache):
    """Numba's disk cache, which by itself does not notice a change in another file."""

    def _index_key(self, signature: Any, codegen: Any) -> Any:
        return (*super()._index_key(signature, codegen), _FINGERPRINT)  # type: ignore[no-untyped-call]


def entry_point(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compiles a function that Python calls, and keeps its machine code on disk."""
    dispatcher: Any = compiled(function)
    dispatcher._cache = _Cache(function)  # type: ignore[no-untyped-call]
    return dispatcher  # type: ignore[no-any-return]
