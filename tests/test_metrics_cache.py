"""Embeddings are computed once per picture content and encoder."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pseudoword.checksum import DamagedError
from pseudoword.metrics.cache import EmbeddingCache, pixel_hash


@dataclass
class MeanColour:
    """An encoder that counts what it is asked for."""

    name: str = "org/mean colour"
    sha256: str = "a"
    preprocessing: str = "none"
    asked: list[int] = field(default_factory=list)

    def embed_images(self, images: Sequence[Image.Image]) -> np.ndarray:
        self.asked.append(len(images))
        rows = [np.asarray(image.convert("RGB")).mean(axis=(0, 1)) for image in images]
        return np.array(rows, dtype=np.float32).reshape(-1, 3)

    def look(self, images: Sequence[Image.Image]) -> tuple[np.ndarray, np.ndarray]:
        vectors = self.embed_images(images)
        return vectors, vectors[:, :2].astype(np.float16)


def picture(value: int, size: tuple[int, int] = (8, 6)) -> Image.Image:
    return Image.new("RGB", size, (value, 0, 255 - value))


def test_known_pictures_are_not_embedded_again(tmp_path: Path) -> None:
    encoder, images = MeanColour(), [picture(1), picture(2), picture(1)]
    first = EmbeddingCache(tmp_path).embed(encoder, images)
    again = EmbeddingCache(tmp_path).embed(encoder, [*images, picture(3)])
    assert encoder.asked == [2, 1]
    assert np.array_equal(first, MeanColour().embed_images(images))
    assert np.array_equal(again[:3], first)
    assert EmbeddingCache(tmp_path).embed(encoder, []).shape == (0, 3)


def test_one_pass_gives_vectors_and_places_and_both_are_kept(tmp_path: Path) -> None:
    encoder, images = MeanColour(), [picture(1), picture(2)]
    EmbeddingCache(tmp_path).embed(encoder, images[:1])
    first = EmbeddingCache(tmp_path).look(encoder, images)
    again = EmbeddingCache(tmp_path)
    for found, expected in zip(again.look(encoder, images), first, strict=True):
        assert np.array_equal(found, expected) and found.dtype == expected.dtype
    assert np.array_equal(again.embed(encoder, images), first[0])
    assert encoder.asked == [1, 2]
    assert first[1].dtype == np.float16
    assert again.look(encoder, [])[0].shape == (0, 3)


@pytest.mark.parametrize("change", [{"sha256": "b"}, {"preprocessing": "crop"}])
def test_another_encoder_has_a_file_of_its_own(tmp_path: Path, change: dict[str, Any]) -> None:
    cache = EmbeddingCache(tmp_path)
    cache.embed(MeanColour(), [picture(1)])
    other = MeanColour(**change)
    cache.embed(other, [picture(1)])
    assert other.asked == [1]
    assert len(list(tmp_path.iterdir())) == 2


def test_a_key_is_the_pixels_and_the_size() -> None:
    flat = Image.new("RGB", (4, 3), (9, 9, 9))
    assert pixel_hash(flat) == pixel_hash(Image.new("RGBA", (4, 3), (9, 9, 9, 255)))
    assert pixel_hash(flat) != pixel_hash(flat.resize((3, 4)))
    assert pixel_hash(flat) != pixel_hash(Image.new("RGB", (4, 3), (9, 9, 8)))


def test_a_damaged_file_is_told_and_made_again(tmp_path: Path) -> None:
    encoder, notes = MeanColour(), list[str]()
    first = EmbeddingCache(tmp_path).embed(encoder, [picture(1)])
    path = EmbeddingCache(tmp_path).path_for(encoder)
    damaged = bytearray(path.read_bytes())
    damaged[-1] ^= 1
    path.write_bytes(damaged)
    with pytest.raises(DamagedError, match="remove it"):
        EmbeddingCache(tmp_path).embed(encoder, [picture(1)])
    again = EmbeddingCache(tmp_path, notes.append).embed(encoder, [picture(1)])
    assert np.array_equal(again, first) and encoder.asked == [1, 1]
    assert len(notes) == 1 and str(path) in notes[0]
    assert np.array_equal(EmbeddingCache(tmp_path).embed(encoder, [picture(1)]), first)
