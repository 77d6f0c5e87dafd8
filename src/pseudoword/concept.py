"""The intake: from the user's files to vetted square photos of one concept.

A picture that cannot be used is an error and never passed over, because a study on three photos
where its user meant five answers another question. Whatever is done to a picture is noted.
"""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from pseudoword.errors import UserError
from pseudoword.pictures import find_pictures, printable, read_picture, show, some
from pseudoword.runs import atomic_path, hash_bytes

MIN_TO_HOLD_OUT = 4
MAX_NOUN_LENGTH = 60


@dataclass(frozen=True, eq=False)
class Photo:
    """One vetted picture of the concept.

    `pixels` is a read-only uint8 array of shape (size, size, 3) in sRGB. `sha256` is that of the
    whole upright picture before cropping and scaling, so it does not change with `size`;
    `original_width` and `original_height` (pixels) are those of the upright picture too.
    """

    name: str
    pixels: np.ndarray
    sha256: str
    original_width: int
    original_height: int
    held_out: bool = False
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Concept:
    """What is to be learnt: a class noun and photos in natural order of their paths.

    `notes` say what was ignored or changed on the user's behalf, `warnings` what may spoil the
    result.
    """

    class_noun: str
    photos: tuple[Photo, ...]
    notes: tuple[str, ...]
    warnings: tuple[str, ...]

    @property
    def training(self) -> tuple[Photo, ...]:
        """The photos to train on: all but the held-out one."""
        return tuple(photo for photo in self.photos if not photo.held_out)

    @property
    def held_out(self) -> Photo | None:
        """The photo that no method sees, or None."""
        return next((photo for photo in self.photos if photo.held_out), None)


def load_concept(
    paths: Sequence[Path], class_noun: str, size: int, hold_out: bool = True
) -> Concept:
    """Reads picture files and folders of pictures (not what is in folders within them).

    Each photo is cropped at its centre and scaled to `size` x `size` pixels. One of four or more
    is held out if `hold_out`, chosen by content: names and order do not matter. Raises UserError
    for a class noun, path or picture that cannot be used.
    """
    noun, notes = clean_class_noun(class_noun)
    files = find_pictures(paths, notes)
    photos: dict[str, Photo] = {}
    sources: dict[str, Path] = {}
    problems: list[tuple[Path, UserError]] = []
    for path in files:
        try:
            photo = _load_photo(path, size)
        except UserError as error:
            problems.append((path, error))
            continue
        if photo.sha256 in photos:
            first = sources[photo.sha256]
            notes.append(f"{show(path)} is the same picture as {show(first)}: used once")
            continue
        photos[photo.sha256] = photo
        sources[photo.sha256] = path
    if problems:
        raise _problems_error(problems, len(files))
    kept = list(photos.values())
    if hold_out and len(kept) >= MIN_TO_HOLD_OUT:
        # The least hash: as good as a draw, yet the same whatever the files are called.
        chosen = min(photos)
        kept = [replace(photo, held_out=photo.sha256 == chosen) for photo in kept]
    elif hold_out:
        notes.append(
            f"no photo is held out, since there are fewer than {MIN_TO_HOLD_OUT}: "
            "pictures are scored against the training photos"
        )
    return Concept(noun, tuple(kept), tuple(notes), tuple(_warnings(kept, size)))


def save_photos(concept: Concept, folder: Path) -> list[dict[str, Any]]:
    """Writes photos/00.png, 01.png, ... into the study `folder`; returns its "photos" records."""
    records = []
    for index, photo in enumerate(concept.photos):
        file = f"photos/{index:02d}.png"
        with atomic_path(folder / file) as temporary:
            Image.fromarray(photo.pixels).save(temporary, format="PNG")
        height, width, _ = photo.pixels.shape
        records.append(
            {
                "file": file,
                "name": photo.name,
                "sha256": photo.sha256,
                "width": width,
                "height": height,
                "original_width": photo.original_width,
                "original_height": photo.original_height,
                "held_out": photo.held_out,
                "notes": list(photo.notes),
            }
        )
    return records


def clean_class_noun(text: str) -> tuple[str, list[str]]:
    """The class noun without a leading article and without surplus spaces, and notes on that."""
    noun = re.sub(" +", " ", unicodedata.normalize("NFC", text).strip(" "))
    notes = []
    article, _, rest = noun.partition(" ")
    if article.lower() in ("a", "an", "the"):
        notes.append(f'class noun "{rest}": its article "{article}" was left out')
        noun = rest
    remedy = 'name the kind of thing in plain words, such as "mug" or "stuffed animal".'
    if not noun:
        raise UserError(f"--class-noun is empty: {remedy}")
    word = r"[^\W_]+(-[^\W_]+)*"
    if not re.fullmatch(f"{word}( {word})*", noun) or not re.search(r"[^\W\d_]", noun):
        raise UserError(
            f"--class-noun {printable(text)!r} may hold only letters, digits, spaces and "
            f"hyphens:\n{remedy}"
        )
    if len(noun) > MAX_NOUN_LENGTH:
        raise UserError(f"--class-noun is longer than {MAX_NOUN_LENGTH} characters: {remedy}")
    return noun, notes


def _load_photo(path: Path, size: int) -> Photo:
    image, notes = read_picture(path)
    width, height = image.size
    sha256 = hash_bytes(f"{width}x{height}".encode(), image.tobytes())
    side = min(width, height)
    if width != height:
        left, top = (width - side) // 2, (height - side) // 2
        image = image.crop((left, top, left + side, top + side))
        notes.append(f"cropped at its centre from {width} x {height} to {side} x {side} pixels")
    if side < size:
        notes.append(f"enlarged from {side} to {size} pixels")
    if side != size:
        image = image.resize((size, size), Image.Resampling.LANCZOS, reducing_gap=3.0)
    pixels = np.array(image)
    pixels.flags.writeable = False
    return Photo(printable(path.name), pixels, sha256, width, height, notes=tuple(notes))


def _problems_error(problems: list[tuple[Path, UserError]], count: int) -> UserError:
    if len(problems) == 1:
        return problems[0][1]
    first = str(problems[0][1]).replace("\n", " ")
    others = some(show(path) for path, _ in problems[1:])
    return UserError(f"{first}\n{len(problems)} of {count} pictures cannot be used; also: {others}")


def _warnings(photos: Sequence[Photo], size: int) -> Iterable[str]:
    if len(photos) < 3:
        yield f"only {len(photos)} different photo(s): 3 to 10 serve better"
    small = [p.name for p in photos if min(_sides(p)) < size]
    if small:
        yield f"smaller than {size} pixels, so enlarged and soft: {some(small)}"
    long = [p.name for p in photos if max(_sides(p)) > 2 * min(_sides(p))]
    if long:
        yield f"less than half is left after cropping to a square: {some(long)}"
    flat = [p.name for p in photos if (p.pixels == p.pixels[0, 0]).all()]
    if flat:
        yield f"one flat colour and nothing else: {some(flat)}"


def _sides(photo: Photo) -> tuple[int, int]:
    return photo.original_width, photo.original_height
