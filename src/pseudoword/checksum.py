"""Files that carry a checksum of themselves, so that damage is found, never loaded.

The checksum is SHA-256 over the whole file, with zeros where its own digits stand. It covers names,
types, shapes and what is noted beside tensors, and reads no tensor library. Any file that can hold
`UNSEALED` once can carry one: `seal` puts the digits in, `check_bytes` looks at them.
"""

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pseudoword.disk import read_from
from pseudoword.errors import UserError
from pseudoword.runs import atomic_path, kept_sha256

NOTE = "pseudoword"
"""The one entry of the metadata: safetensors writes several in any order, and equal runs would
differ in bytes."""
_MARK = b"pseudoword-sha256-"
_ZEROS = b"0" * 64
UNSEALED = (_MARK + _ZEROS).decode()
"""Where the digits will stand."""
_SEAL = re.compile(re.escape(_MARK) + rb"([0-9a-f]{64})")
UNFIT = "is damaged (its checksum does not fit its content)"
_MOST_HEADER = 100_000_000
"""Bytes; safetensors itself reads no longer one."""


class DamagedError(UserError):
    """A file that is not as it was written; `reason` says how that shows."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path} {reason}: remove it and run the same command again.")
        self.reason = reason


def save_sealed(
    path: Path,
    tensors: Mapping[str, Any],
    about: Mapping[str, Any],
    save_file: Callable[[dict[str, Any], Path, dict[str, str]], None],
) -> None:
    """Writes `tensors` by safetensors' `save_file` of their library, whole or not at all.

    `about` is anything that JSON can hold; `check_seal` returns it.
    """
    note = json.dumps({**about, "seal": UNSEALED})
    with atomic_path(path) as temporary:
        save_file(dict(tensors), temporary, {NOTE: note})
        _put(temporary, *_measure(temporary))


def seal(path: Path) -> None:
    """Puts the checksum of a file, which fits in memory, in the place that `UNSEALED` keeps."""
    digest, place = _unsealed(path, path.read_bytes())
    _put(path, digest.hexdigest(), place)


def check_bytes(path: Path, data: bytes) -> None:
    """Raises DamagedError where `data`, read from `path`, is not as `seal` left it."""
    digest, place = _unsealed(path, data)
    if data[place : place + len(_ZEROS)] != digest.hexdigest().encode():
        raise DamagedError(path, UNFIT)


def sha256_of(folder: Path, files: Iterable[Path]) -> dict[str, str]:
    """Checksums of files whose format has no place for one, by their names in `folder`."""
    return {str(path.relative_to(folder)): kept_sha256(path) for path in files}


def check_files(folder: Path, known: Mapping[str, str] | None) -> None:
    """Raises UserError where one of the files of `sha256_of` is missing or not as it was, or
    nothing is known of them."""
    if known is None:
        raise UserError(
            f"{folder} is of another version, which noted no checksums:\n"
            "remove it and run the same command again."
        )
    for name, checksum in known.items():
        path = folder / name
        if not path.is_file() or kept_sha256(path) != checksum:
            raise UserError(
                f"{path} is missing or damaged (its checksum does not fit its content):\n"
                f"remove {folder} and run the same command again."
            )


def _put(path: Path, digits: str, place: int) -> None:
    with path.open("r+b") as file:
        file.seek(place)
        file.write(digits.encode())


def check_seal(
    path: Path,
    noted: Sequence[str] = (),
    tensors: Sequence[str] = (),
    of: str | None = None,
) -> dict[str, Any]:
    """What was noted beside the tensors, once the checksum has shown that the file is whole.

    The checksum is there too, under "seal".

    Reads the file at the speed of SHA-256. Raises DamagedError where it is cut short, changed in
    any bit, without a checksum, or of another kind: without what has to be `noted` or one of the
    `tensors`; and where it is noted to be `of` anything else than was asked for, whatever its name
    says. Raises UserError where it cannot be read, and may be whole.
    """
    with read_from(path):
        digest, place = _measure(path)
        with path.open("rb") as file:
            file.seek(place)
            if file.read(len(_ZEROS)) != digest.encode():
                raise DamagedError(path, UNFIT)
            file.seek(0)
            header = json.loads(file.read(_header_bytes(path, file.read(8))))
    about: dict[str, Any] = json.loads(header["__metadata__"][NOTE])
    absent = [*(set(noted) - about.keys()), *(set(tensors) - header.keys())]
    if absent:
        raise DamagedError(path, f"is of another kind (it lacks {', '.join(sorted(absent))})")
    if of is not None and about.get("of") != of:
        raise DamagedError(path, "belongs to other work, whatever its name says")
    return about


def _measure(path: Path) -> tuple[str, int]:
    """The checksum of a file's content, and where in the file its digits belong."""
    with path.open("rb") as file:
        start = file.read(8)
        start += file.read(_header_bytes(path, start))
        digest, place = _unsealed(path, start)
        return hashlib.file_digest(file, lambda: digest).hexdigest(), place


def _unsealed(path: Path, data: bytes) -> tuple[Any, int]:
    """SHA-256 of a file's content, or its beginning, without the digits; and where they stand."""
    seals = list(_SEAL.finditer(data))
    if len(seals) != 1:
        raise DamagedError(path, "has no checksum, so it is damaged or of another version")
    place, view = seals[0].start(1), memoryview(data)
    digest = hashlib.sha256(view[:place])
    digest.update(_ZEROS)
    digest.update(view[place + len(_ZEROS) :])
    return digest, place


def _header_bytes(path: Path, start: bytes) -> int:
    count = int.from_bytes(start, "little")
    if len(start) < 8 or count > _MOST_HEADER:
        raise DamagedError(path, "is damaged (it does not begin as such a file does)")
    return count
