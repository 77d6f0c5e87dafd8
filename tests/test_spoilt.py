"""Files that fuzzing found to be told badly, or not at all."""

import json
import zipfile
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from foreign_files import Chance, kohya_layers, peft_folder, put, write_kohya
from PIL import Image
from safetensors.torch import load_file, save_file
from tiny import load_tiny

from pseudoword.artefact import load_run
from pseudoword.cli_arguments import read_settings
from pseudoword.errors import UserError
from pseudoword.families.detect import detect
from pseudoword.families.layouts import DENOISER
from pseudoword.foreign.embedding import pickled_embedding
from pseudoword.pictures import STRIP, picture_sha256, read_picture
from pseudoword.runs import hash_bytes, read_choice, read_json, write_json
from pseudoword.settings import TrainSettings, read_config
from pseudoword.single import claim_folder

BOMB = "b0: &b0 [x, x]\n" + "".join(
    f"b{i}: &b{i} [{', '.join([f'*b{i - 1}'] * 9)}]\n" for i in range(1, 9)
)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (BOMB, "stand for too much"),
        ("a: &a [*a]\n", "stand for too much"),
        ("[" * 3000, "nested too deeply"),
        ("a: !!timestamp x\n", "not YAML"),
        ("a: !!float ''\n", "not YAML"),
        ("a: !!int x\n", "not YAML"),
        ("a: 2001-99-99\n", "not YAML"),
        ("? {a: b}\n: c\n", "not YAML"),
        ("a: " + "9" * 5000, "not YAML"),
        ("a: !!python/object/apply:os.getcwd []\n", "not YAML"),
    ],
)
def test_strange_yaml_is_told(text: str, says: str, tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text(text)
    with pytest.raises(UserError, match=says) as caught:
        read_config(tmp_path / "c.yaml")
    assert str(caught.value).count("\n") <= 1 and "c.yaml" in str(caught.value)


def test_aliases_that_stand_for_little_are_read(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("a: &a {steps: 5}\nb: *a\n")
    assert read_config(tmp_path / "c.yaml") == {"a": {"steps": 5}, "b": {"steps": 5}}


def test_pictures_are_hashed_as_a_whole() -> None:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (2 * STRIP + 3, 5, 3), dtype=np.uint8)
    whole = hash_bytes(f"5x{2 * STRIP + 3}".encode(), pixels.tobytes())
    assert picture_sha256(Image.fromarray(pixels)) == whole


@pytest.mark.parametrize("mode", ["I;16", "I", "F"])
def test_deep_grey_is_scaled_alike_in_all_strips(mode: str, tmp_path: Path) -> None:
    rows = np.linspace(0, 1, 2 * STRIP + 40)[:, None].repeat(40, axis=1)
    types = {"I;16": np.uint16, "I": np.int32, "F": np.float32}
    values = rows if mode == "F" else rows * 65535
    Image.fromarray(values.astype(types[mode])).save(tmp_path / "a.tif")
    picture, _ = read_picture(tmp_path / "a.tif")
    assert np.abs(np.asarray(picture)[..., 0] - rows * 255).max() <= 1


def test_transparency_is_laid_on_white_to_the_bit(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (40, 40, 4), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    picture, _ = read_picture(tmp_path / "a.png")
    white = Image.new("RGB", (40, 40), "white")
    white.paste(Image.fromarray(pixels[..., :3]), mask=Image.fromarray(pixels[..., 3]))
    assert np.array_equal(np.asarray(picture), np.asarray(white))


STRANGE: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "wide": lambda rows: rows.half()[:1, :1].expand(10**6, 10**7),
    "complex": lambda rows: rows.to(torch.complex64),
    "whole": lambda rows: rows.to(torch.int64),
    "sparse": lambda rows: rows.to_sparse(),
    "meta": lambda rows: rows.to("meta"),
    "none": lambda rows: rows[:0],
}


@pytest.mark.parametrize("kind", STRANGE)
def test_strange_tensors_are_no_embeddings(kind: str, tiny_model: Path, tmp_path: Path) -> None:
    torch.save({"*": STRANGE[kind](Chance()(3, 24))}, tmp_path / "a.pt")
    with pytest.raises(UserError, match=r"a\.pt"):
        put(tiny_model, tmp_path / "a.pt", "<a>")


def test_a_tensor_with_a_side_beyond_counting_is_told(tiny_model: Path, tmp_path: Path) -> None:
    entry = {"dtype": "F32", "shape": [0, 2**63], "data_offsets": [0, 0]}
    header = json.dumps({"emb_params": entry}).encode()
    (tmp_path / "a.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)
    with pytest.raises(UserError, match=r"a\.safetensors cannot be read") as caught:
        put(tiny_model, tmp_path / "a.safetensors", "<a>")
    assert "\n" not in str(caught.value)


def test_a_wrong_setting_names_the_file_that_it_may_be_from(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("class_noun: mug\nseed: x\n")
    with pytest.raises(UserError, match=r"c\.yaml and options: seed"):
        read_settings(Namespace(config=tmp_path / "c.yaml"), TrainSettings)


def test_a_zip_that_unpacks_to_gigabytes_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pseudoword.foreign.files.MOST_PICKLE", 2**16)
    with zipfile.ZipFile(tmp_path / "a.pt", "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("archive/data/0", bytes(2**20))
    with pytest.raises(UserError, match="unpacks to"):
        pickled_embedding(tmp_path / "a.pt")


def test_factors_of_one_dimension_are_told(tiny_model: Path, tmp_path: Path) -> None:
    named = dict(list(kohya_layers(load_tiny(tiny_model)).items())[:1])
    tensors = load_file(write_kohya(tmp_path / "m.safetensors", named))
    for end in ("lora_down.weight", "lora_up.weight"):
        key = next(k for k in tensors if k.endswith(end))
        save_file(tensors | {key: tensors[key].flatten()}, tmp_path / "flat.safetensors")
        with pytest.raises(UserError, match="a factor"):
            put(tiny_model, tmp_path / "flat.safetensors")


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("oft", {"num_cayley_neumann_terms": 2**31}),
        ("lora", {"r": 10**9}),
        ("lora", {"rank_pattern": {"to_q": 10**9}}),
        ("lora", {"peft_type": 3}),
        ("lora", {"bias": 1}),
    ],
)
def test_configurations_that_no_adapter_has(
    kind: str, change: dict[str, object], tiny_model: Path, tmp_path: Path
) -> None:
    folder = peft_folder(load_tiny(tiny_model), kind, tmp_path / "a")
    file = folder / "adapter_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | change))
    with pytest.raises(UserError, match=str(folder)):
        put(tiny_model, folder)


def test_shapes_of_another_rank_are_no_known_model() -> None:
    with pytest.raises(UserError):
        detect({f"{DENOISER}input_blocks.0.0.weight": (320,)})


@pytest.mark.parametrize("value", [[], {}, {"step": "2", "artefact": "a", "strength": 1.0}, 3])
def test_a_choice_of_another_form_is_told(value: object, tmp_path: Path) -> None:
    (tmp_path / "chosen.json").write_text(json.dumps(value))
    with pytest.raises(UserError, match=r"chosen\.json"):
        read_choice(tmp_path)


@pytest.mark.parametrize(
    "change", [{"loading": {"t5": 7}}, {"method_file": 3}, {"snapshots": 1}, {"steps": None}]
)
def test_a_run_of_another_form_is_told(
    change: dict[str, object], tiny_run: Callable[..., Path], tmp_path: Path
) -> None:
    write_json(tmp_path / "run.json", read_json(tiny_run("lora") / "run.json") | change)
    with pytest.raises(UserError, match=r"run\.json"):
        load_run(tmp_path, torch.device("cpu"))


@pytest.mark.parametrize("text", ["[" * 50_000, '{"a": 1' + "0" * 5000 + "}"])
def test_json_beyond_reason_is_told(text: str, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(UserError, match=r"a\.json"):
        read_json(tmp_path / "a.json")


def test_a_folder_whose_identity_is_lost_is_known_by_its_hash(tmp_path: Path) -> None:
    work: dict[str, object] = {"settings": {"steps": 2}, "photos": ["a"]}
    claim_folder(tmp_path, work)
    (tmp_path / "log.jsonl").write_text("")
    identity = tmp_path / "identity.json"
    whole = identity.read_bytes()
    identity.write_bytes(whole.replace(b'"steps": 2', b'"steps": 3'))
    with pytest.raises(UserError, match=r"identity\.json .*damaged.*\nremove it and run the same"):
        claim_folder(tmp_path, work)
    identity.unlink()
    for other in ({}, {**work, "photos": ["b"]}):
        with pytest.raises(UserError, match="holds other files"):
            claim_folder(tmp_path, other)
    claim_folder(tmp_path, work)
    assert identity.read_bytes() == whole
    # The hash itself is written again from what is whole.
    (tmp_path / "identity.sha256").write_bytes(b"")
    claim_folder(tmp_path, work)
    identity.unlink()
    claim_folder(tmp_path, work)
    with pytest.raises(UserError, match="belongs to work with other settings"):
        claim_folder(tmp_path, {})
    # Without the hash nothing would know the folder, once identity.json were removed.
    (tmp_path / "identity.sha256").unlink()
    identity.write_bytes(whole.replace(b'"steps": 2', b'"steps": 3'))
    with pytest.raises(UserError, match=r"identity\.json .*damaged.*\n.*another --out") as caught:
        claim_folder(tmp_path, work)
    assert "remove it" not in str(caught.value)


def test_sealed_json_that_was_changed_is_told(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"value": 0.5, "rows": (1, 2)}, sealed=True)
    assert read_json(tmp_path / "a.json") == {"value": 0.5, "rows": [1, 2]}
    text = (tmp_path / "a.json").read_text()
    for changed in (text.replace("0.5", "0.6"), text.replace("0.5", "NaN")):
        (tmp_path / "a.json").write_text(changed)
        with pytest.raises(UserError, match=r"a\.json"):
            read_json(tmp_path / "a.json")
