"""Files to pictures: which files are meant, and one file decoded safely and uprightly."""

import hashlib
import io
import os
import re
import struct
import warnings
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import ExifTags, Image, ImageChops, ImageCms, ImageOps, UnidentifiedImageError

from pseudoword.disk import read_from
from pseudoword.errors import UserError, printable
from pseudoword.runs import LOCK

EXTENSIONS = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif")
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF")
# Pictures that the user surely means but that are not decoded here: told, not passed over.
FOREIGN_EXTENSIONS = (
    *(".heic", ".heif", ".hif", ".avif", ".jxl", ".jp2", ".psd", ".tga", ".exr"),
    *(".dng", ".cr2", ".cr3", ".nef", ".arw", ".orf", ".raf", ".rw2"),
)
# Not pictures, but not passed over either: read beside the pictures they belong to.
CAPTION = ".txt"
MASK = ".mask.png"
METADATA = ("metadata.csv", "metadata.jsonl", "metadata.parquet")
COMPANIONS = ("toy.json", *METADATA)
SYSTEM_FILES = ("thumbs.db", "ehthumbs.db", "desktop.ini")

MIN_SIDE = 32
MAX_PIXELS = 120_000_000  # admits the 108-megapixel photos of telephones
MAX_FILE_BYTES = 256 * 2**20
MAX_PHOTOS = 100
NO_PROFILE = "its colour profile does not fit the picture and was ignored"
STRIP = 256
"""Rows of pixels that are computed with at once."""

# What Pillow's decoders raise on damaged files.
DECODE_ERRORS = (
    *(OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, TypeError),
    *(OverflowError, struct.error, zlib.error),
)


def check_png(path: Path) -> dict[Any, Any]:
    """What is told beside the pixels of a PNG, once the checksums in it have shown it to be whole.

    Decodes no pixel, and finds what decoding overlooks: that lets one flipped bit in some hundreds
    pass. Raises DECODE_ERRORS and DecompressionBombError, and UserError where it cannot be read.
    """
    with read_from(path), Image.open(path, formats=("PNG",)) as image:
        texts = dict(image.info)
        image.verify()
    return texts


def find_pictures(paths: Sequence[Path], notes: list[str]) -> list[Path]:
    """The files to read, each once, in natural order; appends to `notes` what was ignored.

    Raises UserError where there is none, or a path cannot be listed.
    """
    if not paths:
        raise UserError("No pictures were given: name some picture files or a folder of them.")
    found: dict[str, Path] = {}
    companions: list[Path] = []
    for path in paths:
        if os.path.isdir(path):
            inside = _pictures_in(path, notes, companions)
        elif (kind := _kind_of(path)) in ("hidden", "companion") and os.path.exists(path):
            if kind == "hidden":
                notes.append(f"ignored {show(path)}: a hidden or system file")
            companions += [path] if kind == "companion" else []
            continue
        else:
            inside = [path]
        for file in inside:
            real = os.path.realpath(file)
            if real in found:
                notes.append(f"{show(file)} is the same file as {show(found[real])}: used once")
            else:
                found[real] = file
    if not found:
        raise UserError(
            f"{some(map(show, paths))}: no picture among these, only files of other kinds.\n"
            "Name some picture files or a folder of them."
        )
    if len(found) > MAX_PHOTOS:
        raise UserError(
            f"{len(found)} pictures were given, and at most {MAX_PHOTOS} are taken: choose the 3 "
            "to 10 that show the one thing best."
        )
    _note_strays(companions, found.values(), notes)
    return sorted(found.values(), key=_natural_key)


def holds_pictures(folder: Path) -> bool:
    """Whether a folder itself, not one within it, has files to read. Raises UserError."""
    return any(_kind_of(entry) == "picture" for entry in _entries(folder))


def folders_in(folder: Path) -> list[Path]:
    """The folders in a folder, hidden ones left out, in natural order. Raises UserError."""
    return [entry for entry in _entries(folder) if _kind_of(entry) == "folder"]


def _pictures_in(folder: Path, notes: list[str], companions: list[Path]) -> list[Path]:
    entries = _entries(folder)
    kinds = ("picture", "companion", "hidden", "folder", "other")
    groups: dict[str, list[Path]] = {kind: [] for kind in kinds}
    for entry in entries:
        if entry.name != LOCK:  # our own, where somebody works with the photos
            groups[_kind_of(entry)].append(entry)
    if not groups["picture"]:
        remedy = (
            f"it holds folders ({some(path.name for path in groups['folder'])}), so name one."
            if groups["folder"]
            else "name a folder that does."
        )
        raise UserError(f"{show(folder)} holds no pictures ({', '.join(EXTENSIONS)}):\n{remedy}")
    reasons = {
        "hidden": "hidden or system files",
        "folder": "folders within a folder are not searched",
        "other": f"not pictures ({', '.join(EXTENSIONS)})",
    }
    for kind, reason in reasons.items():
        if groups[kind]:
            names = some(printable(path.name) for path in groups[kind])
            notes.append(f"ignored {names} in {show(folder)}: {reason}")
    companions += groups["companion"]
    return groups["picture"]


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir(), key=_natural_key)
    except OSError as error:
        raise UserError(
            f"{show(folder)} cannot be listed ({error.strerror}): check its permissions."
        ) from None


