"""The intake: from the user's files to vetted square photos of one concept.

A picture that cannot be used is an error and never passed over, because a study on three photos
where its user meant five answers another question. Whatever is done to a picture is noted.
"""

import io
import os
import re
import struct
import unicodedata
import warnings
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import ExifTags, Image, ImageChops, ImageCms, ImageOps, UnidentifiedImageError

from pseudoword.errors import UserError
from pseudoword.runs import atomic_path, hash_bytes

EXTENSIONS = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif")
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF")
# Pictures that the user surely means but that are not decoded here: told, not passed over.
FOREIGN_EXTENSIONS = (
    *(".heic", ".heif", ".hif", ".avif", ".jxl", ".jp2", ".psd", ".tga", ".exr"),
    *(".dng", ".cr2", ".cr3", ".nef", ".arw", ".orf", ".raf", ".rw2"),
)
# Not pictures, but not passed over either: a toy's record is read where a study begins.
COMPANIONS = ("toy.json",)
SYSTEM_FILES = ("thumbs.db", "ehthumbs.db", "desktop.ini")

MIN_SIDE = 32
MAX_PIXELS = 120_000_000  # admits the 108-megapixel photos of telephones
MAX_FILE_BYTES = 256 * 2**20
MAX_PHOTOS = 100
MIN_TO_HOLD_OUT = 4
MAX_NOUN_LENGTH = 60

# What Pillow's decoders raise on damaged files.
DECODE_ERRORS = (
    *(OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, TypeError),
    *(OverflowError, struct.error, zlib.error),
)


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
            notes.append(f"{_show(path)} is the same picture as {_show(first)}: used once")
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
            f"--class-noun {_printable(text)!r} may hold only letters, digits, spaces and "
            f"hyphens:\n{remedy}"
        )
    if len(noun) > MAX_NOUN_LENGTH:
        raise UserError(f"--class-noun is longer than {MAX_NOUN_LENGTH} characters: {remedy}")
    return noun, notes


def find_pictures(paths: Sequence[Path], notes: list[str]) -> list[Path]:
    """The files to read, each once, in natural order; appends to `notes` what was ignored.

    Raises UserError where there is none, or a path cannot be listed.
    """
    if not paths:
        raise UserError("No pictures were given: name some picture files or a folder of them.")
    found: dict[str, Path] = {}
    for path in paths:
        if os.path.isdir(path):
            inside = _pictures_in(path, notes)
        elif _is_hidden(path) and os.path.exists(path):
            notes.append(f"ignored {_show(path)}: a hidden or system file")
            continue
        else:
            inside = [path]
        for file in inside:
            real = os.path.realpath(file)
            if real in found:
                notes.append(f"{_show(file)} is the same file as {_show(found[real])}: used once")
            else:
                found[real] = file
    if not found:
        raise UserError(
            f"{_some(map(_show, paths))}: no picture among these, only hidden or system files.\n"
            "Name some picture files or a folder of them."
        )
    if len(found) > MAX_PHOTOS:
        raise UserError(
            f"{len(found)} pictures were given, and at most {MAX_PHOTOS} are taken: choose the 3 "
            "to 10 that show the one thing best."
        )
    return sorted(found.values(), key=_natural_key)


def _pictures_in(folder: Path, notes: list[str]) -> list[Path]:
    try:
        entries = sorted(folder.iterdir(), key=_natural_key)
    except OSError as error:
        raise UserError(
            f"{_show(folder)} cannot be listed ({error.strerror}): check its permissions."
        ) from None
    groups: dict[str, list[Path]] = {"picture": [], "hidden": [], "folder": [], "other": []}
    for entry in entries:
        if entry.name not in COMPANIONS:
            groups[_kind_of(entry)].append(entry)
    if not groups["picture"]:
        remedy = (
            f"it holds folders ({_some(path.name for path in groups['folder'])}), so name one."
            if groups["folder"]
            else "name a folder that does."
        )
        raise UserError(f"{_show(folder)} holds no pictures ({', '.join(EXTENSIONS)}):\n{remedy}")
    reasons = {
        "hidden": "hidden or system files",
        "folder": "folders within a folder are not searched",
        "other": f"not pictures ({', '.join(EXTENSIONS)})",
    }
    for kind, reason in reasons.items():
        if groups[kind]:
            names = _some(_printable(path.name) for path in groups[kind])
            notes.append(f"ignored {names} in {_show(folder)}: {reason}")
    return groups["picture"]


