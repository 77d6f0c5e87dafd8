"""Captions beside the photos: which are found, what becomes of them, what is refused."""

import json
from pathlib import Path

import pandas as pd
import pytest
from intake import SIZE, fill_folder
from tiny import load_tiny

from pseudoword.captions import MAX_CHARACTERS, PREFIX, read_captions
from pseudoword.concept import Concept, load_concept, save_photos
from pseudoword.errors import UserError
from pseudoword.methods import make_method
from pseudoword.progress import Silent
from pseudoword.prompts import validate_template
from pseudoword.settings import PhotoSettings
from pseudoword.single import tell_intake


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three pictures 0.png, 1.png and 2.png."""
    return fill_folder(tmp_path / "photos", 3)


def load(folder: Path, noun: str = "mug", captions: bool = True) -> Concept:
    return load_concept([folder], noun, SIZE, False, PhotoSettings(captions=captions))


def captions(folder: Path, noun: str = "mug") -> list[str | None]:
    return [photo.caption for photo in load(folder, noun).photos]


def refusal(folder: Path) -> str:
    """The message of one or two lines with which the captions are refused."""
    with pytest.raises(UserError) as caught:
        load(folder)
    assert len(str(caught.value).splitlines()) <= 2
    return str(caught.value)


# What a caption becomes


@pytest.mark.parametrize(
    ("text", "noun", "template"),
    [
        ("a {} on a table", "mug", "a {} on a table"),
        ("a mug on a table, beside a mug", "mug", "a {} on a table, beside a mug"),
        ("My Mug!", "mug", "My {}!"),
        ("a stuffed  animal\n in the snow", "Stuffed Animal", "a {} in the snow"),
        ("une théière", "théière", "une {}"),
        ("mugs on a table", "mug", PREFIX + "mugs on a table"),
        ("a mug-shaped thing", "mug", PREFIX + "a mug-shaped thing"),
        ("smug", "mug", PREFIX + "smug"),
        ("\ufeffa mug", "mug", "a {}"),
    ],
)
def test_a_caption_becomes_a_template(folder: Path, text: str, noun: str, template: str) -> None:
    (folder / "0.txt").write_text(text, encoding="utf-8")
    concept = load(folder, noun)
    caption = concept.photos[0].caption
    assert caption == template
    validate_template(caption)
    nameless = any("name no" in note and "0.txt" in note for note in concept.notes)
    assert nameless == template.startswith(PREFIX)


def test_photos_without_a_caption_are_told_where_others_have_one(folder: Path) -> None:
    assert not any("caption" in note for note in load(folder).notes)
    (folder / "1.txt").write_text("a mug")
    concept = load(folder)
    assert [photo.caption for photo in concept.photos] == [None, "a {}", None]
    (note,) = (note for note in concept.notes if "without a caption" in note)
    assert "0.png" in note and "2.png" in note and "1.png" not in note


def test_an_empty_caption_is_none(folder: Path) -> None:
    (folder / "0.txt").write_text(" \n")
    concept = load(folder)
    assert concept.photos[0].caption is None
    assert any("empty" in note and "0.txt" in note for note in concept.notes)


def test_captions_can_be_left_aside(folder: Path) -> None:
    (folder / "0.txt").write_text("a {broken")
    concept = load(folder, captions=False)
    assert [photo.caption for photo in concept.photos] == [None] * 3


def test_captions_are_recorded_and_count_as_another_photo(folder: Path, tmp_path: Path) -> None:
    (folder / "0.txt").write_text("a mug")
    concept = load(folder)
    records = save_photos(concept, tmp_path / "study")
    assert [record["caption"] for record in records] == ["a {}", None, None]
    assert [record["masked"] for record in records] == [False] * 3
    assert concept.photos[0].identity != load(folder, captions=False).photos[0].identity


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"a {} and a {}", "2 {}"),
        (b"a {mug}", "brace"),
        (b"{0}", "brace"),
        (b"a caf\xe9 mug", "UTF-8"),
        ("a mug".encode("utf-16"), "UTF-8"),
        (b"a \x07 mug", "no text"),
        (b"mug " * (MAX_CHARACTERS // 4 + 1), "longer than"),
    ],
)
def test_captions_that_are_refused(folder: Path, text: bytes, says: str) -> None:
    (folder / "2.txt").write_bytes(text)
    message = refusal(folder)
    assert "2.txt" in message and says in message


def test_captions_longer_than_the_model_reads_are_told(folder: Path, tiny_model: Path) -> None:
    model = load_tiny(tiny_model)
    most = model.tokenizers[0].model_max_length - 2
    (folder / "0.txt").write_text("a mug " + "red " * (most - 2))
    (folder / "1.txt").write_text("a mug " + "red " * (most - 3))
    told = {}
    for name in ("textual-inversion", "dreambooth"):
        methods = [make_method(name, "toybox")]
        notes = tell_intake(Silent(), load(folder), model, methods)
        told[name] = "".join(note for note in notes if "captions longer" in note)
    # Textual Inversion puts one token in the noun's place, DreamBooth two.
    assert "0.png" not in told["textual-inversion"]
    assert "0.png" in told["dreambooth"] and "1.png" not in told["dreambooth"]


# Metadata


ROWS = [
    {"file_name": "0.png", "text": "a mug, red"},
    {"file_name": "2.png", "text": 'a "mug" in the snow'},
]


def write(folder: Path, name: str, rows: list[dict[str, object]]) -> None:
    frame = pd.DataFrame(rows)
    if name.endswith("csv"):
        frame.to_csv(folder / name, index=False)
    elif name.endswith("jsonl"):
        lines = (json.dumps(row, ensure_ascii=False) for row in rows)
        (folder / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    else:
        frame.to_parquet(folder / name)


FORMATS = ("metadata.csv", "metadata.jsonl", "metadata.parquet")


@pytest.mark.parametrize("name", FORMATS)
def test_metadata_in_every_format(folder: Path, name: str) -> None:
    write(folder, name, ROWS)
    assert captions(folder) == ["a {}, red", None, 'a "{}" in the snow']


@pytest.mark.parametrize("name", FORMATS)
def test_columns_are_found(folder: Path, name: str) -> None:
    rows = [{"image_file_name": f"{i}.png", "likes": i, "prompt": f"a mug {i}"} for i in range(3)]
    write(folder, name, rows)
    assert captions(folder) == ["a {} 0", "a {} 1", "a {} 2"]
    write(folder, name, [row | {"text": "text wins over mug"} for row in rows])
    assert captions(folder) == ["text wins over {}"] * 3


def test_lines_of_json_may_hold_any_character(folder: Path) -> None:
    write(folder, "metadata.jsonl", [{"file_name": "0.png", "text": "a mug\u2028on a table"}])
    assert captions(folder)[0] == "a {} on a table"


def test_metadata_may_name_pictures_that_are_not_given(folder: Path) -> None:
    write(folder, "metadata.csv", ROWS)
    notes: list[str] = []
    assert read_captions([folder / "1.png"], "mug", notes) == {}
    assert read_captions([folder / "2.png"], "mug", notes) == {
        folder / "2.png": 'a "{}" in the snow'
    }
    assert notes == []


def test_a_file_of_its_own_wins_over_metadata_with_a_note(folder: Path) -> None:
    write(folder, "metadata.csv", ROWS)
    (folder / "0.txt").write_text("a mug of its own")
    concept = load(folder)
    assert concept.photos[0].caption == "a {} of its own"
    assert any("0.txt is used" in note for note in concept.notes)


def test_a_row_without_a_caption(folder: Path) -> None:
    write(folder, "metadata.jsonl", [*ROWS, {"file_name": "1.png", "text": None}])
    assert captions(folder) == ["a {}, red", None, 'a "{}" in the snow']


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("metadata.csv", "file_name,text\n9.png,a mug\n", "names '9.png', which is not in"),
        ("metadata.csv", "file_name,text\n,a mug\n", "names ''"),
        ("metadata.csv", "file_name,text\n0.png,a mug\n./0.png,a cup\n", "twice"),
        ("metadata.csv", "file_name,text\n0.png,a mug, red\n", "quotation marks"),
        ("metadata.csv", "file_name,text\n", "no rows"),
        ("metadata.csv", "", "no rows"),
        ("metadata.csv", 'file_name,text\n0.png,"a mug\n', "line 2"),
        ("metadata.csv", "picture,text\n0.png,a mug\n", "columns are picture, text"),
        ("metadata.csv", "a_file_name,b_file_name,text\n0.png,1.png,a\n", "b_file_name"),
        ("metadata.csv", "file_name,one,two\n0.png,a mug,a cup\n", "columns are file_name, one"),
        ("metadata.csv", "file_name,likes\n0.png,7\n", "captions text"),
        ("metadata.csv", "file_name,text\n0.png,a {mug}\n", "0.png: The prompt"),
        ("metadata.jsonl", '{"file_name": "0.png"\n', "line 1 is not JSON"),
        ("metadata.jsonl", '\n["0.png", "a mug"]\n', "line 2"),
        ("metadata.jsonl", '{"file_name": 3, "text": "a mug"}\n', "names '3'"),
        ("metadata.parquet", "PAR1 no more", "cannot be read"),
    ],
)
def test_metadata_that_is_refused(folder: Path, name: str, text: str, says: str) -> None:
    (folder / name).write_text(text)
    message = refusal(folder)
    assert name in message and says in message


def test_two_metadata_files_are_refused(folder: Path) -> None:
    write(folder, "metadata.csv", ROWS)
    write(folder, "metadata.jsonl", ROWS)
    assert "keep one of them" in refusal(folder)