def _note_strays(companions: Iterable[Path], pictures: Iterable[Path], notes: list[str]) -> None:
    """Notes captions and masks whose picture is not among the `pictures`."""
    known = {beside(picture, ending) for picture in pictures for ending in (CAPTION, MASK)}
    strays = [path for path in companions if path.name not in COMPANIONS and path not in known]
    if strays:
        notes.append(f"ignored {some(map(show, strays))}: no picture of that name was given")


def beside(picture: Path, ending: str) -> Path | None:
    """The file of the picture's name with another ending, such as ".txt"; None without one."""
    names = (picture.stem + ending, picture.stem + ending.upper())
    return next((path for n in names if os.path.isfile(path := picture.with_name(n))), None)


def _kind_of(path: Path) -> str:
    if _is_hidden(path):
        return "hidden"
    if os.path.isdir(path):
        return "folder"
    if path.name in COMPANIONS or path.name.lower().endswith((CAPTION, MASK)):
        return "companion"
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
    check_file(path)
    notes: list[str] = []
    try:
        # Nothing else holds what is decoded: a hundred megapixels are half a gigabyte each time.
        return _to_srgb(_decode(path, notes), notes), notes
    except ValueError as error:
        raise _colours_error(path, error) from None


def picture_sha256(image: Image.Image) -> str:
    """SHA-256 in hex of an RGB picture's size and pixels, as `runs.hash_bytes` of both has it."""
    size = f"{image.width}x{image.height}".encode()
    digest = hashlib.sha256(len(size).to_bytes(8, "little") + size)
    digest.update((3 * image.width * image.height).to_bytes(8, "little"))
    for _, rows in _strips(image):
        digest.update(rows.tobytes())
    return digest.hexdigest()


def read_mask(path: Path, size: tuple[int, int]) -> tuple[Image.Image, list[str]]:
    """A mask as an upright grey picture (255 counts fully, 0 not at all), and notes.

    `size` (width, height) is that of its upright photo. Transparency counts as black. Raises
    UserError for a file that is no picture, of another size, or black all over.
    """
    check_file(path)
    notes: list[str] = []
    image = _decode(path, notes)
    if image.size != size:
        raise UserError(
            f"{show(path)} is {image.width} x {image.height} pixels, and its photo {size[0]} x "
            f"{size[1]}: draw the mask on the photo as it is, or remove it."
        )
    try:
        image = _as(_to_eight_bits(image, notes), "RGBA")
    except ValueError as error:
        raise _colours_error(path, error) from None
    grey = ImageChops.multiply(image.convert("L"), image.getchannel("A"))
    if grey.getextrema() == (0, 0):
        raise UserError(
            f"{show(path)} is black all over, so nothing of its photo would count:\n"
            "paint white what counts, or remove it."
        )
    return grey, notes


def _colours_error(path: Path, error: ValueError) -> UserError:
    return UserError(
        f"{show(path)} stores its colours in a way that is not read ({error}):\n"
        "save it as an ordinary RGB JPEG or PNG, or remove it."
    )


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
                ImageOps.exif_transpose(image, in_place=True)
                return image
    except Image.DecompressionBombError:
        raise UserError(_too_large(path)) from None
    except UnidentifiedImageError:
        raise UserError(
            f"{show(path)} is not a picture, whatever its name says: replace it by a real "
            "JPEG, PNG, WebP, BMP, TIFF or GIF file, or remove it."
        ) from None
    except DECODE_ERRORS as error:
        reason = printable(str(error)) or type(error).__name__
        raise UserError(
            f"{show(path)} cannot be read, it may be damaged or cut short ({reason}):\n"
            "replace or remove it."
        ) from None


def check_file(path: Path) -> None:
    """Raises UserError for what is no file of a picture, by its name, kind and size."""
    suffix = path.suffix.lower()
    if not os.path.exists(path):
        raise UserError(f"{show(path)} does not exist or cannot be reached: check the path.")
    if suffix in FOREIGN_EXTENSIONS:
        raise UserError(
            f"{show(path)}: {suffix} files are not read: export it as JPEG or PNG, or remove it."
        )
    if not os.path.isfile(path) or suffix not in EXTENSIONS:
        raise UserError(
            f"{show(path)} is not a picture file ({', '.join(EXTENSIONS)}):\n"
            "name only pictures, or the folder that holds them."
        )
    if os.path.getsize(path) > MAX_FILE_BYTES:
        raise UserError(
            f"{show(path)} is larger than {MAX_FILE_BYTES // 2**20} MiB: scale it down or "
            "save it as JPEG."
        )


