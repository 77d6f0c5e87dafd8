"""Which files are meant, and which are refused."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from intake import fill_folder, load, one, picture, refusal
from PIL import Image

from pseudoword import pictures as module
from pseudoword.errors import UserError
from pseudoword.pictures import read_picture

# Files and folders


def test_folders_and_files_in_natural_order(tmp_path: Path) -> None:
    for index, name in enumerate(["img10.png", "img2.png", "img1.png", "Img3.png"]):
        picture(index).save(tmp_path / name)
    expected = ["img1.png", "img2.png", "Img3.png", "img10.png"]
    assert [photo.name for photo in load(tmp_path).photos] == expected
    given = [tmp_path / name for name in ("img10.png", "Img3.png", "img1.png", "img2.png")]
    assert [photo.name for photo in load(*given).photos] == expected


def test_system_files_strays_and_folders_are_ignored_with_a_note(tmp_path: Path) -> None:
    folder = fill_folder(tmp_path / "photos", 4)
    (folder / "1.txt").write_text("a mug on a table")
    for name in ("._0.png", ".DS_Store", "Thumbs.db", "notes", "more.txt", "more.mask.png"):
        (folder / name).write_bytes(b"\x00\x05\x16\x07")
    fill_folder(folder / "inner", 2)
    concept = load(folder)
    assert len(concept.photos) == 4
    notes = "\n".join(concept.notes)
    for name in ("._0.png", ".DS_Store", "Thumbs.db", "notes", "inner"):
        assert name in notes
    assert "more.mask.png" in notes and "more.txt: no picture of that name" in notes
    assert len(concept.notes) == 5 and "1.txt" not in notes


def test_hidden_file_given_by_name_is_ignored_with_a_note(tmp_path: Path) -> None:
    folder = fill_folder(tmp_path / "photos", 3)
    (folder / "._0.png").write_bytes(b"\x00\x05\x16\x07")
    concept = load(folder / "._0.png", *(folder / f"{index}.png" for index in range(3)))
    assert len(concept.photos) == 3
    assert any("._0.png" in note for note in concept.notes)
    assert "hidden" in refusal(folder / "._0.png")


def test_long_lists_of_ignored_files_are_cut(tmp_path: Path) -> None:
    folder = fill_folder(tmp_path / "photos", 4)
    for index in range(12):
        (folder / f"{index}.doc").write_text("a letter")
    (note,) = load(folder).notes
    assert "and 7 more" in note


def test_same_file_twice_is_used_once(tmp_path: Path) -> None:
    folder = fill_folder(tmp_path / "photos", 4)
    (folder / "link.png").symlink_to(folder / "2.png")
    concept = load(folder, folder / "3.png")
    assert len(concept.photos) == 4
    assert ["link.png" in note or "3.png" in note for note in concept.notes] == [True, True]


# What is refused


def test_path_that_does_not_exist(tmp_path: Path) -> None:
    assert "nowhere.jpg does not exist" in refusal(tmp_path / "nowhere.jpg")
    refusal(tmp_path / ("long" * 100 + ".jpg"))
    (tmp_path / "loop.jpg").symlink_to(tmp_path / "loop.jpg")
    assert "loop.jpg does not exist" in refusal(tmp_path / "loop.jpg")


def test_no_path_at_all() -> None:
    assert "No pictures were given" in refusal()


def test_folder_without_pictures(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a caption")
    assert "holds no pictures" in refusal(tmp_path)
    fill_folder(tmp_path / "inner", 1)
    assert "inner" in refusal(tmp_path)


def test_text_file_named_jpg(tmp_path: Path) -> None:
    folder = fill_folder(tmp_path / "photos", 4)
    (folder / "text.jpg").write_text("not a picture\n" * 99)
    (tmp_path / "empty.jpg").touch()
    assert "text.jpg is not a picture" in refusal(folder)
    assert "empty.jpg is not a picture" in refusal(tmp_path / "empty.jpg")


@pytest.mark.parametrize("extension", [".jpg", ".png", ".bmp", ".tif", ".gif", ".webp"])
def test_truncated_picture(tmp_path: Path, extension: str) -> None:
    folder = fill_folder(tmp_path / "photos", 4)
    noise = np.random.default_rng(0).integers(0, 256, (120, 120, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).save(buffer, format=Image.registered_extensions()[extension])
    whole = buffer.getvalue()
    (folder / f"cut{extension}").write_bytes(whole[: len(whole) * 2 // 3])
    message = refusal(folder)
    assert f"cut{extension}" in message and "replace" in message


@pytest.mark.parametrize("extension", [".jpg", ".png", ".bmp", ".tif", ".gif", ".webp"])
def test_damaged_pictures_are_read_or_refused_but_never_crash(
    tmp_path: Path, extension: str
) -> None:
    buffer = io.BytesIO()
    picture(0).save(buffer, format=Image.registered_extensions()[extension])
    whole = buffer.getvalue()
    path = tmp_path / f"a{extension}"
    damaged = [bytearray(whole[:length]) for length in range(0, min(len(whole), 900), 7)]
    for seed in range(60):
        rng = np.random.default_rng([3, seed])
        damaged.append(bytearray(whole))
        for position in rng.integers(0, min(len(whole), 400), 8):
            damaged[-1][position] = rng.integers(256)
    refused = 0
    for data in damaged:
        path.write_bytes(data)
        try:
            assert read_picture(path)[0].mode == "RGB"
        except UserError as error:
            refused += 1
            assert str(path) in str(error) and len(str(error).splitlines()) <= 2
    assert refused > 0


@pytest.mark.parametrize(("width", "height"), [(1, 1), (31, 500), (500, 31)])
def test_picture_that_is_too_small(tmp_path: Path, width: int, height: int) -> None:
    picture(0, width, height).save(tmp_path / "a.png")
    message = refusal(tmp_path / "a.png")
    assert "a.png is too small" in message and f"{width} x {height}" in message


def test_smallest_picture_is_enlarged(tmp_path: Path) -> None:
    picture(0, 32, 32).save(tmp_path / "a.png")
    assert one(tmp_path / "a.png").notes == ("enlarged from 32 to 64 pixels",)


def header_of_png(width: int, height: int) -> bytes:
    """A PNG file that claims its size and holds next to no data."""
    buffer = io.BytesIO()
    Image.new("L", (32, 32)).save(buffer, format="PNG")
    data = bytearray(buffer.getvalue())
    data[16:24] = struct.pack(">2I", width, height)
    data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    return bytes(data)


@pytest.mark.parametrize("side", [11_000, 100_000])
def test_decompression_bomb(tmp_path: Path, side: int) -> None:
    limit = Image.MAX_IMAGE_PIXELS
    (tmp_path / "bomb.png").write_bytes(header_of_png(side, side))
    message = refusal(tmp_path / "bomb.png")
    assert "bomb.png has more than 120 million pixels" in message
    assert limit == Image.MAX_IMAGE_PIXELS


@pytest.mark.filterwarnings("error")
def test_large_photo_is_no_bomb(tmp_path: Path) -> None:
    """Beyond Pillow's warning and within our limit: decoded, and only then found to be cut."""
    (tmp_path / "large.png").write_bytes(header_of_png(10_000, 10_000))
    assert "cut short" in refusal(tmp_path / "large.png")


