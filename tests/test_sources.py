"""What a concept was read from, told by its files' checksums."""

import os
from pathlib import Path

import pytest
from PIL import Image

from pseudoword import __version__
from pseudoword.concept import load_concept
from pseudoword.errors import UserError
from pseudoword.runs import write_json
from pseudoword.settings import PhotoSettings, StudySettings
from pseudoword.sources import known_record, read_sources

SETTINGS = StudySettings(class_noun="mug")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Three photos, the first with a caption, the second with a mask."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for index in range(3):
        Image.effect_noise((64, 64), 20 + index).convert("RGB").save(folder / f"{index}.png")
    (folder / "0.txt").write_text("a mug on a table")
    Image.new("L", (64, 64), 255).save(folder / "1.mask.png")
    return folder


@pytest.fixture
def study(photos: Path, tmp_path: Path) -> Path:
    """As much of a study's record as tells what it read."""
    folder = tmp_path / "study"
    record = {
        "pseudoword": __version__,
        "settings": SETTINGS.model_dump(),
        "sources": read_sources([photos], "mug", SETTINGS.intake),
        "photos": [],
    }
    write_json(folder / "study.json", record, sealed=True)
    return folder


def known(study: Path, photos: Path, **changes: object) -> bool:
    return known_record(study, [photos], SETTINGS.model_copy(update=changes)) is not None


def test_a_source_for_each_photo_that_a_concept_has(photos: Path) -> None:
    sources = read_sources([photos], "mug", PhotoSettings())
    loaded = load_concept([photos], "mug", 32).photos
    assert [caption for _, _, caption in sources] == [photo.caption for photo in loaded]
    assert [mask is not None for _, mask, _ in sources] == [False, True, False]
    plain = read_sources([photos], "mug", PhotoSettings(captions=False, masks=False))
    assert plain == [[picture, None, None] for picture, _, _ in sources]


def test_the_same_files_are_known_wherever_they_lie(study: Path, photos: Path) -> None:
    assert known(study, photos)
    assert known(study, photos.rename(photos.with_name("elsewhere")))


@pytest.mark.parametrize("name", ["2.png", "1.mask.png", "0.txt", "3.png"])
def test_another_file_is_not_known(name: str, study: Path, photos: Path) -> None:
    if name.endswith("txt"):
        (photos / name).write_text("a mug on a chair")
    else:
        Image.new("RGB", (64, 64), "white").save(photos / name, compress_level=0)
    assert not known(study, photos)


def test_another_way_of_reading_is_not_known(study: Path, photos: Path) -> None:
    assert not known(study, photos, class_noun="cup")
    assert not known(study, photos, intake=PhotoSettings(flip=True))


def test_no_study_or_one_by_another_version_is_not_known(study: Path, photos: Path) -> None:
    write_json(study / "study.json", {"pseudoword": "0", "settings": SETTINGS.model_dump()})
    assert not known(study, photos)
    assert not known(study.with_name("none"), photos)


@pytest.mark.parametrize("foreign", [{"a": 1}, [], 3, {"pseudoword": __version__}])
def test_a_file_of_another_program_is_not_known(foreign: object, study: Path, photos: Path) -> None:
    write_json(study / "study.json", foreign)
    assert not known(study, photos)


def test_what_cannot_be_read_is_left_to_whoever_reads_it_next(study: Path, photos: Path) -> None:
    (photos / "2.png").unlink()
    os.mkfifo(photos / "2.png")
    with pytest.raises(UserError, match="not a picture file"):
        known(study, photos)
