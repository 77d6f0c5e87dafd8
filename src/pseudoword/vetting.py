"""Photos looked through before anything is taught: what is wrong with each, and what to do next."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image

from pseudoword.captions import read_captions
from pseudoword.concept import Photo, clean_class_noun, find_masks, load_photo
from pseudoword.device import pick_device
from pseudoword.errors import UserError
from pseudoword.evaluate import AUTO, Judges, encoder_names
from pseudoword.families import model_row
from pseudoword.metrics.distances import leave_one_out_cosine
from pseudoword.pictures import find_pictures, show
from pseudoword.quality import is_blurred, near_duplicates
from pseudoword.runs import read_json
from pseudoword.settings import PhotoSettings
from pseudoword.toybox.photos import find_toy

Kind = Literal["broken", "duplicate", "near duplicate", "tiny", "blurred", "outlier"]

USUAL_SIZE = 512
"""Pixels, for a model whose resolution nobody here knows."""
MIN_FOR_OUTLIERS = 5
DEVIATIONS = 3.5
"""Robust deviations from the median that make an outlier (Iglewicz and Hoaglin, 1993)."""
GAP = 0.15
"""An outlier's cosine is at least this far below the median: among five, deviations are chancy."""
TOY_ENCODER = "toybox-dino"


@dataclass(frozen=True)
class Finding:
    """Something about one picture that may spoil a training."""

    kind: Kind
    text: str


@dataclass(frozen=True, eq=False)
class Vetted:
    """One picture and its findings; `photo` is None where it cannot be used."""

    path: Path
    photo: Photo | None
    caption: str | None
    masked: bool
    findings: tuple[Finding, ...]


@dataclass(frozen=True, eq=False)
class Vetting:
    """All pictures in natural order; `notes` say what was ignored, left out or cannot be used."""

    class_noun: str
    size: int
    pictures: tuple[Vetted, ...]
    notes: tuple[str, ...]


def vet_photos(
    paths: Sequence[Path],
    class_noun: str,
    model: str = "toybox",
    device: str = "auto",
    size: int | None = None,
) -> Vetting:
    """Looks through picture files and folders for a model of `size` pixels (None: the model's).

    Raises UserError where there is no picture that can be used, or for a wrong class noun, model
    or device.
    """
    noun, notes = clean_class_noun(class_noun)
    where = str(pick_device(device))
    encoder = encoder_names(model, AUTO)["dino"]
    files = find_pictures(paths, notes)
    size = size or _model_size(model, notes)
    captions = _captions(files, noun, notes)
    masks = find_masks(files, notes)
    findings: dict[Path, list[Finding]] = {path: [] for path in files}
    photos = _load(files, masks, size, findings)
    if not photos:
        first = findings[files[0]][0].text
        raise UserError(f"none of {len(files)} picture(s) can be used.\n{first}")
    _look(photos, size, findings)
    fresh = {path: photo for path, photo in photos.items() if not _repeated(findings[path])}
    reason = _find_outliers(fresh, encoder, where, find_toy(paths) is not None, findings)
    if reason is not None:
        notes.append(f"outliers were not looked for: {reason}")
    pictures = (
        Vetted(path, photos.get(path), captions.get(path), path in masks, tuple(findings[path]))
        for path in files
    )
    return Vetting(noun, size, tuple(pictures), tuple(notes))


def _captions(files: Sequence[Path], noun: str, notes: list[str]) -> dict[Path, str]:
    try:
        return read_captions(files, noun, notes)
    except UserError as error:
        notes.append(f"captions cannot be used: {_line(error)}")
        return {}


def _load(
    files: Sequence[Path],
    masks: Mapping[Path, Path],
    size: int,
    findings: Mapping[Path, list[Finding]],
) -> dict[Path, Photo]:
    """The photos that can be used; what is broken or there twice is found here."""
    photos: dict[Path, Photo] = {}
    first: dict[str, Path] = {}
    for path in files:
        try:
            photo = load_photo(path, size, PhotoSettings(), masks)
        except UserError as error:
            findings[path].append(Finding("broken", _line(error)))
            continue
        if photo.sha256 in first:
            same = f"the same picture as {show(first[photo.sha256])}"
            findings[path].append(Finding("duplicate", same))
        first.setdefault(photo.sha256, path)
        photos[path] = photo
    return photos