def _kind_of(path: Path) -> str:
    if _is_hidden(path):
        return "hidden"
    if os.path.isdir(path):
        return "folder"
    return "picture" if path.suffix.lower() in EXTENSIONS + FOREIGN_EXTENSIONS else "other"


def _is_hidden(path: Path) -> bool:
    return path.name.startswith(".") or path.name.lower() in SYSTEM_FILES


def _natural_key(path: Path) -> tuple[list[str | int], str]:
    """Sorts img2 before img10. Splitting at digits alternates text and number, so all compare."""
    text = str(path)
    parts = enumerate(re.split(r"(\d+)", text))
    return [int(part) if index % 2 else part.casefold() for index, part in parts], text


def read_picture(path: Path) -> tuple[Image.Image, list[str]]:
    """A picture file as an upright RGB picture in sRGB, transparency laid on white, and notes.

    Checks the sizes of the file and the picture before decoding. Raises UserError for anything
    that is not a whole picture in one of `FORMATS`.
    """
    _check_file(path)
    notes: list[str] = []
    image = _decode(path, notes)
    try:
        return _to_srgb(image, notes), notes
    except ValueError as error:
        raise UserError(
            f"{_show(path)} stores its colours in a way that is not read ({error}):\n"
            "save it as an ordinary RGB JPEG or PNG, or remove it."
        ) from None


def _decode(path: Path, notes: list[str]) -> Image.Image:
    """The first frame as it is stored, turned as its EXIF orientation says."""
    try:
        with warnings.catch_warnings():
            # Pillow warns of oddities in metadata and of large pictures, which are checked below.
            warnings.filterwarnings("ignore", module=r"PIL\.")
            with Image.open(path, formats=FORMATS) as image:
                _check_dimensions(path, *image.size)
                # The second picture in a telephone's JPEG (MPO) is a depth map, not a frame.
                if image.format != "MPO" and getattr(image, "is_animated", False):
                    notes.append("only its first frame or page is used")
                if image.getexif().get(ExifTags.Base.Orientation, 1) in range(2, 9):
                    notes.append("turned upright as its EXIF tag says")
                image.load()
                return ImageOps.exif_transpose(image)
    except Image.DecompressionBombError:
        raise UserError(_too_large(path)) from None
    except UnidentifiedImageError:
        raise UserError(
            f"{_show(path)} is not a picture, whatever its name says: replace it by a real "
            "JPEG, PNG, WebP, BMP, TIFF or GIF file, or remove it."
        ) from None
    except DECODE_ERRORS as error:
        reason = _printable(str(error)) or type(error).__name__
        raise UserError(
            f"{_show(path)} cannot be read, it may be damaged or cut short ({reason}):\n"
            "replace or remove it."
        ) from None


def _check_file(path: Path) -> None:
    suffix = path.suffix.lower()
    if not os.path.exists(path):
        raise UserError(f"{_show(path)} does not exist or cannot be reached: check the path.")
    if suffix in FOREIGN_EXTENSIONS:
        raise UserError(
            f"{_show(path)}: {suffix} files are not read: export it as JPEG or PNG, or remove it."
        )
    if not os.path.isfile(path) or suffix not in EXTENSIONS:
        raise UserError(
            f"{_show(path)} is not a picture file ({', '.join(EXTENSIONS)}):\n"
            "name only pictures, or the folder that holds them."
        )
    if os.path.getsize(path) > MAX_FILE_BYTES:
        raise UserError(
            f"{_show(path)} is larger than {MAX_FILE_BYTES // 2**20} MiB: scale it down or "
            "save it as JPEG."
        )


