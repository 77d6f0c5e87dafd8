"""One picture: what it becomes, what is noted and what refused; and which files are meant."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from intake import SIZE, fill_folder, load, one, picture, refusal
from PIL import ExifTags, Image, ImageCms

from pseudoword import pictures as module
from pseudoword.errors import UserError
from pseudoword.pictures import EXTENSIONS, read_picture


def as_array(path: Path) -> np.ndarray:
    return np.asarray(read_picture(path)[0]).astype(int)


# What a picture becomes


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


def srgb_profile() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def swapped_profile() -> bytes:
    """sRGB with its red and blue primaries exchanged in the table of tags."""
    profile = srgb_profile()
    return profile.replace(b"rXYZ", b"????").replace(b"bXYZ", b"rXYZ").replace(b"????", b"bXYZ")


def icc_profile(space: bytes, connection: bytes, tags: dict[bytes, bytes]) -> bytes:
    """A minimal ICC version 2 printer profile (ICC.1:2001-04, section 6)."""
    white = struct.pack(">3i", 63190, 65536, 54061)  # D50 in s15Fixed16
    tags = tags | {b"wtpt": b"XYZ " + bytes(4) + white, b"cprt": b"text" + bytes(4) + b"none\0"}
    table, data = struct.pack(">I", len(tags)), b""
    start = 128 + 4 + 12 * len(tags)
    for signature, body in tags.items():
        table += signature + struct.pack(">2I", start + len(data), len(body))
        data += body + bytes(-len(body) % 4)
    version = 0x02400000
    size = start + len(data)
    header = struct.pack(">I4sI4s4s4s", size, bytes(4), version, b"prtr", space, connection)
    header += struct.pack(">6H4s", 2026, 1, 1, 0, 0, 0, b"acsp") + bytes(28) + white
    return header.ljust(128, b"\0") + table + data


def cmyk_profile() -> bytes:
    """One colour whatever the inks (as lut8Type): L* = 50, a* = 60, b* = 0."""
    ramp = bytes(range(256))
    identity = struct.pack(">9i", *(65536 if i % 4 == 0 else 0 for i in range(9)))
    inks_to_lab = bytes([round(50 * 2.55), 128 + 60, 128]) * 2**4
    lut = b"mft1" + bytes(4) + bytes([4, 3, 2, 0]) + identity + ramp * 4 + inks_to_lab + ramp * 3
    return icc_profile(b"CMYK", b"Lab ", {b"A2B0": lut})


def linear_grey_profile() -> bytes:
    """Grey that is proportional to light: a curve without entries is the identity."""
    return icc_profile(b"GRAY", b"XYZ ", {b"kTRC": b"curv" + bytes(8)})


@pytest.mark.parametrize("extension", [".png", ".tif", ".webp"])
def test_colour_profile_is_applied(tmp_path: Path, extension: str) -> None:
    path = tmp_path / f"a{extension}"
    Image.new("RGB", (64, 64), (230, 20, 20)).save(
        path, icc_profile=swapped_profile(), lossless=True
    )
    red, green, blue = as_array(path)[32, 32]
    assert blue > 220 and red < 30 and green < 30
    assert any("profile to sRGB" in note for note in one(path).notes)


def test_colour_profile_is_applied_below_transparency(tmp_path: Path) -> None:
    colour = np.full((64, 64, 4), (230, 20, 20, 255), dtype=np.uint8)
    colour[:, :32, 3] = 0
    Image.fromarray(colour).save(tmp_path / "a.png", icc_profile=swapped_profile())
    result = as_array(tmp_path / "a.png")
    assert result[5, 5].tolist() == [255, 255, 255]
    assert result[5, 60, 2] > 220 and result[5, 60, 0] < 30


def test_srgb_profile_changes_nothing(tmp_path: Path) -> None:
    original = picture(6)
    original.save(tmp_path / "a.png", icc_profile=srgb_profile())
    np.testing.assert_array_equal(as_array(tmp_path / "a.png"), np.asarray(original))
    assert one(tmp_path / "a.png", size=80).notes == ()


def test_cmyk_goes_through_its_profile(tmp_path: Path) -> None:
    inks = Image.new("CMYK", (64, 64), (200, 10, 10, 0))
    inks.save(tmp_path / "plain.jpg", quality=95)
    inks.save(tmp_path / "profiled.jpg", quality=95, icc_profile=cmyk_profile())
    plain, profiled = (as_array(tmp_path / f"{name}.jpg")[5, 5] for name in ("plain", "profiled"))
    assert np.abs(plain - [55, 245, 245]).max() < 6
    lab = ImageCms.profileToProfile(
        Image.fromarray(profiled[None, None].astype(np.uint8)),
        ImageCms.createProfile("sRGB"),
        ImageCms.createProfile("LAB", 5000),
        outputMode="LAB",
    )
    assert lab is not None
    lightness = np.asarray(lab)[0, 0, 0] / 2.55
    a, b = (int(value) for value in np.asarray(lab).astype(np.uint8).view(np.int8)[0, 0, 1:])
    assert abs(lightness - 50) < 2 and abs(a - 60) < 4 and abs(b) < 4


@pytest.mark.parametrize("mode", ["L", "LA", "I;16"])
def test_grey_goes_through_its_profile(tmp_path: Path, mode: str) -> None:
    level = 55 * 257 if mode == "I;16" else 55
    pixels = np.full((64, 64), level, dtype=np.uint16 if mode == "I;16" else np.uint8)
    grey = Image.fromarray(pixels)
    path = tmp_path / "a.png"
    (grey.convert("LA") if mode == "LA" else grey).save(path, icc_profile=linear_grey_profile())
    # 55 / 255 of the light is encoded as 0.5017 (IEC 61966-2-1).
    assert np.abs(as_array(path) - 128).max() <= 2


@pytest.mark.parametrize(
    "profile",
    [
        b"rubbish",
        srgb_profile()[:200],
        cmyk_profile(),
        linear_grey_profile(),
        swapped_profile().replace(b"RGB ", b"HSV "),
        swapped_profile().replace(b"RGB ", b"R\x85B "),
    ],
)
def test_profile_that_does_not_fit_is_ignored_with_a_note(tmp_path: Path, profile: bytes) -> None:
    original = picture(7)
    original.save(tmp_path / "a.png", icc_profile=profile)
    np.testing.assert_array_equal(as_array(tmp_path / "a.png"), np.asarray(original))
    assert any("does not fit" in note for note in one(tmp_path / "a.png").notes)


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
