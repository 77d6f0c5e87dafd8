"""numba's decorators, with a cache on disk that no edit leaves stale.

numba recognises its compiled code by the time of the file that a function stands in, but what it
compiled holds functions of other files too. So the cache's folder is named by a hash of this whole
package, and a change of any of its files begins a new one.

numba's own threads draw in parallel, not OpenMP's: of these it would set the number for the whole
process, so that torch computed with as many from the first render on, whatever it was told. Where
that is more than there are free processors, every operation waits for threads that do not run.
"""

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path

from numba import config, njit, prange

__all__ = ["inlined", "jit", "parallel_jit", "prange"]


WORLD = tuple(Path(__file__).parent.glob("*.py"))


def sources_hash(files: Iterable[Path] = WORLD) -> str:
    """SHA-256 in hex of source files, by default those of this package."""
    digest = hashlib.sha256()
    for path in sorted(files):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def _cache_root() -> str:
    """NUMBA_CACHE_DIR where it is set, else a folder of the user's own cache."""
    given: str = config.CACHE_DIR  # type: ignore[attr-defined]
    own = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return given or os.path.join(own, "pseudoword", "numba")


config.CACHE_DIR = os.path.join(  # type: ignore[attr-defined]
    _cache_root(), sources_hash()[:16]
)

config.THREADING_LAYER = "workqueue"  # type: ignore[attr-defined]

jit = njit(cache=True, fastmath=True, error_model="numpy")
parallel_jit = njit(cache=True, parallel=True, error_model="numpy")
inlined = njit(cache=True, inline="always")