def _look(photos: Mapping[Path, Photo], size: int, findings: Mapping[Path, list[Finding]]) -> None:
    paths = [path for path in photos if not findings[path]]
    for path in paths:
        side = min(photos[path].original_width, photos[path].original_height)
        if side < size:
            text = f"{side} pixels on its short side, and the model draws {size}"
            findings[path].append(Finding("tiny", text))
        if is_blurred(photos[path].pixels, side):
            findings[path].append(Finding("blurred", "nowhere sharp"))
    for index, earlier in near_duplicates([photos[path].pixels for path in paths]).items():
        near = f"nearly the same picture as {show(paths[earlier])}"
        findings[paths[index]].append(Finding("near duplicate", near))


def _repeated(findings: Sequence[Finding]) -> bool:
    return any(finding.kind in ("duplicate", "near duplicate") for finding in findings)


def _find_outliers(
    photos: Mapping[Path, Photo],
    encoder: str,
    device: str,
    toy: bool,
    findings: Mapping[Path, list[Finding]],
) -> str | None:
    """Adds what is unlike the rest; returns why nothing was looked for, where that is so."""
    if len(photos) < MIN_FOR_OUTLIERS:
        return f"that takes {MIN_FOR_OUTLIERS} different pictures"
    if encoder == TOY_ENCODER and not toy:
        return (
            f"{encoder} knows toys alone and is at a loss with photos; --model sd-1.5 has another"
        )
    try:
        judges = Judges.load({"dino": encoder}, device, None, ("dino",))
    except UserError as error:
        # Its own remedy is for studies, whose encoders can be chosen.
        reason = str(error).partition("\n")[0]
        return f"{reason} Go online once: hf download {encoder}"
    vectors = judges.embed("dino", [Image.fromarray(photo.pixels) for photo in photos.values()])
    paths = list(photos)
    for index in sorted(outliers(vectors)):
        text = f"unlike the others, as {encoder} sees them: does it show the same thing?"
        findings[paths[index]].append(Finding("outlier", text))
    return None


def outliers(vectors: np.ndarray) -> set[int]:
    """The rows of (n, d) whose mean cosine to the others is far below the median of all."""
    cosines = leave_one_out_cosine(vectors)
    below = np.median(cosines) - cosines
    deviation = 1.4826 * np.median(np.abs(below))  # of a normal distribution
    far = (below > DEVIATIONS * deviation) & (below > GAP)
    return {int(index) for index in np.flatnonzero(far)}


def _model_size(model: str, notes: list[str]) -> int:
    """The side of a model's pictures by its configuration; no weights are read or fetched."""
    source = model_row(model).source
    denoiser = _configuration(source, "unet") or _configuration(source, "transformer")
    autoencoder = _configuration(source, "vae")
    if denoiser and autoencoder:
        side: int = denoiser["sample_size"] * 2 ** (len(autoencoder["block_out_channels"]) - 1)
        return side
    notes.append(
        f"the resolution of {model} is not known before it is loaded: {USUAL_SIZE} pixels are "
        "assumed, and --size says otherwise"
    )
    return USUAL_SIZE


def _configuration(source: str, part: str) -> dict[str, Any] | None:
    """The configuration of a part of a diffusers folder or hub model, if it is on this machine."""
    import huggingface_hub

    file = Path(source) / part / "config.json"
    if not Path(source).exists():
        cached = huggingface_hub.try_to_load_from_cache(source, f"{part}/config.json")
        file = Path(cached) if isinstance(cached, str) else file
    return read_json(file) if file.is_file() else None


def _line(error: UserError) -> str:
    return str(error).replace("\n", " ")
