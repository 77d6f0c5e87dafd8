"""The photos of a concept together: doubles, warnings, the held-out one, class noun, records."""

from pathlib import Path

import numpy as np
import pytest
from intake import SIZE, crisp, fill_folder, load, picture, refusal
from PIL import Image, ImageFilter

from pseudoword.concept import clean_class_noun, save_photos
from pseudoword.errors import UserError

# Together


def test_few_photos_are_warned_of(tmp_path: Path) -> None:
    for index in range(2):
        crisp(index).save(tmp_path / f"{index}.png")
    assert any("only 2" in warning for warning in load(tmp_path).warnings)
    crisp(2).save(tmp_path / "2.png")
    assert load(tmp_path).warnings == ()


def test_small_long_and_flat_pictures_are_warned_of(tmp_path: Path) -> None:
    crisp(4, 40, 40).save(tmp_path / "small.png")
    crisp(5, 200, 90).save(tmp_path / "long.png")
    Image.new("RGB", (80, 80), "grey").save(tmp_path / "flat.png")
    crisp(6).save(tmp_path / "fine.png")
    named = {
        name: w for w in load(tmp_path).warnings for name in ("small", "long", "flat") if name in w
    }
    assert len(set(named.values())) == len(named) == 3 == len(load(tmp_path).warnings)
    assert "64 pixels" in named["small"] and "cropping" in named["long"]


def test_blurred_and_nearly_same_pictures_are_warned_of(tmp_path: Path) -> None:
    for index in range(3):
        crisp(index).save(tmp_path / f"{index}.png")
    crisp(1).save(tmp_path / "again.jpg", quality=60)
    crisp(3).filter(ImageFilter.GaussianBlur(3)).save(tmp_path / "soft.png")
    first, second = load(tmp_path).warnings
    assert "blurred" in first and "soft.png" in first
    assert "1.png" in second and "again.jpg" in second and "counts twice" in second


def test_same_picture_twice_is_used_once(tmp_path: Path) -> None:
    folder = fill_folder(tmp_path / "photos", 4)
    picture(1).save(folder / "again.bmp")
    concept = load(folder)
    assert len(concept.photos) == 4
    (note,) = concept.notes
    assert "again.bmp" in note and "1.png" in note


def test_several_bad_pictures_are_told_at_once(tmp_path: Path) -> None:
    folder = fill_folder(tmp_path / "photos", 2)
    for name in ("x.jpg", "y.jpg", "z.jpg"):
        (folder / name).write_text("no picture")
    message = refusal(folder)
    assert "3 of 5" in message and all(name in message for name in ("x.jpg", "y.jpg", "z.jpg"))


# The held-out photo


def test_one_of_four_or_more_is_held_out(tmp_path: Path) -> None:
    concept = load(fill_folder(tmp_path / "four", 4))
    assert concept.held_out is not None
    assert len(concept.training) == 3 and concept.held_out not in concept.training
    assert set(concept.training) | {concept.held_out} == set(concept.photos)


def test_nothing_is_held_out_of_three_or_on_request(tmp_path: Path) -> None:
    three = load(fill_folder(tmp_path / "three", 3))
    assert three.held_out is None and three.training == three.photos
    assert any("held out" in note for note in three.notes)
    free = load(fill_folder(tmp_path / "five", 5), hold_out=False)
    assert free.held_out is None and len(free.training) == 5 and free.notes == ()


def test_held_out_photo_depends_on_content_alone(tmp_path: Path) -> None:
    one_way = load(fill_folder(tmp_path / "a", 6)).held_out
    other = tmp_path / "b"
    other.mkdir()
    for index in range(6):
        picture(index).save(other / f"{50 - index}.bmp")
    other_way = load(*sorted(other.iterdir()), size=32).held_out
    assert one_way is not None and other_way is not None
    assert one_way.sha256 == other_way.sha256


def test_hash_tells_pictures_of_the_same_bytes_apart(tmp_path: Path) -> None:
    Image.new("RGB", (40, 90)).save(tmp_path / "a.png")
    Image.new("RGB", (90, 40)).save(tmp_path / "b.png")
    assert len(load(tmp_path).photos) == 2


# The class noun


@pytest.mark.parametrize(
    "noun", ["mug", "stuffed animal", "t-shirt", "Nussknacker", "théière", "R2"]
)
def test_class_nouns_are_kept(noun: str) -> None:
    assert clean_class_noun(noun) == (noun, [])


@pytest.mark.parametrize(
    ("given", "noun"),
    [("a mug", "mug"), ("The stuffed animal", "stuffed animal"), ("an  owl", "owl")],
)
def test_leading_article_is_left_out_with_a_note(given: str, noun: str) -> None:
    cleaned, (note,) = clean_class_noun(given)
    assert cleaned == noun and "article" in note


def test_accents_may_come_as_characters_of_their_own() -> None:
    assert clean_class_noun("the\u0301ie\u0300re")[0] == "th\u00e9i\u00e8re"


def test_surplus_spaces_are_left_out() -> None:
    assert clean_class_noun("  stuffed   animal ") == ("stuffed animal", [])


@pytest.mark.parametrize(
    "noun",
    ["", "  ", "the ", "{}", "mug{0}", "<mug>", "mug\n", "a\nb", "mug\t2", "mug_2", "-", "42"]
    + ["mug-", "mug, red", "mug/cup", "very " * 20 + "long mug"],
)
def test_class_nouns_that_are_refused(noun: str) -> None:
    with pytest.raises(UserError, match="--class-noun") as caught:
        clean_class_noun(noun)
    assert len(str(caught.value).splitlines()) <= 2


def test_note_on_the_article_is_in_the_concept(tmp_path: Path) -> None:
    concept = load(fill_folder(tmp_path / "photos", 4), noun="a mug")
    assert concept.class_noun == "mug" and any("article" in note for note in concept.notes)


# Saving


def test_saved_photos_are_what_the_records_say(tmp_path: Path) -> None:
    concept = load(fill_folder(tmp_path / "photos", 5))
    records = save_photos(concept, tmp_path / "study")
    assert [record["file"] for record in records] == [f"photos/0{i}.png" for i in range(5)]
    written = sorted((tmp_path / "study" / "photos").iterdir())
    assert [f"photos/{path.name}" for path in written] == [record["file"] for record in records]
    for photo, record in zip(concept.photos, records, strict=True):
        with Image.open(tmp_path / "study" / record["file"]) as saved:
            np.testing.assert_array_equal(np.asarray(saved), photo.pixels)
            assert (record["width"], record["height"]) == saved.size == (SIZE, SIZE)
        assert record["original_width"] == record["original_height"] == 80
        assert record["name"] == photo.name and record["sha256"] == photo.sha256
        assert record["held_out"] == (photo is concept.held_out)
        assert record["notes"] == list(photo.notes)
