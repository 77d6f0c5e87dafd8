"""Embeddings on disk, computed once per picture content and encoder."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from PIL import Image
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from pseudoword.errors import UserError
from pseudoword.runs import atomic_path, hash_bytes


class ImageEncoder(Protocol):
    """What the cache needs of an encoder."""

    @property
    def name(self) -> str: ...

    @property
    def sha256(self) -> str: ...

    @property
    def preprocessing(self) -> str: ...

    def embed_images(self, images: Sequence[Image.Image]) -> np.ndarray: ...


class EmbeddingCache:
    """A folder with one .safetensors file an encoder: pixel hashes (n, 32) and vectors (n, d).

    A picture is known by its pixels and an encoder by its weights and preprocessing, so nothing
    can go stale. Two processes that write at once lose entries at worst, and compute them again.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def embed(self, encoder: ImageEncoder, images: Sequence[Image.Image]) -> np.ndarray:
        """The encoder's vectors of `images`: float32 (n, d), from the file where they are known."""
        path = self.path_for(encoder)
        known = _read(path)
        keys = [pixel_hash(image) for image in images]
        unknown = {key: image for key, image in zip(keys, images, strict=True) if key not in known}
        if unknown:
            vectors = encoder.embed_images(list(unknown.values()))
            known |= dict(zip(unknown, vectors, strict=True))
            _write(path, known)
        if not keys:
            return encoder.embed_images([])
        return np.stack([known[key] for key in keys])

    def path_for(self, encoder: ImageEncoder) -> Path:
        """The file of this encoder: its name for people, its content hash for correctness."""
        content = hash_bytes(encoder.sha256.encode(), encoder.preprocessing.encode())
        readable = re.sub(r"[^A-Za-z0-9.-]+", "-", encoder.name)
        return self.folder / f"{readable}-{content[:24]}.safetensors"


def pixel_hash(image: Image.Image) -> bytes:
    """32 bytes that name the RGB pixels of a picture, whatever file they came from."""
    rgb = image.convert("RGB")
    size = f"{rgb.width}x{rgb.height}".encode()
    return bytes.fromhex(hash_bytes(size, rgb.tobytes()))


def _read(path: Path) -> dict[bytes, np.ndarray]:
    if not path.exists():
        return {}
    try:
        tensors = load_file(path)
        keys, vectors = tensors["keys"], tensors["vectors"]
    except (SafetensorError, KeyError):
        raise UserError(f"{path} is not a whole embedding file: remove it and run again.") from None
    return {key.tobytes(): vector for key, vector in zip(keys, vectors, strict=True)}


def _write(path: Path, known: dict[bytes, np.ndarray]) -> None:
    keys = np.frombuffer(b"".join(known), dtype=np.uint8).reshape(-1, 32)
    vectors = np.stack(list(known.values())).astype(np.float32)
    with atomic_path(path) as temporary:
        save_file({"keys": keys.copy(), "vectors": vectors}, temporary)
