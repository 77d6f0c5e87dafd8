"""Files of tensors that tell when they are not as they were written."""

import random
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.numpy import save_file as save_arrays
from safetensors.torch import save_file

from pseudoword.checksum import DamagedError, check_seal, save_sealed

ABOUT = {"method": "lora", "settings": {"rank": 4, "words": 'a "b" \\ ü'}}


@pytest.fixture()
def sealed(tmp_path: Path) -> Path:
    path = tmp_path / "a.safetensors"
    tensors = {"a": torch.arange(12.0).reshape(3, 4), "b": torch.ones(2, dtype=torch.bfloat16)}
    save_sealed(path, tensors, ABOUT, save_file)
    return path


def test_what_was_noted_comes_back_with_the_tensors(sealed: Path) -> None:
    about = check_seal(sealed)
    assert re.fullmatch(r"pseudoword-sha256-[0-9a-f]{64}", about.pop("seal"))
    assert about == ABOUT
    with safe_open(sealed, "pt") as file:
        assert torch.equal(file.get_tensor("a"), torch.arange(12.0).reshape(3, 4))
    assert [path.name for path in sealed.parent.iterdir()] == [sealed.name]


def test_every_flipped_bit_is_found(sealed: Path) -> None:
    whole = sealed.read_bytes()
    for place in range(len(whole)):
        spoilt = bytearray(whole)
        spoilt[place] ^= 1 << random.Random(place).randrange(8)
        sealed.write_bytes(spoilt)
        with pytest.raises(DamagedError, match="remove it and run the same command again"):
            check_seal(sealed)


def test_every_other_length_is_found(sealed: Path) -> None:
    whole = sealed.read_bytes()
    for length in range(len(whole)):
        sealed.write_bytes(whole[:length])
        with pytest.raises(DamagedError):
            check_seal(sealed)
    sealed.write_bytes(whole + b"\0")
    with pytest.raises(DamagedError):
        check_seal(sealed)


def test_a_file_without_a_checksum_is_told_so(tmp_path: Path) -> None:
    save_arrays({"a": np.ones(3)}, tmp_path / "b.safetensors", {"pseudoword": "{}"})
    with pytest.raises(DamagedError, match="no checksum"):
        check_seal(tmp_path / "b.safetensors")


@pytest.mark.parametrize("wanted", [{"noted": ["of", "method"]}, {"tensors": ["a", "latents"]}])
def test_a_file_of_another_kind_is_told_so(wanted: dict[str, list[str]], sealed: Path) -> None:
    assert ABOUT.items() <= check_seal(sealed, ["method", "settings"], ["a", "b"]).items()
    with pytest.raises(DamagedError, match=r"another kind \(it lacks (of|latents)\)"):
        check_seal(sealed, **wanted)


def test_equal_content_gives_equal_files(sealed: Path, tmp_path: Path) -> None:
    with safe_open(sealed, "pt") as file:
        tensors = {key: file.get_tensor(key) for key in file.keys()}
    save_sealed(tmp_path / "again.safetensors", tensors, ABOUT, save_file)
    assert (tmp_path / "again.safetensors").read_bytes() == sealed.read_bytes()
