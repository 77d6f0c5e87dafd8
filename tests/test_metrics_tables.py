"""Tables of scores that tell when they are not as they were written."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pseudoword.errors import UserError
from pseudoword.metrics.tables import read_scores, read_table, write_table

AXES = {"method": ["lora"], "prompt_id": ["00", "01"], "metric": ["dino"]}
FLIPS = 40
OF = "ab" * 32


@pytest.fixture()
def file(tmp_path: Path) -> Path:
    path = tmp_path / "new" / "scores.parquet"
    frame = pd.DataFrame({"method": "lora", "prompt_id": ["00", "01"] * 50, "metric": "dino"})
    frame["seed"], frame["image_seed"] = 0, np.arange(100)
    frame["value"] = np.random.default_rng(0).random(100)
    write_table(frame, path, OF)
    return path


def read_both(file: Path) -> None:
    list(read_scores(file, OF, AXES))
    read_table(file, OF)


def test_what_was_written_is_read(file: Path) -> None:
    frame = pd.read_parquet(file)
    assert frame.equals(read_table(file, OF))
    (rows,) = read_scores(file, OF, AXES)
    assert np.array_equal(rows.value, frame["value"])
    assert np.array_equal(rows.image_seed, np.arange(100))
    assert np.array_equal(rows.prompt_id, np.arange(100) % 2)
    assert [path.name for path in file.parent.iterdir()] == [file.name]


def test_flipped_bits_all_over_the_file_are_found(file: Path) -> None:
    whole = file.read_bytes()
    for index, place in enumerate(np.linspace(0, len(whole) - 1, FLIPS).astype(int)):
        spoilt = bytearray(whole)
        spoilt[place] ^= 1 << index % 8
        file.write_bytes(spoilt)
        for read in (
            lambda path: read_table(path, OF),
            lambda path: list(read_scores(path, OF, AXES)),
        ):
            with pytest.raises(UserError, match=r"scores\.parquet .*\nremove it and run") as told:
                read(file)
            assert len(str(told.value).splitlines()) == 2
    file.write_bytes(whole)
    read_both(file)


def test_other_lengths_are_found(file: Path) -> None:
    whole = file.read_bytes()
    for length in np.linspace(0, len(whole) - 1, FLIPS).astype(int):
        file.write_bytes(whole[:length])
        with pytest.raises(UserError, match=r"scores\.parquet"):
            read_both(file)
    file.write_bytes(whole + b"\0")
    with pytest.raises(UserError, match="checksum does not fit"):
        read_both(file)


def test_a_table_without_a_checksum_is_told(file: Path) -> None:
    read_table(file, OF).to_parquet(file)
    with pytest.raises(UserError, match="no checksum"):
        read_both(file)


def test_equal_scores_give_equal_files(file: Path) -> None:
    whole = file.read_bytes()
    write_table(read_table(file, OF), file, OF)
    assert file.read_bytes() == whole


def test_scores_of_another_study_are_told(file: Path) -> None:
    write_table(read_table(file, OF), file, "cd" * 32)
    for read in (read_table, lambda *to: list(read_scores(*to, AXES))):
        with pytest.raises(UserError, match=r"scores\.parquet belongs to another study:\nremove"):
            read(file, OF)
