"""Embeddings on disk, computed once per picture content and encoder."""

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from PIL import Image
from safetensors.numpy import load_file, save_file

from pseudoword.checksum import DamagedError, check_seal, save_sealed
from pseudoword.metrics.lazily import choose, pixel_hashes
from pseudoword.metrics.perceptual import RECIPE
from pseudoword.runs import hash_bytes


class ImageEncoder(Protocol):
    """What the cache needs of an encoder."""

    @property
    def name(self) -> str: ...

    @property
    def sha256(self) -> str: ...

    @property
    def preprocessing(self) -> str: ...

    def embed_images(self, images: Sequence[Image.Image]) -> np.ndarray: ...

    def look(self, images: Sequence[Image.Image]) -> tuple[np.ndarray, np.ndarray]: ...


Known = dict[bytes, np.ndarray]


class EmbeddingCache:
    """A folder with .safetensors files of pixel hashes (n, 32) and vectors (n, d).

    A picture is known by its pixels and an encoder by its weights and preprocessing, which a file
    has under its checksum, so nothing can go stale or be taken for another's. What comes is written
    to a file of its own, and files of like size become one, so that n pictures are written about
    log n times and lie in about log n files. Two processes that write at once lose entries at
    worst, and compute them again. Vectors that were read stay in memory; the far larger perceptual
    features do not: they have a file for each set of pictures that they were asked of. `note` is
    told of a damaged file, whose embeddings are computed again; without it that raises
    DamagedError. A file of another kind or encoder in the place of one counts as damaged.
    """

    def __init__(self, folder: Path, note: Callable[[str], None] | None = None) -> None:
        self.folder = folder
        self._note = note
        self._known: dict[Path, Known] = {}
        self._parts: dict[Path, list[list[bytes]]] = {}

    def embed(self, encoder: ImageEncoder, images: Sequence[Image.Image]) -> np.ndarray:
        """The encoder's vectors of `images`: float32 (n, d), read where they are known."""
        path, of = self.path_for(encoder), _identity(encoder)
        keys = pixel_hashes(images)
        if not keys:
            return encoder.embed_images([])
        self._read(path, of)
        rows = _unknown(keys, self._known[path])
        if rows:
            found = encoder.embed_images(choose(images, rows))
            self._add(path, of, [keys[row] for row in rows], found)
        return np.stack([self._known[path][key] for key in keys])

    def look(
        self, encoder: ImageEncoder, images: Sequence[Image.Image]
    ) -> tuple[np.ndarray, np.ndarray]:
        """The encoder's vectors of `images` and their perceptual features: float16 (n, p)."""
        path, of = self.path_for(encoder), _identity(encoder)
        keys = pixel_hashes(images)
        if not keys:
            return encoder.look([])
        self._read(path, of)
        all_keys = hash_bytes(*keys)
        places_file = self.path_for(encoder, f"-{RECIPE}-{all_keys[:24]}")
        places_of = f"{of}-{RECIPE}-{all_keys}"
        places = self._tensors(places_file, places_of, "places").get("places")
        if places is None or _unknown(keys, self._known[path]):
            vectors, places = encoder.look(images)
            fresh = _unknown(keys, self._known[path])
            if fresh:
                self._add(path, of, [keys[row] for row in fresh], vectors[fresh])
            save_sealed(places_file, {"places": places}, {"of": places_of}, save_file)
        return np.stack([self._known[path][key] for key in keys]), places

    def _read(self, path: Path, of: str) -> None:
        """Reads what the files of an encoder hold, once."""
        if path in self._known:
            return
        self._known[path], self._parts[path] = {}, []
        while (part := _part(path, len(self._parts[path]))).exists():
            tensors = self._tensors(part, of, "keys", "vectors")
            keys = [key.tobytes() for key in tensors.get("keys", ())]
            self._known[path].update(zip(keys, tensors.get("vectors", ()), strict=True))
            self._parts[path].append(keys)

    def _add(self, path: Path, of: str, keys: Sequence[bytes], vectors: np.ndarray) -> None:
        known, parts = self._known[path], self._parts[path]
        known.update(zip(keys, vectors, strict=True))
        written, count = list(keys), len(parts)
        while parts and len(parts[-1]) <= len(written):
            written = parts.pop() + written
        table = np.frombuffer(b"".join(written), np.uint8).reshape(-1, 32).copy()
        values = np.stack([known[key] for key in written])
        tensors = {"keys": table, "vectors": values}
        save_sealed(_part(path, len(parts)), tensors, {"of": of}, save_file)
        parts.append(written)
        # What was taken up is there twice until it is removed, which does no harm.
        for number in range(len(parts), count):
            _part(path, number).unlink(missing_ok=True)

    def _tensors(self, path: Path, of: str, *names: str) -> dict[str, np.ndarray]:
        """The tensors of a file; none where it is missing, damaged, without these names or `of`
        anything else."""
        if not path.exists():
            return {}
        try:
            check_seal(path, tensors=names, of=of)
        except DamagedError as error:
            if self._note is None:
                raise
            self._note(f"{path} {error.reason}: its embeddings are computed again")
            return {}
        return load_file(path)

    def path_for(self, encoder: ImageEncoder, what: str = "") -> Path:
        """The first file of this encoder: its name for people, its hash for correctness."""
        readable = re.sub(r"[^A-Za-z0-9.-]+", "-", encoder.name)
        return self.folder / f"{readable}-{_identity(encoder)[:24]}{what}.safetensors"


def _identity(encoder: ImageEncoder) -> str:
    return hash_bytes(encoder.sha256.encode(), encoder.preprocessing.encode())


def _part(path: Path, number: int) -> Path:
    return path.with_suffix(f".{number}.safetensors") if number else path


def _unknown(keys: Sequence[bytes], known: Mapping[bytes, object]) -> list[int]:
    """The first row of each key that is not known."""
    rows: dict[bytes, int] = {}
    for row, key in enumerate(keys):
        if key not in known:
            rows.setdefault(key, row)
    return list(rows.values())
