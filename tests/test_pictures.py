"""One picture: what it becomes, and what is noted."""

from pathlib import Path

import numpy as np
import pytest
from intake import SIZE, as_array, one, picture, refusal
from PIL import ExifTags, Image

from pseudoword.pictures import EXTENSIONS


def test_picture_of_the_right_size_is_kept_exactly(tmp_path: Path) -> None:
    original = picture(0, SIZE, SIZE)
    original.save(tmp_path / "a.png")
    photo = one(tmp_path / "a.png")
    assert photo.pixels.dtype == np.uint8 and photo.notes == ()
    np.testing.assert_array_equal(photo.pixels, np.asarray(original))
    with pytest.raises(ValueError):
        photo.pixels[0, 0, 0] = 1


def test_centre_is_cropped(tmp_path: Path) -> None:
    pixels = np.zeros((64, 128, 3), dtype=np.uint8)
    pixels[:, 32:96] = np.asarray(picture(1, 64, 64))
    for name, array in {"wide.png": pixels, "tall.png": pixels.transpose(1, 0, 2)}.items():
        Image.fromarray(array).save(tmp_path / name)
    wide, tall = one(tmp_path / "wide.png"), one(tmp_path / "tall.png")
    np.testing.assert_array_equal(wide.pixels, pixels[:, 32:96])
    np.testing.assert_array_equal(tall.pixels, pixels[:, 32:96].transpose(1, 0, 2))
    assert (wide.original_width, wide.original_height) == (128, 64)
    assert "cropped at its centre from 128 x 64 to 64 x 64 pixels" in wide.notes


def test_downsampling_does_not_alias(tmp_path: Path) -> None:
    board = np.indices((512, 512)).sum(axis=0) % 2 * 255
    Image.fromarray(board.astype(np.uint8)).save(tmp_path / "a.png")
    assert np.abs(one(tmp_path / "a.png").pixels.astype(int) - 127.5).max() < 4


@pytest.mark.parametrize("extension", EXTENSIONS)
@pytest.mark.parametrize("upper", [False, True])
def test_every_supported_extension_is_read(tmp_path: Path, extension: str, upper: bool) -> None:
    original = picture(2)
    path = tmp_path / ("photo" + (extension.upper() if upper else extension))
    original.save(path)
    difference = np.abs(as_array(path) - np.asarray(original).astype(int))
    assert difference.mean() < 12  # GIF's palette is the coarsest


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("extension", [".jpg", ".png", ".webp", ".tif"])
def test_exif_orientation(tmp_path: Path, orientation: int, extension: str) -> None:
    upright = np.asarray(picture(3, 96, 64))
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.transpose(1, 0, 2),
        6: np.rot90(upright, 1),
        7: upright[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(upright, -1),
    }[orientation]
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    path = tmp_path / f"a{extension}"
    Image.fromarray(np.ascontiguousarray(stored)).save(path, exif=exif, quality=98)
    photo = one(path)
    assert (photo.original_width, photo.original_height) == (96, 64)
    assert np.abs(as_array(path) - upright.astype(int)).mean() < 4
    assert any("EXIF" in note for note in photo.notes) == (orientation > 1)


def test_transparency_is_laid_on_white(tmp_path: Path) -> None:
    colour = np.full((40, 40, 4), (200, 40, 0, 255), dtype=np.uint8)
    colour[:, :10, 3], colour[:, 10:20, 3] = 0, 51
    Image.fromarray(colour).save(tmp_path / "rgba.png")
    grey = colour[..., [0, 3]]
    Image.fromarray(grey, "LA").save(tmp_path / "la.png")
    palette = Image.fromarray(np.repeat(np.arange(4, dtype=np.uint8), 10)[None].repeat(40, 0), "P")
    palette.putpalette([9, 9, 9, 10, 20, 30, 40, 50, 60, 70, 80, 90])
    palette.save(tmp_path / "palette.png", transparency=0)
    palette.save(tmp_path / "palette.gif", transparency=0)
    palette.save(tmp_path / "alphas.png", transparency=bytes([0, 51, 255, 255]))

    def columns(name: str) -> list[tuple[int, ...]]:
        return [tuple(as_array(tmp_path / name)[20, x].tolist()) for x in (5, 15, 25)]

    white = (255, 255, 255)
    assert columns("rgba.png") == [white, (244, 212, 204), (200, 40, 0)]
    assert columns("la.png") == [white, (244, 244, 244), (200, 200, 200)]
    assert columns("palette.png") == [white, (10, 20, 30), (40, 50, 60)]
    assert columns("palette.gif") == [white, (10, 20, 30), (40, 50, 60)]
    assert columns("alphas.png") == [white, (206, 208, 210), (40, 50, 60)]
    assert "transparency laid on white" in one(tmp_path / "rgba.png").notes