def test_file_that_is_too_large(tmp_path: Path) -> None:
    with (tmp_path / "a.bmp").open("wb") as file:
        file.truncate(module.MAX_FILE_BYTES + 1)
    assert "a.bmp is larger than 256 MiB" in refusal(tmp_path / "a.bmp")


def test_foreign_picture_formats_are_told(tmp_path: Path) -> None:
    folder = fill_folder(tmp_path / "photos", 4)
    (folder / "IMG_1.HEIC").write_bytes(b"\0\0\0\x18ftypheic")
    message = refusal(folder)
    assert "IMG_1.HEIC" in message and "JPEG" in message


def test_other_file_given_by_name(tmp_path: Path) -> None:
    (tmp_path / "a.doc").write_text("a letter")
    assert "a.doc is not a picture file" in refusal(tmp_path / "a.doc")


def test_companions_may_be_given_by_name(tmp_path: Path) -> None:
    """As `photos/*` gives them."""
    folder = fill_folder(tmp_path / "photos", 4)
    (folder / "0.txt").write_text("a mug")
    Image.new("L", (80, 80), 255).save(folder / "1.mask.png")
    (folder / "toy.json").write_text("{}")
    assert len(load(*folder.iterdir()).photos) == 4
    assert "no picture among these" in refusal(folder / "0.txt", folder / "1.mask.png")
    notes = load(folder / "1.png", folder / "0.txt").notes
    assert any("0.txt: no picture of that name" in note for note in notes)


def test_too_many_pictures(tmp_path: Path) -> None:
    for index in range(module.MAX_PHOTOS + 1):
        (tmp_path / f"{index}.png").touch()
    assert "101 pictures were given" in refusal(tmp_path)


def test_file_names_that_are_no_text(tmp_path: Path) -> None:
    picture(0).save(tmp_path / "a\nb\udcff.png", format="PNG")
    assert one(tmp_path).name == "a?b?.png"
    (tmp_path / "a\nb\udcff.png").write_text("no picture")
    refusal(tmp_path).encode()
