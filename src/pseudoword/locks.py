"""One process at a time works in a folder: a lock that vanishes with the process that holds it."""

import errno
import json
import os
import socket
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from pseudoword.disk import told_of
from pseudoword.errors import UserError
from pseudoword.runs import LOCK, prepare_folder, sweep

Name = TypeVar("Name")
_HELD = {errno.EAGAIN, errno.EACCES}
_OURS = b'{"pid": '
"""How the content of a lock begins."""
_LONGEST = 2**14
"""Bytes that a lock may have at most, of which the command is the longest part."""


class HeldError(UserError):
    """Another process works in this folder."""


@contextmanager
def hold(folder: Path, note: Callable[[str], None]) -> Iterator[None]:
    """Keeps `folder`, which is made where it is missing, for this process alone.

    The operating system drops the lock when the process ends, whatever ends it. A killed one's file
    stays, and tells the next holder to sweep away what was being written. A folder that was made
    and is still empty is removed again. Raises HeldError that says who else holds it. Where the
    file system knows no locks, that is noted, others are not kept out, and nothing of theirs is
    touched. Raises UserError where a file of its name is not ours.
    """
    made = [place for place in (folder, *folder.parents) if not place.exists()]
    prepare_folder(folder)
    path = folder / LOCK
    left = path.exists()
    handle, locked = _lock(path, folder, note)
    try:
        if locked:
            with told_of(path):
                os.ftruncate(handle, 0)
                os.pwrite(handle, json.dumps(_myself()).encode(), 0)
            if left:
                sweep(folder)
        yield
    finally:
        if locked or not left:
            # While it is still held: whoever opens it now finds that it is gone, and makes another.
            path.unlink(missing_ok=True)
        os.close(handle)
        with suppress(OSError):
            for place in made:
                place.rmdir()


def share(names: Sequence[Name], work: Callable[[Name], None], note: Callable[[str], None]) -> None:
    """Works on one after another; what another process works on comes last.

    So several processes of the same command take different parts of it. Raises HeldError where a
    part is still held when all others are done.
    """
    later = []
    for name in names:
        try:
            work(name)
        except HeldError as error:
            note(f"{str(error).splitlines()[0].rstrip(':')}: the others come first")
            later.append(name)
    held = None
    for name in later:
        try:
            work(name)
        except HeldError as error:
            held = error
    if held is not None:
        raise held


def _lock(path: Path, folder: Path, note: Callable[[str], None]) -> tuple[int, bool]:
    """An open file, and whether the lock is on it, which it is not where there are no locks.

    Raises HeldError where another process has that.
    """
    while True:
        if path.is_symlink() or (path.exists() and not path.is_file()):
            raise _foreign(path)
        try:
            with told_of(path):
                handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        except FileNotFoundError:
            # Its last holder had made the folder, and took that away too.
            prepare_folder(folder)
            continue
        except PermissionError:
            raise UserError(
                f"{path} was left by another user:\nif no process of theirs runs, remove it."
            ) from None
        try:
            import fcntl

            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (ImportError, OSError) as error:
            if isinstance(error, OSError) and error.errno in _HELD:
                holder = os.read(handle, _LONGEST)
                os.close(handle)
                raise _held(folder, holder) from None
            note(f"{folder} cannot be locked here: see to it that no other process works in it")
            return handle, False
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(handle), path.stat()):
                # Empty, or nothing but zeros, is one whose process or machine stopped too early.
                content = os.pread(handle, len(_OURS), 0).strip(b"\0")
                if content and content != _OURS:
                    os.close(handle)
                    raise _foreign(path)
                return handle, True
        # Its holder removed it after it was opened here.
        os.close(handle)


def _myself() -> dict[str, Any]:
    return {
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "since": datetime.now().astimezone().isoformat(" ", "seconds"),
        "command": " ".join(["pseudoword", *sys.argv[1:]])[:1000],
    }


def _foreign(path: Path) -> UserError:
    return UserError(
        f"{path} is no lock of ours, and is left as it is:\nmove it away, or name another folder."
    )


def _held(folder: Path, holder: bytes) -> HeldError:
    try:
        about = json.loads(holder)
        who = f"process {about['pid']} on {about['host']} since {about['since']}"
        command = f" ({about['command']})"
    except (ValueError, KeyError, TypeError):
        who, command = "another process", ""
    return HeldError(
        f"{folder} is being worked in by {who}{command}:\n"
        "wait for its end, stop it, or name another folder."
    )
