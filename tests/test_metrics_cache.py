"""Embeddings are computed once per picture content and encoder."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import save_file

from pseudoword.checksum import save_sealed
from pseudoword.errors import UserError
from pseudoword.metrics.cache import EmbeddingCache
from pseudoword.metrics.lazily import PictureFiles, pixel_hash


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


def told_and_made_again(
    folder: Path, encoder: MeanColour, images: list[Image.Image], whole: tuple[np.ndarray, ...]
) -> str:
    """The one note of a cache that looks at `images` again, and finds what it found of old."""
    told: list[str] = []
    again = EmbeddingCache(folder, told.append).look(encoder, images)
    assert [np.array_equal(*pair) for pair in zip(again, whole, strict=True)] == [True, True]
    (note,) = told
    return note


def test_a_broken_file_is_told_and_its_embeddings_are_made_again(tmp_path: Path) -> None:
    encoder, images = MeanColour(), [picture(1), picture(2)]
    cache = EmbeddingCache(tmp_path)
    whole = cache.look(encoder, images)
    for file in list(tmp_path.iterdir()):
        data = bytearray(file.read_bytes())
        data[-1] ^= 1
        file.write_bytes(data)
        with pytest.raises(UserError, match="remove it"):
            EmbeddingCache(tmp_path).look(encoder, images)
        assert file.name in told_and_made_again(tmp_path, encoder, images, whole)
        assert EmbeddingCache(tmp_path).look(encoder, images)[1].shape == (2, 2)


def test_a_file_of_another_kind_is_told_and_its_embeddings_are_made_again(tmp_path: Path) -> None:
    encoder, images = MeanColour(), [picture(1), picture(2)]
    whole = EmbeddingCache(tmp_path).look(encoder, images)
    ours = {file: file.read_bytes() for file in tmp_path.iterdir()}
    assert len(ours) == 2
    # Each in the place of the other, and one with half of what it should hold.
    vectors = next(file for file in ours if file.stat().st_size == max(map(len, ours.values())))
    save_sealed(tmp_path / "half", {"vectors": whole[0]}, {}, save_file)
    half = (tmp_path / "half").read_bytes()
    (tmp_path / "half").unlink()
    swapped = dict(zip(ours, reversed(ours.values()), strict=True))
    for file, content in [*swapped.items(), (vectors, half)]:
        file.write_bytes(content)
        with pytest.raises(UserError, match="of another kind"):
            EmbeddingCache(tmp_path).look(encoder, images)
        told = told_and_made_again(tmp_path, encoder, images, whole)
        assert file.name in told and "of another kind" in told
        assert {file: file.read_bytes() for file in tmp_path.iterdir()} == ours


@pytest.mark.parametrize("other", [{"sha256": "b"}, {"preprocessing": "crop"}, {}])
def test_a_file_under_the_name_of_another_is_told(tmp_path: Path, other: dict[str, Any]) -> None:
    """Of another encoder's vectors and places, or of the same one's places of other pictures."""
    encoder, images = MeanColour(), [picture(1), picture(2)]
    whole = EmbeddingCache(tmp_path).look(encoder, images)
    ours = {file: file.read_bytes() for file in tmp_path.iterdir()}
    EmbeddingCache(tmp_path).look(MeanColour(**other), images if other else [picture(3)])
    theirs = set(tmp_path.iterdir()) - ours.keys()
    # Names of one length are of one kind: a file of a few pictures more has a number in its name.
    pairs = [(file, of) for file in ours for of in theirs if len(file.name) == len(of.name)]
    assert len(pairs) == (2 if other else 1)
    for file, of in pairs:
        file.write_bytes(of.read_bytes())
        with pytest.raises(UserError, match="belongs to other work"):
            EmbeddingCache(tmp_path).look(encoder, images)
        assert file.name in told_and_made_again(tmp_path, encoder, images, whole)


def test_many_pictures_are_written_few_times_and_lie_in_few_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As run after run of a study comes, 200 of 5 pictures each."""
    from pseudoword.metrics import cache as module

    written: list[int] = []
    save = module.save_sealed

    def counting(path: Path, tensors: dict[str, np.ndarray], *rest: Any) -> None:
        written.append(len(tensors["keys"]))
        save(path, tensors, *rest)

    monkeypatch.setattr(module, "save_sealed", counting)
    cache, encoder = EmbeddingCache(tmp_path), MeanColour()
    for run in range(200):
        cache.embed(encoder, [picture(i, (run + 1, 2)) for i in range(5)])
    assert sum(written) <= 1000 * np.log2(1000)
    assert len(list(tmp_path.iterdir())) <= np.log2(1000)
    again = MeanColour()
    EmbeddingCache(tmp_path).embed(again, [picture(i, (run + 1, 2)) for i in range(5)])
    assert again.asked == []


def test_few_pictures_are_open_at_once(tmp_path: Path) -> None:
    opened: list[int] = []

    class Counted(Image.Image):
        def __del__(self) -> None:
            opened.append(-1)

    def open_picture(path: Path) -> Image.Image:
        opened.append(1)
        image = picture(int(path.stem))
        image.__class__ = Counted
        return image

    files = PictureFiles([Path(f"{i}.png") for i in range(200)], open_picture)
    cache = EmbeddingCache(tmp_path)
    cache.embed(Batches(), files)
    most = max(np.cumsum(opened))
    assert opened.count(1) == 400 and most <= 2 * Batches.size
    before = opened.count(1)
    cache.embed(Batches(), files[50:60])
    assert opened.count(1) == before


class Batches(MeanColour):
    """As the real encoders do, takes some pictures at a time."""

    size = 8

    def embed_images(self, images: Sequence[Image.Image]) -> np.ndarray:
        starts = range(0, len(images), self.size)
        batches = (list(images[start : start + self.size]) for start in starts)
        return np.concatenate([MeanColour.embed_images(self, batch) for batch in batches])
