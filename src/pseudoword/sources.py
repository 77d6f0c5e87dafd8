"""What a concept was read from: its files' checksums tell, undecoded, that it is the same."""

import os
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from pseudoword import __version__
from pseudoword.captions import read_captions
from pseudoword.concept import clean_class_noun, find_masks
from pseudoword.pictures import check_file, find_pictures
from pseudoword.runs import file_sha256, read_json
from pseudoword.settings import PhotoSettings, StudySettings

Source = list[str | None]
"""SHA-256 of a picture's file and of its mask's, and the caption as a template."""


def read_sources(paths: Sequence[Path], class_noun: str, intake: PhotoSettings) -> list[Source]:
    """What `load_concept` makes photos of, in its order, with nothing decoded.

    Raises UserError for a class noun, path or caption that cannot be used, and OSError for a file
    that cannot be read.
    """
    noun, notes = clean_class_noun(class_noun)
    files = find_pictures(paths, notes)
    for file in files:
        check_file(file)
    captions = read_captions(files, noun, notes) if intake.captions else {}
    masks = find_masks(files, notes) if intake.masks else {}
    return [
        [_checksum(file), _checksum(masks[file]) if file in masks else None, captions.get(file)]
        for file in files
    ]


def known_record(
    study: Path, paths: Sequence[Path], settings: StudySettings
) -> dict[str, Any] | None:
    """study.json of a study that read these very files in the same way; else None.

    Its photos are those that reading them again would give, which takes a hundred times as long as
    their checksums. Another version may read otherwise, so its studies are not known. Raises
    UserError as `read_sources` does, and for a record that is damaged.
    """
    if not (study / "study.json").is_file():
        return None
    record: dict[str, Any] = read_json(study / "study.json")
    read = record["settings"]
    asked = settings.model_dump()
    if record["pseudoword"] != __version__ or any(
        read[name] != asked[name] for name in ("class_noun", "intake")
    ):
        return None
    try:
        sources = read_sources(paths, settings.class_noun, settings.intake)
    except OSError:
        return None  # Whoever reads the photos next says why that cannot be done.
    return record if record.get("sources") == sources else None


def _checksum(file: Path) -> str:
    state = os.stat(file)
    return _checksum_of(file, state.st_size, state.st_mtime_ns)


@lru_cache(maxsize=2**16)
def _checksum_of(file: Path, size: int, changed: int) -> str:
    """Of one state of a file: the photos of many concepts are asked for twice in one command."""
    return file_sha256(file)
