"""Training views: the central part, random crops, mirrors and buckets; masks go along with them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from intake import SIZE, picture
from PIL import Image

from pseudoword.buckets import MAX_RATIO, bucket_shapes, bucket_step, nearest_bucket
from pseudoword.concept import Photo, load_concept
from pseudoword.errors import UserError
from pseudoword.settings import PhotoSettings
from pseudoword.views import Box, View, central_box, cut_view, mirrored


def load(
    folder: Path, size: int = SIZE, hold_out: bool = False, **intake: Any
) -> tuple[Photo, ...]:
    return load_concept([folder], "mug", size, hold_out, PhotoSettings(**intake)).photos


def painted(folder: Path, name: str, width: int, height: int) -> None:
    """A dark picture with a light disc off its middle, and the disc as its mask."""
    y, x = np.mgrid[:height, :width]
    disc = np.hypot(x - 0.55 * width, y - 0.45 * height) < 0.2 * min(width, height)
    mask = Image.fromarray((disc * 255).astype(np.uint8))
    mask.convert("RGB").save(folder / f"{name}.png")
    mask.save(folder / f"{name}.mask.png")


# Views


@pytest.mark.parametrize(("width", "height"), [(64, 64), (200, 90), (70, 131), (40, 40)])
def test_the_plain_view_is_the_square_of_the_photo(tmp_path: Path, width: int, height: int) -> None:
    picture(0, width, height).save(tmp_path / "a.png")
    (photo,) = load(tmp_path)
    (view,) = photo.views
    np.testing.assert_array_equal(view.pixels, photo.pixels)
    assert view.mask is None and view.original_size == (height, width)
    side = min(width, height)
    expected = (height - side) // 2 * SIZE / side, (width - side) // 2 * SIZE / side
    assert view.crop_top_left == pytest.approx(expected, abs=0.5)


def test_crops_and_mirrors_come_in_order_and_never_change(tmp_path: Path) -> None:
    picture(1, 180, 120).save(tmp_path / "a.png")
    (photo,) = load(tmp_path, crops=3, flip=True)
    (again,) = load(tmp_path, crops=3, flip=True)
    (fewer,) = load(tmp_path, crops=1)
    assert len(photo.views) == 8
    for view, same in zip(photo.views, again.views, strict=True):
        np.testing.assert_array_equal(view.pixels, same.pixels)
    for view, same in zip(photo.views, fewer.views, strict=False):
        np.testing.assert_array_equal(view.pixels, same.pixels)
    for view, mirror in zip(photo.views[:4], photo.views[4:], strict=True):
        np.testing.assert_array_equal(mirror.pixels, view.pixels[:, ::-1])
        assert mirror.crop_top_left[0] == view.crop_top_left[0]
    assert len({view.pixels.tobytes() for view in photo.views}) == 8
    with pytest.raises(ValueError):
        photo.views[-1].pixels[0, 0, 0] = 1


def test_crops_depend_on_content_and_not_on_the_name(tmp_path: Path) -> None:
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        picture(2, 100, 150).save(tmp_path / name / f"{name}.png")
    (one,), (other,) = (load(tmp_path / name, crops=2) for name in ("one", "other"))
    assert [v.crop_top_left for v in one.views] == [v.crop_top_left for v in other.views]


def test_a_random_crop_is_where_it_says(tmp_path: Path) -> None:
    """A picture that tells the place of each pixel: red its column, green its row."""
    rows, columns = np.mgrid[:160, :240]
    place = np.stack([columns, rows, 0 * rows], axis=2).astype(np.uint8)
    Image.fromarray(place).save(tmp_path / "a.png")
    (photo,) = load(tmp_path, crops=8)
    shares = []
    for view in photo.views[1:]:
        left, right = view.pixels[:, 4, 0].mean(), view.pixels[:, -5, 0].mean()
        top = view.pixels[4, :, 1].mean()
        side = (right - left) * SIZE / (SIZE - 9)
        shares.append((side / 160) ** 2)
        scale = SIZE / side
        corner = top * scale - 4, left * scale - 4
        assert view.crop_top_left == pytest.approx(corner, abs=1.5)
    assert min(shares) > 0.45 and max(shares) < 1.05 and max(shares) - min(shares) > 0.1


def test_a_mirrored_view_is_a_crop_of_the_mirrored_picture() -> None:
    image = picture(3, 150, 64)
    box = Box(20, 0, 64, 64)
    mirror = mirrored(cut_view(image, None, box, (64, 64)), box)
    flipped = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    top, left = mirror.crop_top_left
    expected = np.asarray(flipped)[top : top + 64, left : left + 64]
    np.testing.assert_array_equal(mirror.pixels, expected)


def test_the_held_out_photo_has_its_plain_view_alone(tmp_path: Path) -> None:
    for index in range(4):
        picture(index).save(tmp_path / f"{index}.png")
    photos = load(tmp_path, hold_out=True, crops=2, flip=True)
    assert [len(photo.views) for photo in photos if photo.held_out] == [1]
    assert [len(photo.views) for photo in photos if not photo.held_out] == [6] * 3


def test_crops_that_are_much_enlarged_are_told(tmp_path: Path) -> None:
    picture(4, 36, 36).save(tmp_path / "a.png")
    (photo,) = load(tmp_path, crops=8)
    assert any("random crops enlarged up to 2." in note for note in photo.notes)
    assert not any("random" in note for note in load(tmp_path, size=32, crops=8)[0].notes)


# Buckets


@pytest.mark.parametrize("size", [16, 64, 128, 512, 768, 1000, 1024])
def test_bucket_shapes(size: int) -> None:
    shapes, step = bucket_shapes(size), bucket_step(size)
    assert step % 8 == 0 and (size, size) in shapes
    for height, width in shapes:
        assert height * width <= size * size
        assert max(height / width, width / height) <= MAX_RATIO
        assert (width, height) in shapes
        assert (height, width) == (size, size) or (height % step, width % step) == (0, 0)


def test_buckets_at_512() -> None:
    assert bucket_step(512) == 64
    assert bucket_shapes(512) == ((640, 384), (576, 448), (512, 512), (448, 576), (384, 640))


def test_nearest_bucket_fits_and_turns_with_the_picture() -> None:
    for height, width in bucket_shapes(512):
        assert nearest_bucket((height * 3, width * 3), 512) == (height, width)
    for ratio in np.linspace(0.2, 5, 41):
        height, width = nearest_bucket((1000, round(1000 * ratio)), 512)
        assert nearest_bucket((round(1000 * ratio), 1000), 512) == (width, height)


def test_buckets_keep_more_of_a_long_photo(tmp_path: Path) -> None:
    picture(5, 200, 120).save(tmp_path / "a.png")
    (photo,) = load(tmp_path, size=128, buckets=True, crops=1, flip=True)
    assert photo.pixels.shape == (128, 128, 3)
    assert {view.pixels.shape for view in photo.views} == {(96, 160, 3)}
    assert photo.views[0].crop_top_left == (0, 0)
    np.testing.assert_array_equal(photo.pixels, load(tmp_path, size=128)[0].pixels)
    assert "trained on at 160 x 96 pixels" in photo.notes


def test_a_photo_longer_than_every_bucket_is_cropped(tmp_path: Path) -> None:
    picture(6, 64, 640).save(tmp_path / "a.png")
    concept = load_concept([tmp_path], "mug", 128, False, PhotoSettings(buckets=True))
    assert concept.photos[0].views[0].pixels.shape == (160, 96, 3)
    assert any("cropping: a.png" in warning for warning in concept.warnings)


# Masks


@pytest.mark.parametrize(("width", "height"), [(64, 64), (90, 90), (300, 170), (170, 300)])
@pytest.mark.parametrize("buckets", [False, True])
def test_a_mask_stays_on_what_it_was_painted_on(
    tmp_path: Path, width: int, height: int, buckets: bool
) -> None:
    painted(tmp_path, "a", width, height)
    (photo,) = load(tmp_path, size=128, crops=4, flip=True, buckets=buckets)
    assert len(photo.views) == 10
    for view in photo.views:
        assert view.mask is not None and view.mask.dtype == np.float32
        assert view.mask.shape == view.pixels.shape[:2]
        assert view.mask.min() >= 0 and view.mask.max() == 1
        grey = view.pixels[..., 0] / 255
        # Edges are scaled by different filters; a mask moved by a few pixels would err by more.
        assert np.abs(grey - view.mask).mean() < 0.01
        assert np.abs(np.roll(grey, 6, axis=1) - view.mask).mean() > 0.02


def test_masks_are_no_photos_and_photos_without_one_count_whole(tmp_path: Path) -> None:
    painted(tmp_path, "a", 80, 80)
    picture(0).save(tmp_path / "b.png")
    concept = load_concept([tmp_path], "mug", SIZE)
    first, second = concept.photos
    assert (first.name, second.name) == ("a.png", "b.png")
    assert second.views[0].mask is not None and (second.views[0].mask == 1).all()
    assert first.mask_sha256 is not None and second.mask_sha256 is None
    assert first.identity != load(tmp_path, masks=False)[0].identity
    assert any("without a mask" in note and "b.png" in note for note in concept.notes)


def test_masks_can_be_left_aside(tmp_path: Path) -> None:
    painted(tmp_path, "a", 80, 80)
    (tmp_path / "a.mask.png").write_text("no picture")
    concept = load_concept([tmp_path], "mug", SIZE, True, PhotoSettings(masks=False))
    assert concept.photos[0].views[0].mask is None


def test_a_mask_turns_with_its_photo(tmp_path: Path) -> None:
    """The photo is stored turned, and the mask drawn on it as it is shown."""
    painted(tmp_path, "a", 80, 60)
    exif = Image.Exif()
    exif[0x0112] = 6
    shown = Image.open(tmp_path / "a.png")
    shown.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "a.png", exif=exif)
    (view,) = load(tmp_path)[0].views
    assert view.mask is not None
    assert np.abs(view.pixels[..., 0] / 255 - view.mask).mean() < 0.01


@pytest.mark.parametrize("mode", ["1", "L", "RGB", "RGBA", "LA", "P", "I;16"])
def test_masks_of_any_mode_are_read(tmp_path: Path, mode: str) -> None:
    painted(tmp_path, "a", SIZE, SIZE)
    (plain,) = load(tmp_path)[0].views
    mask = Image.open(tmp_path / "a.mask.png")
    if mode == "I;16":
        changed = Image.fromarray(np.asarray(mask).astype(np.uint16) * 257)
    elif mode == "LA":  # white all over, and see-through where nothing counts
        changed = Image.merge("LA", (Image.new("L", mask.size, 255), mask.copy()))
    else:
        changed = mask.convert(mode)
    changed.save(tmp_path / "a.mask.png")
    (view,) = load(tmp_path)[0].views
    assert view.mask is not None and plain.mask is not None
    np.testing.assert_array_equal(view.mask, plain.mask)


@pytest.mark.parametrize(
    ("mask", "says"),
    [
        (Image.new("L", (80, 79), 255), "80 x 79 pixels, and its photo 80 x 80"),
        (Image.new("L", (80, 80), 0), "black all over"),
        (Image.new("RGBA", (80, 80), (255, 255, 255, 0)), "black all over"),
    ],
)
def test_masks_that_are_refused(tmp_path: Path, mask: Image.Image, says: str) -> None:
    picture(0).save(tmp_path / "a.png")
    mask.save(tmp_path / "a.mask.png")
    with pytest.raises(UserError, match=says) as caught:
        load(tmp_path)
    assert "a.mask.png" in str(caught.value) and len(str(caught.value).splitlines()) <= 2


def test_a_mask_that_is_no_picture_is_refused(tmp_path: Path) -> None:
    picture(0).save(tmp_path / "a.png")
    (tmp_path / "a.mask.png").write_text("white")
    with pytest.raises(UserError, match=r"a\.mask\.png is not a picture"):
        load(tmp_path)


def test_what_the_mask_blacks_out_is_not_trained_on(tmp_path: Path) -> None:
    picture(0, 200, 80).save(tmp_path / "a.png")
    mask = np.zeros((80, 200), np.uint8)
    mask[:, :20] = 255
    Image.fromarray(mask).save(tmp_path / "a.mask.png")
    with pytest.raises(UserError, match=r"a\.mask\.png is black all over what is left"):
        load(tmp_path)
    mask[:, 62:66] = 255
    Image.fromarray(mask).save(tmp_path / "a.mask.png")
    (photo,) = load(tmp_path, crops=16)
    assert 1 < len(photo.views) < 17
    assert all(view.mask is not None and view.mask.any() for view in photo.views)
    assert any("left out" in note for note in photo.notes)


def test_views_of_the_smallest_picture(tmp_path: Path) -> None:
    picture(0, 32, 33).save(tmp_path / "a.png")
    for view in load(tmp_path, size=16, crops=16, buckets=True, flip=True)[0].views:
        assert isinstance(view, View) and view.pixels.shape == (16, 16, 3)


def test_the_central_box_never_leaves_the_picture() -> None:
    for width in range(32, 60):
        for shape in bucket_shapes(512):
            box = central_box((40, width), shape)
            assert 0 <= box.left <= width - box.width and 0 <= box.top <= 40 - box.height
            assert box.width / box.height == pytest.approx(shape[1] / shape[0], rel=0.05)
