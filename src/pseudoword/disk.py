"""A disk that takes no more: told as what to do about it, not as a bug."""

import errno
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pseudoword.errors import UserError

_AGAIN = "run the same command again: it goes on from here."
_REASONS: dict[int, tuple[str, str]] = {
    errno.ENOSPC: ("the disk is full", f"Make space and {_AGAIN}"),
    errno.EDQUOT: ("your quota of this disk is used up", f"Make space and {_AGAIN}"),
    errno.EFBIG: ("files may not become as large as this here", f"Raise `ulimit -f` and {_AGAIN}"),
    errno.EROFS: ("the disk is read-only", f"Make it writable and {_AGAIN}"),
    errno.EIO: ("the disk reports an error", f"Have it checked and {_AGAIN}"),
}
_IN_TEXT = re.compile(r"\(os error (\d+)\)")
"""How safetensors tells the number of the system's error, which it wraps in one of its own."""


class DiskError(UserError):
    """Nothing more can be written; what was written before is whole."""


def disk_error(path: Path | None, error: BaseException) -> DiskError | None:
    """What to tell of `error`, if it says that a disk takes no more; None where it does not.

    `path` is what was written, or else the error's own file, or else the output.
    """
    number = error.errno if isinstance(error, OSError) else None
    if number is None and (told := _IN_TEXT.search(str(error))):
        number = int(told[1])
    if number not in _REASONS:
        return None
    if path is None and isinstance(error, OSError) and isinstance(error.filename, str | bytes):
        path = Path(os.fsdecode(error.filename))
    reason, remedy = _REASONS[number]
    if path is None:
        return DiskError(f"the output cannot be written: {reason}.\n{remedy}")
    return DiskError(f"{path} cannot be written: {reason} ({_free(path)} free).\n{remedy}")


@contextmanager
def told_of(path: Path) -> Iterator[None]:
    """Raises DiskError where writing `path` fails so, whatever a library makes of that."""
    try:
        yield
    except Exception as error:
        told = disk_error(path, error)
        if told is None:
            raise
        raise told from error


def _free(path: Path) -> str:
    place = next(folder for folder in (path, *path.absolute().parents) if folder.exists())
    free = shutil.disk_usage(place).free
    return f"{free / 2**30:.1f} GiB" if free >= 2**30 else f"{free / 2**20:.1f} MiB"


def sync(path: Path) -> None:
    """Waits until a file, or the names in a folder, would outlive a loss of power.

    Raises OSError where the disk fails. Folders that cannot be synced, as on some network disks and
    on Windows, are left to the system.
    """
    folder = path.is_dir()
    try:
        handle = os.open(path, os.O_RDONLY if folder else os.O_RDWR)
    except PermissionError:
        if folder:
            return
        raise
    try:
        os.fsync(handle)
    except OSError as error:
        if not folder or error.errno in _REASONS:
            raise
    finally:
        os.close(handle)
