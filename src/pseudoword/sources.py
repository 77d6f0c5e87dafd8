"""What a concept was read from: its files' checksums tell, undecoded, that it is the same."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pseudoword import __version__
from pseudoword.concept import find_files
from pseudoword.pictures import check_file
from pseudoword.runs import kept_sha256, read_json
from pseudoword.settings import PhotoSettings, StudySettings

Source = list[str | None]
"""SHA-256 of a picture's file and of its mask's, and the caption as a template."""

OURS = {"pseudoword", "settings", "sources", "photos"}
"""What tells a study.json from any other file of the name."""


def read_sources(paths: Sequence[Path], class_noun: str, intake: PhotoSettings) -> list[Source]:
    """What `load_concept` makes photos of, in its order, with nothing decoded.

    Raises UserError for a class noun, path, caption or file that cannot be used, and
    FileNotFoundError for a file that goes away meanwhile.
    """
    found = find_files(paths, class_noun, intake)
    for file in found.pictures:
        check_file(file)
    masks = {picture: kept_sha256(mask) for picture, mask in found.masks.items()}
    return [
        [kept_sha256(picture), masks.get(picture), found.captions.get(picture)]
        for picture in found.pictures
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
    record: Any = read_json(study / "study.json")
    if not isinstance(record, dict) or not record.keys() >= OURS:
        return None
    read = record["settings"]
    asked = settings.model_dump()
    if record["pseudoword"] != __version__ or any(
        read[name] != asked[name] for name in ("class_noun", "intake")
    ):
        return None
    try:
        sources = read_sources(paths, settings.class_noun, settings.intake)
    except FileNotFoundError:
        return None  # Whoever reads the photos next says why that cannot be done.
    return record if record["sources"] == sources else None