def _check_dimensions(path: Path, width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise UserError(_too_large(path))
    if min(width, height) < MIN_SIDE:
        raise UserError(
            f"{show(path)} is too small ({width} x {height} pixels; at least {MIN_SIDE} on "
            "its short side): replace or remove it."
        )


def _too_large(path: Path) -> str:
    return (
        f"{show(path)} has more than {MAX_PIXELS // 10**6} million pixels: scale it down or "
        "remove it."
    )


def _to_srgb(image: Image.Image, notes: list[str]) -> Image.Image:
    profile = image.info.get("icc_profile")
    image = _to_eight_bits(image, notes)
    alpha = None
    if image.has_transparency_data:
        plain = "L" if image.mode in ("L", "LA", "La") else "RGB"
        # Premultiplied grey ("La") converts only by way of plain grey with alpha.
        image = _as(image.convert("LA") if image.mode == "La" else image, "RGBA")
        alpha = image.getchannel("A")
        image = image.convert(plain)
    image = _apply_profile(image, profile, notes)
    if alpha is None or alpha.getextrema() == (255, 255):
        return image
    notes.append("transparency laid on white")
    image.paste("white", mask=ImageChops.invert(alpha))
    return image


def _as(image: Image.Image, mode: str) -> Image.Image:
    """The picture in this mode; the same one where it has it, for Pillow would copy it."""
    return image if image.mode == mode else image.convert(mode)


def _to_eight_bits(image: Image.Image, notes: list[str]) -> Image.Image:
    """16-bit and 32-bit grey as 8-bit grey; Pillow's own conversion would clip it at 255."""
    if image.mode.startswith("I;16"):
        notes.append("16-bit grey scaled to 8 bits")
        return _by_strips(image, lambda rows: (rows.astype(np.uint32) + 128) // 257)
    if image.mode not in ("I", "F"):
        return image
    # NaN is neither above nor below, and is found by what it makes of extremes.
    lows, highs = zip(*((rows.min(), rows.max()) for _, rows in _strips(image)), strict=True)
    low, high = float(np.min(lows)), float(np.max(highs))
    # No tag says what white is, so take the least of the usual ones that all pixels fit below.
    whites = (255, 65535) if image.mode == "I" else (1, 255, 65535)
    white = next((white for white in whites if high <= white), None)
    if white is None or not low >= 0:
        raise ValueError(f"its {image.mode!r} pixels are not within 0 to {whites[-1]}")
    notes.append(f"32-bit grey scaled to 8 bits with white at {white}")
    return _by_strips(image, lambda rows: np.rint(rows.astype(np.float64) * (255 / white)))


def _strips(image: Image.Image) -> Iterator[tuple[int, np.ndarray]]:
    """The rows of a picture, a strip at a time, each with where it begins."""
    for top in range(0, image.height, STRIP):
        box = (0, top, image.width, min(top + STRIP, image.height))
        yield top, np.asarray(image.crop(box))


def _by_strips(image: Image.Image, change: Callable[[np.ndarray], np.ndarray]) -> Image.Image:
    """A grey picture as 8 bits by `change` of its values, of which few are in memory at once."""
    found = np.empty((image.height, image.width), np.uint8)
    for top, rows in _strips(image):
        found[top : top + len(rows)] = change(rows)
    return Image.fromarray(found)


def _apply_profile(
    image: Image.Image, profile: bytes | str | None, notes: list[str]
) -> Image.Image:
    """RGB in sRGB, through the embedded ICC profile where there is one that fits."""
    plain = _as(image, "RGB")
    if not profile:
        return plain
    if not isinstance(profile, bytes):  # a TIFF may call its tag text
        notes.append(NO_PROFILE)
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
        notes.append(NO_PROFILE)
        return plain
    assert converted is not None  # it is None only where converting in place
    # A profile that says sRGB changes pixels by rounding alone: leave them as they are.
    if np.max(ImageChops.difference(plain, converted).getextrema()) <= 2:
        return plain
    notes.append("colours converted from its colour profile to sRGB")
    return converted


def some(names: Iterable[str], limit: int = 5) -> str:
    listed = list(names)
    more = len(listed) - limit
    return ", ".join(listed[:limit]) + (f" and {more} more" if more > 0 else "")


def show(path: Path) -> str:
    return printable(str(path))