def test_opaque_alpha_is_no_transparency(tmp_path: Path) -> None:
    original = picture(4)
    original.convert("RGBA").save(tmp_path / "a.png")
    assert one(tmp_path / "a.png", size=80).notes == ()
    np.testing.assert_array_equal(as_array(tmp_path / "a.png"), np.asarray(original))


def test_grey_and_bilevel_become_rgb(tmp_path: Path) -> None:
    grey = picture(5).convert("L")
    grey.save(tmp_path / "grey.png")
    grey.convert("1").save(tmp_path / "bilevel.png")
    np.testing.assert_array_equal(
        as_array(tmp_path / "grey.png"), np.asarray(grey)[..., None].repeat(3, axis=2)
    )
    assert set(np.unique(as_array(tmp_path / "bilevel.png"))) == {0, 255}


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_16_bit_grey_is_scaled_and_not_clipped(tmp_path: Path, name: str) -> None:
    levels = np.arange(64 * 64, dtype=np.uint16).reshape(64, 64) * 16 + 15
    Image.fromarray(levels).save(tmp_path / name)
    expected = np.rint(levels / 257).astype(int)
    np.testing.assert_array_equal(as_array(tmp_path / name)[..., 0], expected)
    assert "16-bit grey scaled to 8 bits" in one(tmp_path / name).notes


@pytest.mark.parametrize(
    ("dtype", "white"), [("int32", 255), ("int32", 65535), ("float32", 1), ("float32", 255)]
)
def test_32_bit_grey_is_scaled_by_its_likely_white(tmp_path: Path, dtype: str, white: int) -> None:
    levels = np.linspace(0, white, 64 * 64).reshape(64, 64).astype(dtype)
    Image.fromarray(levels).save(tmp_path / "a.tif")
    expected = levels.astype(np.float64) * (255 / white)
    assert np.abs(as_array(tmp_path / "a.tif")[..., 0] - expected).max() <= 0.5
    assert any(f"white at {white}" in note for note in one(tmp_path / "a.tif").notes)


@pytest.mark.parametrize("bad", [-1.0, 1e6, np.nan])
def test_32_bit_grey_of_unknown_range_is_refused(tmp_path: Path, bad: float) -> None:
    levels = np.full((64, 64), 0.5, dtype=np.float32)
    levels[0, 0] = bad
    Image.fromarray(levels).save(tmp_path / "a.tif")
    message = refusal(tmp_path / "a.tif")
    assert "a.tif" in message and "save it as" in message


def test_lab_picture(tmp_path: Path) -> None:
    Image.new("LAB", (64, 64), (round(50 * 2.55), 128, 128)).save(tmp_path / "a.tif")
    # L* = 50 without chroma is the sRGB grey 119 (CIE 15, IEC 61966-2-1).
    assert np.abs(as_array(tmp_path / "a.tif") - 119).max() <= 2


@pytest.mark.parametrize("extension", [".gif", ".webp", ".png", ".tif"])
def test_first_frame_of_an_animation(tmp_path: Path, extension: str) -> None:
    first, second = (Image.new("RGB", (64, 64), colour) for colour in ("red", "blue"))
    path = tmp_path / f"a{extension}"
    first.save(path, save_all=True, append_images=[second])
    assert as_array(path)[9, 9].tolist() == pytest.approx([255, 0, 0], abs=3)
    assert "only its first frame or page is used" in one(path).notes


def test_telephone_jpeg_with_a_second_picture(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    picture(8).save(path, format="MPO", save_all=True, append_images=[picture(9, 40, 40)])
    assert one(path, size=80).notes == ()
    assert np.abs(as_array(path) - np.asarray(picture(8)).astype(int)).mean() < 4


def test_content_counts_and_not_the_extension(tmp_path: Path) -> None:
    picture(10).save(tmp_path / "a.jpg", format="PNG")
    np.testing.assert_array_equal(as_array(tmp_path / "a.jpg"), np.asarray(picture(10)))


def test_formats_beyond_those_promised_are_refused(tmp_path: Path) -> None:
    picture(10).save(tmp_path / "a.jpg", format="PPM")
    assert "a.jpg is not a picture" in refusal(tmp_path / "a.jpg")
