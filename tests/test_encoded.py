"""Photos' latents are encoded once, and what was kept is what encoding gives."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny import load_tiny, make_photo, make_photos

from pseudoword.encoded import encode_photos
from pseudoword.families.model import Model
from pseudoword.progress import Silent


class Notes(Silent):
    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


@pytest.fixture
def encodings(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows with each picture that a model encodes."""
    calls: list[int] = []
    encode = Model.encode_pixels

    def counted(self: Model, pixels: torch.Tensor) -> torch.Tensor:
        calls.append(len(pixels))
        return encode(self, pixels)

    monkeypatch.setattr(Model, "encode_pixels", counted)
    return calls


def latents(model: Model, photos: Any, cache: Path | None, notes: Any = None) -> torch.Tensor:
    encoded = encode_photos(model, photos, cache, notes)
    return torch.stack([view.latents for views in encoded.photos for view in views])


def test_what_is_kept_is_not_encoded_again(
    tiny_model: Path, tmp_path: Path, encodings: list[int]
) -> None:
    model, photos = load_tiny(tiny_model), make_photos(3)
    expected = latents(model, photos, None)
    first = encode_photos(model, photos, tmp_path)
    assert len(encodings) == 6
    again = encode_photos(model, photos, tmp_path)
    assert len(encodings) == 6 and again.seconds == first.seconds > 0
    assert torch.equal(latents(model, photos, tmp_path), expected)


def test_a_killed_one_goes_on_at_the_view_it_was_at(
    tiny_model: Path, tmp_path: Path, encodings: list[int]
) -> None:
    model, photos = load_tiny(tiny_model), make_photos(3)
    encode_photos(model, photos[:2], tmp_path)
    expected = latents(model, photos, None)
    encodings.clear()
    assert torch.equal(latents(model, photos, tmp_path), expected)
    assert len(encodings) == 1


def test_other_pixels_and_other_models_have_files_of_their_own(
    tiny_model: Path, tmp_path: Path, encodings: list[int]
) -> None:
    model, (photo,) = load_tiny(tiny_model), make_photos(1)
    encode_photos(model, [photo], tmp_path)
    changed = photo.pixels.copy()
    changed[0, 0, 0] ^= 1
    encode_photos(model, [make_photo(changed)], tmp_path)
    other = load_tiny(tiny_model)
    other.fingerprint = "another"
    encode_photos(other, [photo], tmp_path)
    assert len(encodings) == len(list(tmp_path.iterdir())) == 3


def test_a_damaged_file_is_told_and_made_anew(tiny_model: Path, tmp_path: Path) -> None:
    model, photos, told = load_tiny(tiny_model), make_photos(1), Notes()
    expected = latents(model, photos, tmp_path)
    (file,) = tmp_path.iterdir()
    spoilt = np.frombuffer(file.read_bytes(), np.uint8).copy()
    spoilt[-3] ^= 16
    file.write_bytes(spoilt.tobytes())
    assert torch.equal(latents(model, photos, tmp_path, told), expected)
    (note,) = told.notes
    assert str(file) in note and "encoded again" in note
    assert torch.equal(latents(model, photos, tmp_path, told), expected) and len(told.notes) == 1
