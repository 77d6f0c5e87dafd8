"""A disk that takes no more, or fails: told as what to do about it, not as a bug."""

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
}
_FAILS = f"Have the disk checked and {_AGAIN}"
_IN_TEXT = re.compile(r"\(os error (\d+)\)")
"""How safetensors tells the number of the system's error, which it wraps in one of its own."""


class DiskError(UserError):
    """Nothing more can be written, or something not be read; what was written before is whole."""


def disk_error(path: Path | None, error: BaseException) -> DiskError | None:
    """What to tell of `error`, if it says that a disk takes no more or fails; None otherwise.

    `path` is what was written, or else the error's own file, or else the output. That a disk fails
    (EIO) may be of something that was read for it, so what is told then does not say which.
    """
    number = error.errno if isinstance(error, OSError) else None
    if number is None and (told := _IN_TEXT.search(str(error))):
        number = int(told[1])
    own = None
    if isinstance(error, OSError) and isinstance(error.filename, str | bytes):
        own = Path(os.fsdecode(error.filename))
    if number == errno.EIO:
        return DiskError(f"{_at(path, own)} a disk reports an error.\n{_FAILS}")
    if number not in _REASONS:
        return None
    path = path or own
    reason, remedy = _REASONS[number]
    if path is None:
        return DiskError(f"the output cannot be written: {reason}.\n{remedy}")
    return DiskError(f"{path} cannot be written: {reason} ({_free(path)} free).\n{remedy}")


def _at(path: Path | None, own: Path | None) -> str:
    """Where a disk failed, as well as is known: what is being written has a name that ends so."""
    if own is not None and (path is None or path.name not in own.name):
        return f"{own}:"
    return "reading or writing:" if path is None else f"while {path} was being written,"


def download_error(error: BaseException) -> DiskError | None:
    """`disk_error` of what the hub's client fetched into its cache: its errors name no file."""
    from huggingface_hub.constants import HF_HUB_CACHE

    return disk_error(Path(HF_HUB_CACHE), error)


@contextmanager
def read_from(path: Path) -> Iterator[None]:
    """Raises UserError where the system does not let `path` be read, though it may well be whole.

    That it is missing is left to whoever asked for it.
    """
    try:
        yield
    except OSError as error:
        # Without a number it is a library's own word on what it read.
        if error.errno in (None, errno.ENOENT):
            raise
        if error.errno == errno.EIO:
            told = f"{path} cannot be read: the disk reports an error.\n{_FAILS}"
            raise DiskError(told) from error
        told = f"{path} cannot be read ({error.strerror}).\nMend that and {_AGAIN}"
        raise UserError(told) from error


@contextmanager
def told_of(path: Path) -> Iterator[None]:
    """Raises DiskError where `disk_error` knows what to tell, whatever a library makes of that."""
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
        if not folder or error.errno in {errno.EIO, *_REASONS}:
            raise
    finally:
        os.close(handle)


def sync_all(folder: Path) -> None:
    """`sync` for a folder and all in it."""
    for path in (*folder.rglob("*"), folder):
        sync(path)
