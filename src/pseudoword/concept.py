"""The intake: from the user's files to the vetted photos of one concept.

A picture that cannot be used is an error and never passed over, because a study on three photos
where its user meant five answers another question. Whatever is done to a picture is noted.
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from pseudoword.buckets import nearest_bucket
from pseudoword.captions import read_captions
from pseudoword.errors import UserError, printable
from pseudoword.pictures import (
    MASK,
    beside,
    find_pictures,
    picture_sha256,
    read_mask,
    read_picture,
    show,
    some,
)
from pseudoword.quality import is_blurred, near_duplicates
from pseudoword.runs import atomic_path, hash_bytes
from pseudoword.settings import PhotoSettings
from pseudoword.views import View, central_box, cut_view, make_views

MIN_TO_HOLD_OUT = 4
MAX_NOUN_LENGTH = 60


@dataclass(frozen=True, eq=False)
class Photo:
    """One vetted picture of the concept.

    `pixels` is a read-only uint8 array of shape (size, size, 3) in sRGB: what is scored and shown.
    `views` are what is trained on; the first is the central one, and a held-out photo has no
    other. `caption` is a template with one `{}`, or None where methods use their own. `sha256` is
    that of the whole upright picture before cropping and scaling, so it does not change with
    `size`; `original_width` and `original_height` (pixels) are those of the upright picture too.
    """

    name: str
    pixels: np.ndarray
    sha256: str
    original_width: int
    original_height: int
    views: tuple[View, ...]
    caption: str | None = None
    mask_sha256: str | None = None
    held_out: bool = False
    notes: tuple[str, ...] = ()

    @property
    def identity(self) -> list[str | None]:
        """What tells it from a photo that would train otherwise."""
        return [self.sha256, self.caption, self.mask_sha256]


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


class Files(NamedTuple):
    """What a concept is read from: pictures in natural order, and what belongs to some of them."""

    class_noun: str
    pictures: list[Path]
    captions: dict[Path, str]
    masks: dict[Path, Path]
    notes: list[str]


def find_files(paths: Sequence[Path], class_noun: str, intake: PhotoSettings) -> Files:
    """The files of a concept, no picture of them opened. Raises UserError as `load_concept`."""
    noun, notes = clean_class_noun(class_noun)
    pictures = find_pictures(paths, notes)
    captions = read_captions(pictures, noun, notes) if intake.captions else {}
    masks = find_masks(pictures, notes) if intake.masks else {}
    return Files(noun, pictures, captions, masks, notes)


def load_concept(
    paths: Sequence[Path],
    class_noun: str,
    size: int,
    hold_out: bool = True,
    intake: PhotoSettings | None = None,
) -> Concept:
    """Reads picture files and folders of pictures (not what is in folders within them).

    Each photo is cropped at its centre and scaled to `size` x `size` pixels; `intake` (by default
    its defaults) says what else becomes of it. One of four or more is held out if `hold_out`,
    chosen by content: names and order do not matter. Raises UserError for a class noun, path,
    picture, caption or mask that cannot be used.
    """
    intake = intake or PhotoSettings()
    noun, files, captions, masks, notes = find_files(paths, class_noun, intake)
    photos: dict[str, Photo] = {}
    sources: dict[str, Path] = {}
    problems: list[tuple[Path, UserError]] = []
    for path in files:
        try:
            photo = load_photo(path, size, intake, masks)
        except UserError as error:
            problems.append((path, error))
            continue
        if photo.sha256 in photos:
            first = sources[photo.sha256]
            notes.append(f"{show(path)} is the same picture as {show(first)}: used once")
            continue
        photos[photo.sha256] = replace(photo, caption=captions.get(path))
        sources[photo.sha256] = path
    if problems:
        raise _problems_error(problems, len(files))
    kept = list(photos.values())
    if hold_out and len(kept) >= MIN_TO_HOLD_OUT:
        # The least hash: as good as a draw, yet the same whatever the files are called.
        chosen = photos[min(photos)]
        fresh = replace(chosen, held_out=True, views=chosen.views[:1])
        kept = [fresh if photo is chosen else photo for photo in kept]
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
                "caption": photo.caption,
                "masked": photo.mask_sha256 is not None,
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


def find_masks(pictures: Sequence[Path], notes: list[str]) -> dict[Path, Path]:
    """The masks by picture; those of several pictures are not asked to be there for all."""
    found = {picture: mask for picture in pictures if (mask := beside(picture, MASK)) is not None}
    bare = [show(picture) for picture in pictures if picture not in found]
    if found and bare:
        notes.append(f"without a mask, so all of it counts: {some(bare)}")
    return found


def load_photo(path: Path, size: int, intake: PhotoSettings, masks: Mapping[Path, Path]) -> Photo:
    """One picture, with the mask that `masks` gives it; where others have one, its own is white.

    Raises UserError where the picture or its mask cannot be used.
    """
    image, notes = read_picture(path)
    width, height = image.size
    sha256 = picture_sha256(image)
    mask, mask_sha256 = None, None
    if path in masks:
        mask, told = read_mask(masks[path], image.size)
        mask_sha256 = hash_bytes(mask.tobytes())
        notes += [f"mask: {note}" for note in told]
    elif masks:
        mask = Image.new("L", image.size, 255)
    side = min(width, height)
    if width != height:
        notes.append(f"cropped at its centre from {width} x {height} to {side} x {side} pixels")
    if side < size:
        notes.append(f"enlarged from {side} to {size} pixels")
    square = (size, size)
    shape = nearest_bucket((height, width), size) if intake.buckets else square
    if shape != square:
        notes.append(f"trained on at {shape[1]} x {shape[0]} pixels")
    views = make_views(image, mask, shape, sha256, intake.crops, intake.flip, notes)
    if not views:
        raise UserError(
            f"{show(masks[path])} is black all over what is left after cropping:\n"
            "paint white what counts, crop the photo around it, or remove the mask."
        )
    if shape == square:
        pixels = views[0].pixels
    else:
        pixels = cut_view(image, None, central_box((height, width), square), square).pixels
    return Photo(
        name=printable(path.name),
        pixels=pixels,
        sha256=sha256,
        original_width=width,
        original_height=height,
        views=views,
        mask_sha256=mask_sha256,
        notes=tuple(notes),
    )


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
    long = [p.name for p in photos if _share_left(p) < 0.5]
    if long:
        yield f"less than half is left after cropping: {some(long)}"
    flat = [p.name for p in photos if (p.pixels == p.pixels[0, 0]).all()]
    if flat:
        yield f"one flat colour and nothing else: {some(flat)}"
    blurred = [
        p.name for p in photos if p.name not in flat and is_blurred(p.pixels, min(_sides(p)))
    ]
    if blurred:
        yield f"blurred, which is learnt too: {some(blurred)}"
    for index, first in near_duplicates([p.pixels for p in photos]).items():
        pair = f"{photos[index].name} and {photos[first].name}"
        yield f"nearly the same picture, which so counts twice: {pair}"


def _share_left(photo: Photo) -> float:
    """The share of a photo's area that its central view shows."""
    height, width, _ = photo.views[0].pixels.shape
    ratio = photo.original_width / photo.original_height * height / width
    return min(ratio, 1 / ratio)


def _sides(photo: Photo) -> tuple[int, int]:
    return photo.original_width, photo.original_height
