"""Too little memory: the same work in smaller parts, and the user is told."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import UNet2DConditionModel
from safetensors.torch import load_file
from tiny import NOUN, OPTIONS, load_tiny, make_photo, make_photos

from pseudoword.errors import UserError
from pseudoword.families import load_model
from pseudoword.families.model import Model
from pseudoword.generate import Request, drawing_portion, generate
from pseudoword.kept import Kept
from pseudoword.memory import Portion
from pseudoword.methods import make_method
from pseudoword.settings import GenerateSettings, ObjectiveSettings
from pseudoword.train import ARTEFACT, train
from pseudoword.views import View


def holds(folder: Path, most: int) -> Model:
    """A model on a device whose memory holds `most` samples."""
    model = load_tiny(folder)
    predict = model.predict

    def limited(latents: torch.Tensor, *rest: Any) -> torch.Tensor:
        if len(latents) > most:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return predict(latents, *rest)

    model.predict = limited  # type: ignore[method-assign]
    return model


def teach(model: Model, name: str, folder: Path, note: Callable[[str], None]) -> dict[str, Any]:
    """A training with class pictures, masks and weights of the loss; returns run.json."""
    generator = torch.Generator().manual_seed(3)
    prior = Kept(torch.randn(2, *model.latent_shape, generator=generator), 0.0)
    plain, masked, _ = make_photos()
    half = np.ones(masked.pixels.shape[:2], np.float32)
    half[:8] = 0.0
    photos = [
        plain,
        make_photo(masked.pixels, views=(View(masked.pixels, half, (16, 16), (0, 0)),)),
    ]
    options = {**OPTIONS[name], "steps": 5, "batch_size": 3, "prior_weight": 0.5}
    method = make_method(name, "stable-diffusion", options)
    objective = ObjectiveSettings(min_snr_gamma=5.0)
    train(model, method, NOUN, photos, folder, seed=0, prior=prior, objective=objective, note=note)
    run: dict[str, Any] = json.loads((folder / "run.json").read_text())
    return run


def assert_learnt_the_same(folder: Path) -> None:
    """Of the trainings in whole/ and split/, but for rounding."""
    first, second = (load_file(folder / name / ARTEFACT) for name in ("whole", "split"))
    assert first.keys() == second.keys()
    for key, value in first.items():
        torch.testing.assert_close(second[key], value, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", ["textual-inversion", "lora"])
@pytest.mark.parametrize(("most", "parts"), [(4, 3), (1, 1)])
def test_a_step_in_parts_learns_the_same(
    name: str, most: int, parts: int, tiny_model: Path, tmp_path: Path
) -> None:
    notes: list[str] = []
    whole = teach(load_tiny(tiny_model), name, tmp_path / "whole", notes.append)
    assert whole["compute"]["samples_at_once"] is None and not notes
    split = teach(holds(tiny_model, most), name, tmp_path / "split", notes.append)
    assert split["compute"]["samples_at_once"] == parts
    (note,) = notes
    assert "6 samples do not fit" in note and f"{parts} are computed at once" in note
    assert_learnt_the_same(tmp_path)
    lines = [(tmp_path / f / "log.jsonl").read_text() for f in ("whole", "split")]
    losses = [json.loads(text)["loss"] for text in lines]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


@pytest.mark.parametrize("name", ["textual-inversion", "lora"])
def test_a_part_that_fails_after_others_counts_none_of_them_twice(
    name: str, tiny_model: Path, tmp_path: Path
) -> None:
    model = holds(tiny_model, 4)
    limited, calls = model.predict, []

    def fails_once(latents: torch.Tensor, *rest: Any) -> torch.Tensor:
        calls.append(len(latents))
        if calls == [6, 3, 3]:  # the first three samples have left their gradients already
            raise torch.OutOfMemoryError("CUDA out of memory")
        return limited(latents, *rest)

    model.predict = fails_once  # type: ignore[method-assign]
    teach(load_tiny(tiny_model), name, tmp_path / "whole", print)
    split = teach(model, name, tmp_path / "split", lambda text: None)
    assert split["compute"]["samples_at_once"] == 2
    assert_learnt_the_same(tmp_path)


def test_a_sample_that_does_not_fit_is_told_with_remedies(tiny_model: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        teach(holds(tiny_model, 0), "lora", tmp_path, lambda text: None)
    told = str(caught.value)
    assert "LoRA, seed 0" in told and "not even one sample" in told
    assert "--gradient-checkpointing" in told and "--quantise nf4" in told
    assert told.count("\n") == 1


def test_pictures_in_smaller_batches_are_the_same(tiny_model: Path) -> None:
    settings = GenerateSettings(sampling_steps=2, batch_size=5)
    requests = [Request("a photo of a mug", seed) for seed in range(7)]
    whole = generate(load_tiny(tiny_model), requests, settings)
    notes: list[str] = []
    # With guidance, a picture is two samples of the denoiser.
    portion = drawing_portion("pictures", notes.append)
    split = generate(holds(tiny_model, 4), requests, settings, portion=portion)
    assert len(split) == len(whole) == 7
    for one, other in zip(whole, split, strict=True):
        assert np.abs(one.astype(int) - other.astype(int)).max() <= 1
    (note,) = notes
    assert "5 samples do not fit" in note and "2 are computed at once" in note


def test_one_picture_too_many_is_told(tiny_model: Path) -> None:
    requests = [Request("a photo of a mug", 0)]
    with pytest.raises(UserError, match="--offload"):
        generate(holds(tiny_model, 1), requests, GenerateSettings(sampling_steps=2))


LACKING = [
    (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"), "GPU"),
    (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate`"), "GPU"),
    (RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"), "GPU"),
    (RuntimeError("CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED"), "GPU"),
    (RuntimeError("CUDA error: out of memory"), "GPU"),
    (RuntimeError("MPS backend out of memory (MPS allocated: 9 GB)"), "GPU"),
    (RuntimeError("std::bad_alloc"), "machine"),
    (MemoryError(), "machine"),
]


@pytest.mark.parametrize(("error", "whose"), LACKING)
def test_every_lack_of_memory_is_known(error: Exception, whose: str) -> None:
    notes: list[str] = []

    def work(most: int) -> int:
        if most > 1:
            raise error
        return most

    assert Portion("work", "", notes.append).run(work, 4) == 1
    assert len(notes) == 1 and whose in notes[0]


def test_what_a_cpu_cannot_hold_is_known() -> None:
    """As torch itself tells it: no machine has 4 EiB."""
    with pytest.raises(UserError, match="not even one sample fits into the memory of this machine"):
        Portion("work", "", print).run(lambda most: torch.empty(2**62, dtype=torch.int8), 4)


@pytest.mark.parametrize(
    "text", ["CUDA error: device-side assert", "CUDNN_STATUS_EXECUTION_FAILED", "out of range"]
)
def test_other_errors_are_no_lack_of_memory(text: str) -> None:
    def broken(most: int) -> None:
        raise RuntimeError(text)

    with pytest.raises(RuntimeError, match=text):
        Portion("work", "", print).run(broken, 4)


def test_a_model_that_finds_no_memory_is_not_called_broken(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: 9 bytes")

    monkeypatch.setattr(UNet2DConditionModel, "from_pretrained", fail)
    with pytest.raises(RuntimeError, match="allocate"):
        load_model(str(tiny_model), torch.device("cpu"))
