"""Colour profiles: applied where they fit, else ignored with a note."""

import struct
from pathlib import Path

import numpy as np
import pytest
from intake import as_array, one, picture
from PIL import Image, ImageCms


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
