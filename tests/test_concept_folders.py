"""Which concepts a folder holds, and what each is called."""

from pathlib import Path

import pytest
from PIL import Image

from pseudoword.concept_folders import find_concepts, holds_concepts
from pseudoword.errors import UserError
from pseudoword.runs import write_json


def make(folder: Path, *names: str) -> Path:
    """A folder with a picture in a folder of each name."""
    for name in names:
        (folder / name).mkdir(parents=True)
        Image.new("RGB", (64, 64), (len(name), 9, 9)).save(folder / name / "1.png")
    return folder


def nouns(folder: Path, class_noun: str = "") -> dict[str, str]:
    return {each.name: each.class_noun for each in find_concepts(folder, class_noun, [])}


def test_several_concepts_are_two_folders_with_pictures_and_none_beside(tmp_path: Path) -> None:
    things = make(tmp_path / "things", "mug", "dog")
    assert holds_concepts([things])
    assert not holds_concepts([things / "mug"]) and not holds_concepts([things / "mug/1.png"])
    assert not holds_concepts([things / "mug", things / "dog"])
    assert not holds_concepts([tmp_path]) and not holds_concepts([tmp_path / "nowhere"])
    assert not holds_concepts([make(tmp_path / "one", "mug")])
    write_json(things / "study.json", {})
    assert not holds_concepts([things])
    (things / "study.json").unlink()
    Image.new("RGB", (64, 64)).save(things / "1.png")
    assert not holds_concepts([things])


@pytest.mark.parametrize(
    ("name", "noun"),
    [
        ("mug", "mug"),
        ("mug-2", "mug"),
        ("cat2", "cat"),
        ("Bear_plushie 03", "bear plushie"),
        ("t-shirt (2)", "t-shirt"),
    ],
)
def test_a_name_up_to_its_number_is_the_noun(name: str, noun: str, tmp_path: Path) -> None:
    assert nouns(make(tmp_path, name, "zebra"))[name] == noun


@pytest.mark.parametrize("name", ["001", "IMG_20", "concept-3", "photos", "a+b"])
def test_a_name_that_says_nothing_is_refused(name: str, tmp_path: Path) -> None:
    folder = make(tmp_path, name, "zebra")
    with pytest.raises(UserError, match=r"concepts\.yaml") as caught:
        nouns(folder)
    assert name in str(caught.value) and str(caught.value).count("\n") <= 1
    assert nouns(folder, "thing") == {name: "thing", "zebra": "thing"}


def test_files_win_over_names_and_what_was_taken_is_told(tmp_path: Path) -> None:
    folder = make(tmp_path, "007", "fluffy", "toy-12", "mug")
    (folder / "concepts.yaml").write_text("007: spy\nfluffy: a cat\n")
    write_json(folder / "toy-12" / "toy.json", {"class_noun": "duck"})
    (folder / "empty").mkdir()
    notes: list[str] = []
    found = find_concepts(folder, "", notes)
    expected = {"007": "spy", "fluffy": "cat", "mug": "mug", "toy-12": "duck"}
    assert {each.name: each.class_noun for each in found} == expected
    told = "\n".join(notes)
    assert "4 concepts" in told and "ignored empty" in told
    for text in ('"spy" of 007', '"cat" of fluffy', '"duck" of toy-12', '"mug" of mug'):
        assert text in told


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("mugs: mug\n", "no folder with pictures"),
        ("- mug\n", "folder: noun"),
        ("mug: [a, b]\n", "folder: noun"),
        ("mug: 'x!'\n", "letters"),
        ("mug: [\n", "is not YAML"),
    ],
)
def test_mistakes_in_concepts_yaml(text: str, message: str, tmp_path: Path) -> None:
    folder = make(tmp_path, "mug", "dog")
    (folder / "concepts.yaml").write_text(text)
    with pytest.raises(UserError) as caught:
        nouns(folder)
    assert message in str(caught.value) and "concepts.yaml" in str(caught.value)
    assert str(caught.value).count("\n") <= 1


def test_one_noun_for_all_may_not_hide_another(tmp_path: Path) -> None:
    folder = make(tmp_path, "a", "b")
    write_json(folder / "a" / "toy.json", {"class_noun": "duck"})
    with pytest.raises(UserError, match="'mug' and toy.json says 'duck'"):
        nouns(folder, "mug")
    assert nouns(folder, "the Duck") == {"a": "Duck", "b": "Duck"}
