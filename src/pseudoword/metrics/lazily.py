"""Pictures on disk as a sequence, of which few are open at once, however many there are."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import overload

from PIL import Image

from pseudoword.runs import hash_bytes


class PictureFiles(Sequence[Image.Image]):
    """Pictures that are opened by `open_picture` when they are asked for, and kept by nobody.

    What was learnt of a file, its pixels' hash, is kept and shared with slices.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        open_picture: Callable[[Path], Image.Image],
        hashes: dict[Path, bytes] | None = None,
    ) -> None:
        self.paths = tuple(paths)
        self._open = open_picture
        self._hashes = {} if hashes is None else hashes

    def __len__(self) -> int:
        return len(self.paths)

    def __iter__(self) -> Iterator[Image.Image]:
        return (self._open(path) for path in self.paths)

    @overload
    def __getitem__(self, place: int) -> Image.Image: ...

    @overload
    def __getitem__(self, place: slice) -> "PictureFiles": ...

    def __getitem__(self, place: int | slice) -> "Image.Image | PictureFiles":
        if isinstance(place, slice):
            return PictureFiles(self.paths[place], self._open, self._hashes)
        return self._open(self.paths[place])

    def choose(self, rows: Iterable[int]) -> "PictureFiles":
        """Some of them, in this order."""
        return PictureFiles([self.paths[row] for row in rows], self._open, self._hashes)

    def hashes(self) -> list[bytes]:
        """`pixel_hash` of each; a file is read for it once."""
        for path in self.paths:
            if path not in self._hashes:
                self._hashes[path] = pixel_hash(self._open(path))
        return [self._hashes[path] for path in self.paths]


def choose(pictures: Sequence[Image.Image], rows: Iterable[int]) -> Sequence[Image.Image]:
    """Some of the pictures, in this order; none of them is opened for that."""
    if isinstance(pictures, PictureFiles):
        return pictures.choose(rows)
    return [pictures[row] for row in rows]


def pixel_hashes(pictures: Sequence[Image.Image]) -> list[bytes]:
    """`pixel_hash` of each picture."""
    if isinstance(pictures, PictureFiles):
        return pictures.hashes()
    return [pixel_hash(picture) for picture in pictures]


def pixel_hash(picture: Image.Image) -> bytes:
    """32 bytes that name the RGB pixels of a picture, whatever file they came from."""
    rgb = picture.convert("RGB")
    size = f"{rgb.width}x{rgb.height}".encode()
    return bytes.fromhex(hash_bytes(size, rgb.tobytes()))