def _check_dimensions(path: Path, width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise UserError(_too_large(path))
    if min(width, height) < MIN_SIDE:
        raise UserError(
            f"{_show(path)} is too small ({width} x {height} pixels; at least {MIN_SIDE} on "
            "its short side): replace or remove it."
        )


def _too_large(path: Path) -> str:
    return (
        f"{_show(path)} has more than {MAX_PIXELS // 10**6} million pixels: scale it down or "
        "remove it."
    )


def _to_srgb(image: Image.Image, notes: list[str]) -> Image.Image:
    profile = image.info.get("icc_profile")
    image = _to_eight_bits(image, notes)
    alpha = None
    if image.has_transparency_data:
        # Premultiplied grey ("La") converts only by way of plain grey with alpha.
        rgba = (image.convert("LA") if image.mode == "La" else image).convert("RGBA")
        alpha = rgba.getchannel("A")
        image = rgba.convert("L" if image.mode in ("L", "LA", "La") else "RGB")
    colour = _apply_profile(image, profile, notes)
    if alpha is None or alpha.getextrema() == (255, 255):
        return colour
    notes.append("transparency laid on white")
    white = Image.new("RGB", colour.size, "white")
    white.paste(colour, mask=alpha)
    return white


def _to_eight_bits(image: Image.Image, notes: list[str]) -> Image.Image:
    """16-bit and 32-bit grey as 8-bit grey; Pillow's own conversion would clip it at 255."""
    if image.mode.startswith("I;16"):
        notes.append("16-bit grey scaled to 8 bits")
        scaled = (np.asarray(image).astype(np.uint32) + 128) // 257
        return Image.fromarray(scaled.astype(np.uint8))
    if image.mode not in ("I", "F"):
        return image
    values = np.asarray(image).astype(np.float64)
    # No tag says what white is, so take the least of the usual ones that all pixels fit below.
    whites = (255, 65535) if image.mode == "I" else (1, 255, 65535)
    white = next((white for white in whites if values.max() <= white), None)
    if white is None or not values.min() >= 0:
        raise ValueError(f"its {image.mode!r} pixels are not within 0 to {whites[-1]}")
    notes.append(f"32-bit grey scaled to 8 bits with white at {white}")
    return Image.fromarray(np.rint(values * (255 / white)).astype(np.uint8))


def _apply_profile(image: Image.Image, profile: bytes | None, notes: list[str]) -> Image.Image:
    """RGB in sRGB, through the embedded ICC profile where there is one that fits."""
    plain = image.convert("RGB")
    if not profile:
        return plain
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        mode = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK"}[source.profile.xcolor_space.strip()]
        converted = ImageCms.profileToProfile(
            image if image.mode == mode else plain,
            source,
            ImageCms.createProfile("sRGB"),
            renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
            outputMode="RGB",
            flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
    except (ImageCms.PyCMSError, OSError, UnicodeDecodeError, KeyError):
        notes.append("its colour profile does not fit the picture and was ignored")
        return plain
    assert converted is not None  # it is None only where converting in place
    # A profile that says sRGB changes pixels by rounding alone: leave them as they are.
    if np.asarray(ImageChops.difference(plain, converted)).max() <= 2:
        return plain
    notes.append("colours converted from its colour profile to sRGB")
    return converted


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
    return Photo(_printable(path.name), pixels, sha256, width, height, notes=tuple(notes))


def _problems_error(problems: list[tuple[Path, UserError]], count: int) -> UserError:
    if len(problems) == 1:
        return problems[0][1]
    first = str(problems[0][1]).replace("\n", " ")
    others = _some(_show(path) for path, _ in problems[1:])
    return UserError(f"{first}\n{len(problems)} of {count} pictures cannot be used; also: {others}")


def _warnings(photos: Sequence[Photo], size: int) -> Iterable[str]:
    if len(photos) < 3:
        yield f"only {len(photos)} different photo(s): 3 to 10 serve better"
    small = [p.name for p in photos if min(_sides(p)) < size]
    if small:
        yield f"smaller than {size} pixels, so enlarged and soft: {_some(small)}"
    long = [p.name for p in photos if max(_sides(p)) > 2 * min(_sides(p))]
    if long:
        yield f"less than half is left after cropping to a square: {_some(long)}"
    flat = [p.name for p in photos if (p.pixels == p.pixels[0, 0]).all()]
    if flat:
        yield f"one flat colour and nothing else: {_some(flat)}"


def _sides(photo: Photo) -> tuple[int, int]:
    return photo.original_width, photo.original_height


def _some(names: Iterable[str], limit: int = 5) -> str:
    listed = list(names)
    more = len(listed) - limit
    return ", ".join(listed[:limit]) + (f" and {more} more" if more > 0 else "")


def _show(path: Path) -> str:
    return _printable(str(path))


def _printable(text: str) -> str:
    """One line that any terminal and JSON file takes: file names may hold newlines and non-text."""
    return "".join(char if char.isprintable() else "?" for char in text)
