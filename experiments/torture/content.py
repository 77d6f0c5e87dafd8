"""What of a command's folder must come out the same, whatever befell it: all but times.

Seconds, memory and dates differ between any two runs, and so do checksums that cover them. What
holds none is compared byte by byte. Pages show those times, and count by their names alone.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

from safetensors import safe_open

TIMED = {"seconds", "seconds_this_time", "peak_memory_bytes", "created"}
NOTE = "pseudoword"
"""Where a file of tensors keeps what is said beside them."""
EMBEDDINGS = ("keys", "vectors")


def content(out: Path) -> dict[str, str]:
    """A hash of what may not differ between two runs of one command, for every file in `out`.

    The parts of an embedding cache are one: which part an embedding lies in depends on when it
    was asked for.
    """
    found: dict[str, str] = {}
    parts: dict[str, set[bytes]] = {}
    for path in sorted(p for p in out.rglob("*") if p.is_file()):
        name = str(path.relative_to(out))
        if path.suffix == ".html":
            found[name] = "there"
        elif path.suffix == ".safetensors" and _is_embeddings(path):
            parts.setdefault(name.split(".")[0], set()).update(_embeddings(path))
        else:
            found[name] = hashlib.sha256(_lasting(path)).hexdigest()
    return found | {
        name: hashlib.sha256(b"".join(sorted(rows))).hexdigest() for name, rows in parts.items()
    }


def differences(found: dict[str, str], wanted: dict[str, str]) -> list[str]:
    """The names of files that lack, are too many or differ."""
    names = sorted({*found, *wanted})
    return [name for name in names if found.get(name) != wanted.get(name)]


def _lasting(path: Path) -> bytes:
    """The bytes of a file; without times and their seal where it holds times."""
    data = path.read_bytes()
    if path.suffix == ".json":
        return _without_times(data, "sha256")
    if path.suffix == ".jsonl":
        return b"\n".join(_without_times(line) for line in data.splitlines())
    if path.suffix == ".safetensors":
        end = 8 + int.from_bytes(data[:8], "little")
        header = json.loads(data[8:end])
        note = header.get("__metadata__", {}).get(NOTE, "{}").encode()
        lasting = _without_times(note, "seal")
        if lasting != note:
            del header["__metadata__"]
            return lasting + json.dumps(header).encode() + data[end:]
    return data


def _without_times(text: bytes, seal: str | None = None) -> bytes:
    """The same text where it holds no times; else its value without them and its `seal`."""
    value = json.loads(text)
    lasting = _untimed(value)
    if lasting == value:
        return text
    if isinstance(lasting, dict) and seal is not None:
        lasting.pop(seal, None)
    return json.dumps(lasting).encode()


def _untimed(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _untimed(inner) for key, inner in value.items() if key not in TIMED}
    if isinstance(value, list):
        return [_untimed(inner) for inner in value]
    return value


def _is_embeddings(path: Path) -> bool:
    with safe_open(path, "np") as file:
        return sorted(file.keys()) == sorted(EMBEDDINGS)


def _embeddings(path: Path) -> set[bytes]:
    """Key and vector of each embedding."""
    with safe_open(path, "np") as file:
        keys, vectors = (file.get_tensor(name) for name in EMBEDDINGS)
    return {k.tobytes() + v.tobytes() for k, v in zip(keys, vectors, strict=True)}
