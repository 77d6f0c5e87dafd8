"""Embeddings on disk, computed once per picture content and encoder."""

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from PIL import Image
from safetensors.numpy import load_file, save_file

from pseudoword.checksum import DamagedError, check_seal, save_sealed
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

    An encoder has one file for its vectors and, where they are asked for, one for its perceptual
    features. A picture is known by its pixels and an encoder by its weights and preprocessing, so
    nothing can go stale. Two processes that write at once lose entries at worst, and compute them
    again. What was read once stays in memory. `note` is told of a damaged file, whose vectors are
    computed again; without it that raises DamagedError.
    """

    def __init__(self, folder: Path, note: Callable[[str], None] | None = None) -> None:
        self.folder = folder
        self._note = note
        self._files: dict[Path, Known] = {}

    def embed(self, encoder: ImageEncoder, images: Sequence[Image.Image]) -> np.ndarray:
        """The encoder's vectors of `images`: float32 (n, d), from the file where they are known."""
        path = self.path_for(encoder)
        known = self._known(path)
        keys = [pixel_hash(image) for image in images]
        if not keys:
            return encoder.embed_images([])
        unknown = _unknown(keys, images, known)
        if unknown:
            self._add(path, unknown, encoder.embed_images(list(unknown.values())))
        return np.stack([known[key] for key in keys])

    def look(
        self, encoder: ImageEncoder, images: Sequence[Image.Image]
    ) -> tuple[np.ndarray, np.ndarray]:
        """The encoder's vectors of `images` and their perceptual features: float16 (n, p)."""
        vector_file, place_file = self.path_for(encoder), self.path_for(encoder, f"-{RECIPE}")
        vectors, places = self._known(vector_file), self._known(place_file)
        keys = [pixel_hash(image) for image in images]
        if not keys:
            return encoder.look([])
        unknown = _unknown(keys, images, {key: None for key in vectors if key in places})
        if unknown:
            found = encoder.look(list(unknown.values()))
            self._add(vector_file, unknown, found[0])
            self._add(place_file, unknown, found[1])
        return np.stack([vectors[key] for key in keys]), np.stack([places[key] for key in keys])

    def _known(self, path: Path) -> Known:
        if path not in self._files:
            try:
                self._files[path] = _read(path)
            except DamagedError as error:
                if self._note is None:
                    raise
                self._note(f"{path} {error.reason}: its embeddings are computed again")
                self._files[path] = {}
        return self._files[path]

    def _add(self, path: Path, pictures: Mapping[bytes, Image.Image], vectors: np.ndarray) -> None:
        known = self._known(path)
        known.update(zip(pictures, vectors, strict=True))
        _write(path, known)

    def path_for(self, encoder: ImageEncoder, what: str = "") -> Path:
        """The file of this encoder: its name for people, its content hash for correctness."""
        content = hash_bytes(encoder.sha256.encode(), encoder.preprocessing.encode())
        readable = re.sub(r"[^A-Za-z0-9.-]+", "-", encoder.name)
        return self.folder / f"{readable}-{content[:24]}{what}.safetensors"


def _unknown(
    keys: Sequence[bytes], images: Sequence[Image.Image], known: Mapping[bytes, object]
) -> dict[bytes, Image.Image]:
    return {key: image for key, image in zip(keys, images, strict=True) if key not in known}


def pixel_hash(image: Image.Image) -> bytes:
    """32 bytes that name the RGB pixels of a picture, whatever file they came from."""
    rgb = image.convert("RGB")
    size = f"{rgb.width}x{rgb.height}".encode()
    return bytes.fromhex(hash_bytes(size, rgb.tobytes()))


def _read(path: Path) -> Known:
    if not path.exists():
        return {}
    check_seal(path)
    tensors = load_file(path)
    return {key.tobytes(): v for key, v in zip(tensors["keys"], tensors["vectors"], strict=True)}


def _write(path: Path, known: Known) -> None:
    keys = np.frombuffer(b"".join(known), dtype=np.uint8).reshape(-1, 32)
    vectors = np.stack(list(known.values()))
    save_sealed(path, {"keys": keys.copy(), "vectors": vectors}, {}, save_file)
