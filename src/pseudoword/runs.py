"""Run and study folders on disk: whole or absent, done means the file exists."""

import hashlib
import json
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import lru_cache
from itertools import takewhile
from pathlib import Path
from typing import Any

from pseudoword.disk import disk_error, read_from, sync, told_of
from pseudoword.errors import UserError

UNFINISHED = ".unfinished-"
"""How the names of files begin that are being written."""
LOCK = ".lock"
"""The file by which a process keeps a folder to itself (`locks.hold`)."""

IDENTITY = "identity.json"
"""What may not change when a command works on in its folder."""
SELECTION = "selection.json"
"""What a study chose for all of its methods."""
IMAGES, DRIFT = "images", "drift"
"""Where a run keeps its pictures of the concept, and those without it."""
SEAL = "sha256"
"""The checksum in a sealed JSON object, of all its other entries."""


def write_atomic(path: Path, data: bytes | str, synced: bool = True) -> None:
    """Writes a whole file or none: to a temporary neighbour first, then renamed over `path`."""
    with atomic_path(path, synced) as temporary:
        temporary.write_bytes(data.encode() if isinstance(data, str) else data)


@contextmanager
def atomic_path(path: Path, synced: bool = True) -> Iterator[Path]:
    """A temporary path beside `path` for a library to write to; renamed to `path` on success.

    Once renamed, the file outlives a loss of power, unless it is not `synced`. Raises DiskError
    where the disk takes no more, whatever a library makes of that, and leaves nothing behind.
    """
    with told_of(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(
            dir=path.parent, prefix=f"{UNFINISHED}{path.name}.", suffix=path.suffix
        )
        os.close(handle)
        temporary = Path(name)
        try:
            yield temporary
            # mkstemp makes files that only the owner reads; a result is as readable as any other.
            temporary.chmod(0o666 & ~_umask())
            # The other way round, a loss of power could leave the name without its content.
            if synced:
                sync(temporary)
            temporary.replace(path)
            if synced:
                sync(path.parent)
        finally:
            temporary.unlink(missing_ok=True)


def sweep(folder: Path) -> None:
    """Removes what killed processes were writing. Only for whoever alone works in `folder`.

    Folders in it that have a lock of their own are left to whoever holds them, now or next.
    """
    for path in folder.rglob(f"{UNFINISHED}*"):
        # Looked at once the file was found: whoever writes one had its lock before.
        inner = takewhile(lambda place: place != folder, path.parents)
        if not any((place / LOCK).exists() for place in inner):
            path.unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def write_json(path: Path, value: Any, sealed: bool = False) -> None:
    """Writes `value` as indented JSON, atomically. NaN and infinity are refused (not JSON).

    Sealed, an object gets a checksum of itself as its last entry, which `read_json` checks.
    """
    if sealed:
        # As it will be read: tuples are lists there, and all keys are text.
        value = {**value, SEAL: _seal(json.loads(json.dumps(value)))}
    write_atomic(path, json.dumps(value, indent=2, allow_nan=False, ensure_ascii=False) + "\n")


def read_json(path: Path) -> Any:
    """The JSON value in `path`, without its checksum where it has one.

    Raises UserError where the file is missing, is not JSON, or not what was written.
    """
    try:
        value = json.loads(path.read_text())
    except (FileNotFoundError, NotADirectoryError):
        raise UserError(f"{path} does not exist: is this the folder you meant?") from None
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}): mend that first.") from None
    except RecursionError:
        raise UserError(f"{path} is nested too deeply for JSON of ours: remove it.") from None
    except ValueError as error:  # no JSON, no text, or a number of thousands of digits
        raise UserError(
            f"{path} is not readable JSON ({error}): remove it and run again."
        ) from None
    if isinstance(value, dict) and SEAL in value:
        seal = value.pop(SEAL)
        if seal != _seal(value):
            raise UserError(
                f"{path} was changed or damaged since it was written:\n"
                "remove it and run the same command again."
            )
    return value


def _seal(value: Any) -> str:
    """The checksum of what JSON was read as."""
    return hash_bytes(json.dumps(value, sort_keys=True).encode())


