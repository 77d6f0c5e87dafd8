"""Captions from files beside the photos, made into templates in which `{}` is the concept.

A caption is the text of `<name of the picture>.txt`, or a row of the folder's metadata.csv,
metadata.jsonl or metadata.parquet, as Hugging Face's imagefolder has them: the column "file_name"
(or one that ends with "_file_name") holds the picture's path within the folder.
"""

import csv
import io
import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pseudoword.errors import UserError, printable
from pseudoword.pictures import CAPTION, METADATA, beside, show, some
from pseudoword.prompts import validate_template

PREFIX = "a photo of a {}, "
"""What comes before a caption that names neither the concept nor its class."""
MAX_CHARACTERS = 2000
MAX_BYTES = 16 * 2**20

Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class _Text:
    """A caption as written, and where."""

    text: str
    source: str


def read_captions(pictures: Sequence[Path], class_noun: str, notes: list[str]) -> dict[Path, str]:
    """The captions of pictures as valid templates; appends to `notes` what was made of them.

    A picture without a caption is left out. Raises UserError for a file that cannot be read or
    understood, and for a caption that cannot be a template.
    """
    listed: dict[str, _Text] = {}
    for folder in dict.fromkeys(picture.parent for picture in pictures):
        listed |= _metadata(folder)
    found: dict[Path, str] = {}
    empty: list[str] = []
    nameless: list[str] = []
    for picture in pictures:
        caption = _beside(picture, listed.get(os.path.realpath(picture)), notes)
        if caption is None:
            continue
        if not caption.text.strip():
            empty.append(caption.source)
            continue
        found[picture], named = _template(caption, class_noun)
        nameless += [] if named else [caption.source]
    if empty:
        notes.append(f"empty, so no captions: {some(empty)}")
    if nameless:
        notes.append(f'put after "{PREFIX}", since they name no {class_noun}: {some(nameless)}')
    bare = [show(picture) for picture in pictures if picture not in found]
    if found and bare:
        notes.append(f"without a caption, so called as each method does: {some(bare)}")
    return found


def _beside(picture: Path, listed: _Text | None, notes: list[str]) -> _Text | None:
    """The caption in the picture's own file, else the one that the metadata list."""
    file = beside(picture, CAPTION)
    if file is None:
        return listed
    if listed is not None:
        notes.append(f"{show(file)} is used, and not the caption of {listed.source}")
    return _Text(_read_text(file), show(file))


def _template(caption: _Text, class_noun: str) -> tuple[str, bool]:
    """A valid template, and whether the caption named the concept or its class."""
    text = " ".join(caption.text.split())
    if len(text) > MAX_CHARACTERS:
        raise UserError(
            f"{caption.source} is longer than {MAX_CHARACTERS} characters: a caption says in a "
            "sentence or two what the picture shows."
        )
    if printable(text) != text:
        raise UserError(f"{caption.source} holds characters that are no text: write it anew.")
    named = True
    if not re.search("[{}]", text):
        # Not within a longer word: "mug" is not in "mugs" or "mug-shaped".
        noun = rf"(?<![\w-]){re.escape(class_noun)}(?![\w-])"
        text, count = re.subn(noun, "{}", text, count=1, flags=re.IGNORECASE)
        named = count > 0
    text = text if named else PREFIX + text
    try:
        validate_template(text)
    except UserError as error:
        raise UserError(f"{caption.source}: {error}") from None
    return text, named


def _metadata(folder: Path) -> dict[str, _Text]:
    """The captions in a folder's metadata file by the real paths of the pictures."""
    files = [path for name in METADATA if os.path.isfile(path := folder / name)]
    if not files:
        return {}
    if len(files) > 1:
        raise UserError(f"{show(folder)} holds {some(f.name for f in files)}: keep one of them.")
    file = files[0]
    rows = READERS[file.name](file)
    if not rows:
        raise UserError(f"{show(file)} holds no rows: fill it, or remove it.")
    name_column, text_column = _columns(file, rows)
    found: dict[str, _Text] = {}
    for row in rows:
        name, text = row.get(name_column), row.get(text_column)
        if not isinstance(name, str) or not os.path.isfile(folder / name):
            raise UserError(
                f"{show(file)} names {printable(str(name))!r}, which is not in {show(folder)}: "
                "mend or remove that row."
            )
        real = os.path.realpath(folder / name)
        if real in found:
            raise UserError(f"{show(file)} names {printable(name)} twice: keep one row for it.")
        if text is not None:
            found[real] = _Text(str(text), f"{show(file)} for {printable(name)}")
    return found


def _columns(file: Path, rows: Rows) -> tuple[str, str]:
    """The columns of the pictures' names and of their captions."""
    columns = list(dict.fromkeys(column for row in rows for column in row))
    listed = f"its columns are {some(printable(column) for column in columns)}"
    named = [column for column in columns if column.endswith("_file_name")]
    if "file_name" in columns:
        named = ["file_name"]
    if len(named) != 1:
        raise UserError(
            f"{show(file)}: {listed}.\nName the column of the pictures' names file_name."
        )
    texts = [c for c in columns if not c.endswith("file_name") and _is_text(rows, c)]
    if "text" in columns:
        texts = ["text"]
    if len(texts) != 1:
        raise UserError(f"{show(file)}: {listed}.\nName the column of the captions text.")
    return named[0], texts[0]


def _is_text(rows: Rows, column: str) -> bool:
    """Whether a column holds words; CSV has numbers as text."""
    values = [row[column] for row in rows if row.get(column) not in (None, "")]
    words = all(isinstance(value, str) for value in values)
    return bool(values) and words and any(not _is_number(value) for value in values)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _read_text(file: Path) -> str:
    try:
        if os.path.getsize(file) > MAX_BYTES:
            raise UserError(f"{show(file)} is larger than {MAX_BYTES // 2**20} MiB: cut it down.")
        return file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise UserError(f"{show(file)} is not UTF-8 text: save it in that encoding.") from None
    except OSError as error:
        raise UserError(
            f"{show(file)} cannot be read ({error.strerror}): check its permissions."
        ) from None


def _csv_rows(file: Path) -> Rows:
    reader = csv.DictReader(io.StringIO(_read_text(file), newline=""), strict=True)
    try:
        rows = list(reader)
    except csv.Error as error:
        raise UserError(f"{show(file)}, line {reader.reader.line_num}: {error}; mend it.") from None
    if any(None in row for row in rows):
        raise UserError(
            f"{show(file)} holds rows of more fields than its first: put a caption that holds a "
            'comma between "quotation marks".'
        )
    return rows


def _jsonl_rows(file: Path) -> Rows:
    rows = []
    for number, line in enumerate(_read_text(file).split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise UserError(
                f"{show(file)}, line {number} is not JSON ({error}): mend it there."
            ) from None
        if not isinstance(row, dict):
            raise UserError(
                f'{show(file)}, line {number}: write {{"file_name": ..., "text": ...}} there.'
            )
        rows.append(row)
    return rows


def _parquet_rows(file: Path) -> Rows:
    import pyarrow
    import pyarrow.parquet

    try:
        if os.path.getsize(file) > MAX_BYTES:
            raise UserError(f"{show(file)} is larger than {MAX_BYTES // 2**20} MiB: cut it down.")
        rows: Rows = pyarrow.parquet.ParquetFile(file).read().to_pylist()
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        reason = printable(str(error).partition("\n")[0])
        raise UserError(f"{show(file)} cannot be read ({reason}): write it anew.") from None
    return rows


READERS = {
    "metadata.csv": _csv_rows,
    "metadata.jsonl": _jsonl_rows,
    "metadata.parquet": _parquet_rows,
}
