"""Blur, near duplicates and outliers: the thresholds, what `pseudoword photos` finds and says."""

import json
import shutil
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import huggingface_hub
import numpy as np
import pytest
from intake import crisp, picture
from PIL import Image, ImageFilter

from pseudoword import vetting as module
from pseudoword.cli import main
from pseudoword.errors import UserError
from pseudoword.quality import BLURRED, difference_hash, is_blurred, near_duplicates, sharpness
from pseudoword.toybox.photos import render_photo_set
from pseudoword.vetting import Vetting, outliers, vet_photos

SHAPES = 128


@pytest.fixture(scope="module")
def toys(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The folders of two toys with five photos each."""
    folders = [tmp_path_factory.mktemp("toys") / str(seed) for seed in (301, 302)]
    for folder in folders:
        render_photo_set(int(folder.name), folder, count=5)
    return folders


def opened(folders: Sequence[Path]) -> list[Image.Image]:
    return [Image.open(file) for folder in folders for file in sorted(folder.glob("*.png"))]


def as_jpeg(image: Image.Image) -> Image.Image:
    buffer = BytesIO()
    image.save(buffer, "JPEG", quality=50)
    return Image.open(buffer).convert("RGB")


def found(vetting: Vetting) -> dict[str, list[str]]:
    """The kinds of findings by file name, without the pictures that are fine."""
    return {p.path.name: [f.kind for f in p.findings] for p in vetting.pictures if p.findings}


# Blur


def test_renders_are_sharp_and_blurred_ones_are_not(toys: list[Path]) -> None:
    for image in opened(toys):
        levels = [
            sharpness(np.asarray(image.filter(ImageFilter.GaussianBlur(radius))))
            for radius in (0, 1, 2, 4)
        ]
        assert levels == sorted(levels, reverse=True)
        assert levels[0] > BLURRED > levels[-1]


def test_a_plain_or_blurred_ground_makes_no_blur() -> None:
    sharp = crisp(0, SHAPES, SHAPES)
    for ground in (Image.new("RGB", sharp.size, "white"), picture(0, SHAPES, SHAPES)):
        assert is_blurred(np.asarray(ground), SHAPES)
        ground.paste(sharp.crop((0, 0, 40, 40)), (40, 50))
        assert not is_blurred(np.asarray(ground), SHAPES)


def test_blur_is_judged_alike_at_every_size() -> None:
    """The same softness in pixels of the model: a photo of twice the size may be twice as soft."""
    blocks = crisp(1, 512, 512)
    for size in (128, 512, 1024):
        scaled = blocks.resize((size, size), Image.Resampling.NEAREST)
        assert not is_blurred(np.asarray(scaled), size)
        assert is_blurred(np.asarray(scaled.filter(ImageFilter.GaussianBlur(size / 24))), size)


def test_what_was_much_enlarged_is_not_called_blurred() -> None:
    soft = np.asarray(picture(2, SHAPES, SHAPES))
    assert is_blurred(soft, SHAPES // 2) and not is_blurred(soft, SHAPES // 2 - 1)


# Near duplicates


def test_changed_copies_are_near_and_other_photos_of_a_toy_are_not(toys: list[Path]) -> None:
    images = opened(toys)
    assert near_duplicates([np.asarray(image) for image in images]) == {}
    width, height = images[0].size
    for image in images:
        copies = [
            as_jpeg(image),
            image.resize((width // 2, height // 2)),
            image.point(lambda value: value * 0.8),
            image.convert("L").convert("RGB"),
            image.crop((1, 1, width - 1, height - 1)),
        ]
        for copy in copies:
            assert near_duplicates([np.asarray(image), np.asarray(copy)]) == {1: 0}


def test_hashes_know_direction() -> None:
    ramp = np.arange(SHAPES, dtype=np.uint8)[None, :, None].repeat(SHAPES, 0).repeat(3, 2)
    hashes = [difference_hash(a) for a in (ramp, ramp[:, ::-1], ramp.transpose(1, 0, 2))]
    assert [int(bits.sum()) for bits in hashes] == [64, 0, 64]
    assert np.count_nonzero(hashes[0] != hashes[2]) == 128


def test_the_first_of_several_is_named() -> None:
    a, b = (np.asarray(crisp(seed)) for seed in (0, 1))
    assert near_duplicates([a, b, a, b, a]) == {2: 0, 3: 1, 4: 0}


# Outliers


def test_outliers_are_far_below_the_rest() -> None:
    alike = np.eye(8)[0] + 0.1 * np.random.default_rng(0).standard_normal((6, 8))
    assert outliers(alike) == set()
    stranger = alike.copy()
    stranger[3] = np.eye(8)[5]
    assert outliers(stranger) == {3}


def test_a_small_gap_is_no_outlier() -> None:
    """Five nearly equal pictures have tiny deviations, and one that differs by little more."""
    nearly = np.eye(8)[0] + 1e-3 * np.random.default_rng(1).standard_normal((5, 8))
    nearly[4] += 0.1 * np.eye(8)[1]
    assert outliers(nearly) == set()


def test_another_toy_among_toys_is_an_outlier(tmp_path: Path, toys: list[Path]) -> None:
    folder = shutil.copytree(toys[0], tmp_path / "toy")
    assert found(vet_photos([folder], "toy")) == {}
    shutil.copy(toys[1] / "00.png", folder / "stranger.png")
    vetting = vet_photos([folder], "toy")
    assert found(vetting) == {"stranger.png": ["outlier"]} and vetting.notes == ()


def test_the_toys_encoder_is_not_asked_about_photos(tmp_path: Path) -> None:
    for index in range(5):
        crisp(index, SHAPES, SHAPES).save(tmp_path / f"{index}.png")
    (note,) = vet_photos([tmp_path], "mug").notes
    assert "outliers were not looked for: toybox-dino knows toys alone" in note


def test_an_encoder_that_cannot_be_had_is_told(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(name: str, device: str) -> None:
        raise UserError(f"Encoder {name} is not here.\nChoose another.")

    monkeypatch.setattr("pseudoword.evaluate.load_encoder", refuse)
    for index in range(5):
        crisp(index, SHAPES, SHAPES).save(tmp_path / f"{index}.png")
    vetting = vet_photos([tmp_path], "mug", str(tiny_model))
    (note,) = vetting.notes
    assert "facebook/dinov2-base is not here" in note and "hf download" in note


# The command


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """One picture of each kind."""
    folder = tmp_path / "my photos"
    folder.mkdir()
    for index in range(3):
        crisp(index, 160, 140).save(folder / f"{index}.png")
    crisp(0, 160, 140).save(folder / "again.bmp")
    as_jpeg(crisp(1, 160, 140)).save(folder / "near.jpg")
    crisp(4, 90, 90).save(folder / "tiny.png")
    crisp(5, 160, 160).filter(ImageFilter.GaussianBlur(6)).save(folder / "soft.png")
    (folder / "text.jpg").write_text("no picture")
    (folder / "0.txt").write_text("a mug on a table")
    Image.new("L", (160, 140), 255).save(folder / "1.mask.png")
    return folder


KINDS = {
    "again.bmp": ["duplicate"],
    "near.jpg": ["near duplicate"],
    "soft.png": ["blurred"],
    "text.jpg": ["broken"],
    "tiny.png": ["tiny"],
}


def test_one_line_a_picture(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    assert main(["photos", str(folder), "--class-noun", "mug"]) == 0
    out, error = capsys.readouterr()
    lines = out.splitlines()
    for name, (kind,) in KINDS.items():
        (line,) = (line for line in lines if line.startswith(name))
        assert f"{kind}: " in line
    assert "caption  fine" in lines[0] and "mask     fine" in lines[1]
    assert lines[-2].startswith("8 picture(s) for 128 px: 3 fine, ")
    assert lines[-1].endswith(f"then pseudoword study '{folder}' --class-noun mug")
    assert "text.jpg" in lines[-1]
    assert "without a caption" in error and "without a mask" in error


def test_findings_as_json(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    assert main(["photos", str(folder), "--class-noun", "mug", "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    kinds = {Path(p["file"]).name: [f["kind"] for f in p["findings"]] for p in record["pictures"]}
    assert {name: found for name, found in kinds.items() if found} == KINDS
    first = record["pictures"][0]
    assert (first["width"], first["height"], first["caption"]) == (160, 140, "a {} on a table")
    assert [p["usable"] for p in record["pictures"]].count(False) == 1


def test_the_size_is_the_models(folder: Path, tiny_model: Path) -> None:
    assert vet_photos([folder], "mug", str(tiny_model)).size == 16
    larger = vet_photos([folder], "mug", size=150)
    assert larger.size == 150 and "tiny" in found(larger)["0.png"]


def test_the_size_of_a_hub_model_that_was_fetched_once(
    folder: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cached(repository: str, file: str) -> str:
        assert repository == "stable-diffusion-v1-5/stable-diffusion-v1-5"
        return str(tiny_model / file)

    monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", cached)
    assert vet_photos([folder / "0.png"], "mug", "sd-1.5").size == 16


def test_a_size_that_is_not_known_is_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hub model is not fetched for this."""
    monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", lambda *place: None)
    vetting = vet_photos([folder / "0.png"], "mug", "sd-1.5")
    assert vetting.size == module.USUAL_SIZE
    assert any("--size" in note for note in vetting.notes)


def test_captions_and_masks_that_are_broken_are_told(folder: Path) -> None:
    (folder / "0.txt").write_text("a {broken")
    Image.new("L", (9, 140), 255).save(folder / "1.mask.png")
    vetting = vet_photos([folder], "mug")
    assert any("captions cannot be used" in note and "0.txt" in note for note in vetting.notes)
    (finding,) = vetting.pictures[1].findings
    assert finding.kind == "broken" and "1.mask.png" in finding.text


def test_vetting_agrees_with_the_intake(folder: Path) -> None:
    """What is broken here is refused there, and the rest is taken."""
    from pseudoword.concept import load_concept

    with pytest.raises(UserError, match=r"text\.jpg"):
        load_concept([folder], "mug", 128)
    (folder / "text.jpg").unlink()
    usable = {p.photo.sha256 for p in vet_photos([folder], "mug").pictures if p.photo}
    assert {photo.sha256 for photo in load_concept([folder], "mug", 128).photos} == usable


@pytest.mark.parametrize("files", [["text.jpg"], []])
def test_nothing_that_can_be_used(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, files: list[str]
) -> None:
    for name in files:
        (tmp_path / name).write_text("no picture")
    assert main(["photos", str(tmp_path), "--class-noun", "mug"]) == 2
    out, error = capsys.readouterr()
    assert out == "" and error.startswith("error: ") and len(error.splitlines()) <= 2
    assert all(name in error for name in files)


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["--class-noun", "mug"], "PHOTOS are missing"),
        (["a.png"], "--class-noun is missing"),
        (["a.png", "--class-noun", "mug", "--model", "magic"], "magic"),
        (["a.png", "--class-noun", "mug", "--size", "0"], "--size"),
        (["a.png", "--class-noun", "mug"], "a.png does not exist"),
    ],
)
def test_mistakes_are_told(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    argv: list[str],
    says: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["photos", *argv]) == 2
    assert says in capsys.readouterr().err