def hash_bytes(*parts: bytes) -> str:
    """SHA-256 in hex over the parts, each with its length, so that boundaries count."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(part)
    return digest.hexdigest()


def file_sha256(path: Path) -> str:
    """SHA-256 in hex of a file's content. Raises UserError where it cannot be read."""
    with read_from(path), path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def kept_sha256(path: Path) -> str:
    """`file_sha256`, kept in memory for a file whose size and time are still the same.

    Models and photos are asked for many times in one command.
    """
    with read_from(path):
        state = path.stat()
    return _sha256_of(path, state.st_size, state.st_mtime_ns)


@lru_cache(maxsize=2**16)
def _sha256_of(path: Path, size: int, modified: int) -> str:
    return file_sha256(path)


def hash_json(value: Any) -> str:
    """SHA-256 in hex of the canonical JSON of `value`."""
    return hash_bytes(json.dumps(value, sort_keys=True, allow_nan=False).encode())


def slug(text: str) -> str:
    """A text as part of a file's name: letters, digits and underscores, joined by hyphens."""
    return re.sub(r"[^\w]+", "-", text.lower()).strip("-")


def run_folder(study: Path, method: str | None, seed: int = 0) -> Path:
    """Where a study keeps the run of a method and training seed; None is the untouched model."""
    return study / "runs" / ("base-model" if method is None else f"{method}-s{seed}")


def given_folder(study: Path, name: str) -> Path:
    """Where a study keeps the pictures of a given artefact, whose name begins with "given-"."""
    return study / "runs" / name


def validation_folder(run: Path, step: int | None = None, strength: float = 1.0) -> Path:
    """Where a run keeps the validation pictures of one checkpoint at one strength.

    The untouched model, which has no steps, keeps all of its own together.
    """
    folder = run / "validation"
    if step is None:
        return folder
    return folder / (f"{step}" if strength == 1 else f"{step}-x{strength:g}")


def losses_path(run: Path, step: int | None = None) -> Path:
    """Where a run keeps the losses of one checkpoint on fixed samples of the photos."""
    return validation_folder(run, step) / "losses.json"


def drift_path(run: Path, prompt_id: str, image_seed: int) -> Path:
    """Where a run keeps its picture of a prompt without the concept."""
    return run / DRIFT / picture_name(prompt_id, image_seed)


def picture_path(run: Path, prompt_id: str, image_seed: int) -> Path:
    """Where a run keeps its picture of a prompt and image seed."""
    return run / IMAGES / picture_name(prompt_id, image_seed)


def picture_name(prompt_id: str, image_seed: int) -> str:
    """What a picture's file is called in its folder."""
    return f"{prompt_id}-{image_seed}.png"


def names_in(folder: Path) -> set[str]:
    """What is in a folder, nothing where there is none: faster than asking for each file."""
    return set(os.listdir(folder)) if folder.is_dir() else set()


@dataclass(frozen=True)
class Choice:
    """What a run's pictures are drawn with: the artefact of one checkpoint, at one strength."""

    step: int
    artefact: str
    strength: float


def write_choice(run: Path, choice: Choice) -> None:
    """chosen.json of a run, where it is not there yet."""
    path = run / "chosen.json"
    if not path.exists():
        write_json(path, asdict(choice), sealed=True)


def read_choice(run: Path) -> Choice | None:
    """What a study chose for a run; None where nothing was chosen, as after `train`.

    Raises UserError where something was, and is not there any more: a study draws pictures only
    then, and keeps what it chose for each method that takes part.
    """
    path = run / "chosen.json"
    if not path.exists():
        run = run.resolve()
        selection = run.parent.parent / SELECTION
        chosen = read_json(selection) if selection.exists() else {}
        if (run / IMAGES).exists() or run.name.rpartition("-s")[0] in chosen:
            raise UserError(
                f"{path} is gone, which says what its study chose to draw with:\n"
                "run the same study again."
            )
        return None
    match read_json(path):
        case {
            "step": int(step),
            "artefact": str(artefact),
            "strength": int() | float() as strength,
        }:
            return Choice(step, artefact, float(strength))
    raise UserError(f"{path} names no choice of ours: remove it and run the same study again.")


def refuse_file(folder: Path) -> None:
    """Raises UserError where `folder` is a file; makes nothing."""
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder} is a file: name a folder that is new or empty.")


def prepare_folder(folder: Path) -> None:
    """Makes `folder` and proves that it can be written to. Raises UserError otherwise."""
    refuse_file(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise disk_error(folder, error) or UserError(
            f"{folder} cannot be written to ({error.strerror}): name another folder."
        ) from None
