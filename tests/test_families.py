"""The table of models: every row names things that exist."""

import errno
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import huggingface_hub
import numpy as np
import pytest
import torch
from diffusers import DiffusionPipeline
from safetensors.numpy import save_file
from tiny import make_photos

from pseudoword.artefact import load_run
from pseudoword.disk import DiskError
from pseudoword.errors import UserError
from pseudoword.families import MODELS, file_key, known_fingerprint, load_model, loading, model_row
from pseudoword.families.model import Model
from pseudoword.families.single_file import write_single_file
from pseudoword.generate import Request, generate, initial_noise, make_sampler
from pseudoword.methods import METHODS, make_method
from pseudoword.metrics.encoders import ENCODERS
from pseudoword.prompts import SUITES
from pseudoword.settings import GenerateSettings, LoadSettings
from pseudoword.train import train


@pytest.mark.parametrize("name", MODELS)
def test_a_model_names_its_encoders_and_suite(name: str) -> None:
    row = MODELS[name]
    assert set(row.encoders) == {"clip", "dino", "inception"}
    assert set(row.encoders.values()) <= set(ENCODERS)
    assert ENCODERS[row.encoders["clip"]].role == "clip"
    assert row.suite in SUITES


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("method", METHODS)
def test_every_method_has_settings_for_every_model(name: str, method: str) -> None:
    assert make_method(method, MODELS[name].preset).settings.steps > 0


@pytest.fixture
def model_copy(tiny_model: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_model, tmp_path / "model"))


@pytest.mark.parametrize("part", ["unet", "vae", "text_encoder", "tokenizer", "scheduler"])
def test_a_model_that_lacks_a_part_is_told(part: str, model_copy: Path) -> None:
    shutil.rmtree(model_copy / part)
    with pytest.raises(UserError, match="is not whole") as caught:
        load_model(str(model_copy), torch.device("cpu"))
    assert str(model_copy) in str(caught.value) and str(caught.value).count("\n") <= 1


def test_the_fingerprint_covers_configurations(model_copy: Path) -> None:
    before = load_model(str(model_copy), torch.device("cpu")).fingerprint
    file = model_copy / "scheduler" / "scheduler_config.json"
    config = json.loads(file.read_text())
    file.write_text(json.dumps(config | {"beta_end": 0.013}))
    assert load_model(str(model_copy), torch.device("cpu")).fingerprint != before


def test_a_model_folder_is_known_from_everywhere(
    model_copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(model_copy.parent)
    assert load_model("model", torch.device("cpu")).name == str(model_copy)


FAMILIES = {
    "tiny_model": "stable-diffusion",
    "tiny_sd2_model": "stable-diffusion",
    "tiny_xl_model": "stable-diffusion-xl",
    "tiny_sd3_model": "stable-diffusion-3",
    "tiny_sd35_t5_model": "stable-diffusion-3",
}
CPU = torch.device("cpu")


def load(folder: Path) -> Model:
    return load_model(str(folder), CPU, LoadSettings(t5="t5" in folder.name))


@pytest.mark.parametrize("fixture", FAMILIES)
def test_pictures_are_those_of_the_familys_pipeline(
    fixture: str, request: pytest.FixtureRequest
) -> None:
    """The pipeline loads the folder by itself, so what differs in loading shows too."""
    folder = request.getfixturevalue(fixture)
    model, settings = load(folder), GenerateSettings(sampling_steps=4)
    assert model.family == FAMILIES[fixture] == model_row(str(folder)).preset
    requests = [Request("a photo of a mug in the snow", 1), Request("a red ball", 2)]
    own = np.stack(generate(model, requests, settings)).astype(int)
    absent = {"text_encoder_3": None, "tokenizer_3": None} if fixture == "tiny_sd3_model" else {}
    pipeline = DiffusionPipeline.from_pretrained(folder, local_files_only=True, **absent)
    pipeline.set_progress_bar_config(disable=True)
    pipeline.scheduler = make_sampler(model, settings)
    drawn = pipeline(
        [request.prompt for request in requests],
        latents=initial_noise(model, [1, 2]),
        height=model.resolution,
        width=model.resolution,
        num_inference_steps=settings.sampling_steps,
        guidance_scale=settings.guidance_scale,
        output_type="np",
    ).images
    assert np.abs((drawn * 255).round().astype(int) - own).max() <= 1
    assert not np.array_equal(own[0], own[1])


def test_sizes_tell_xl_of_crops_and_nothing_to_others(
    tiny_xl_model: Path, tiny_model: Path
) -> None:
    noise = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    times = torch.tensor([500, 500])
    whole = torch.tensor([[16, 16, 0, 0, 16, 16]]).expand(2, 6)
    cropped = torch.tensor([[64, 48, 0, 8, 16, 16]]).expand(2, 6)
    for folder, differs in ((tiny_xl_model, True), (tiny_model, False)):
        model = load(folder)
        with torch.no_grad():
            text = model.encode_prompts(["a mug", "a ball"])
            plain, same, other = (
                model.predict(noise, times, text, sizes) for sizes in (None, whole, cropped)
            )
        assert torch.equal(plain, same) and torch.equal(plain, other) != differs


def test_without_t5_its_place_is_zero(tiny_sd35_t5_model: Path) -> None:
    with_t5 = load(tiny_sd35_t5_model)
    without = load_model(str(tiny_sd35_t5_model), CPU)
    assert [len(m.text_encoders) for m in (with_t5, without)] == [3, 2]
    assert with_t5.fingerprint != without.fingerprint
    with torch.no_grad():
        long, short = (m.encode_prompts(["a red mug"]).states for m in (with_t5, without))
    clip = with_t5.tokenizers[0].model_max_length
    assert torch.equal(long[:, :clip], short[:, :clip])
    assert not short[:, clip:].any() and long[:, clip:].any()


def test_t5_that_is_not_there_is_told(tiny_sd3_model: Path) -> None:
    with pytest.raises(UserError, match="leave out --t5"):
        load_model(str(tiny_sd3_model), CPU, LoadSettings(t5=True))


def test_a_sampler_that_does_not_fit_is_told(tiny_sd3_model: Path) -> None:
    with pytest.raises(UserError, match="use auto, euler"):
        make_sampler(load(tiny_sd3_model), GenerateSettings(sampler="ddim"))


def test_other_families_are_told(model_copy: Path) -> None:
    index = json.loads((model_copy / "model_index.json").read_text())
    (model_copy / "model_index.json").write_text(
        json.dumps(index | {"_class_name": "FluxPipeline"})
    )
    with pytest.raises(UserError, match="is a FluxPipeline: only"):
        load_model(str(model_copy), CPU)


def test_inpainting_models_are_told(model_copy: Path) -> None:
    from diffusers import UNet2DConditionModel

    unet = UNet2DConditionModel.from_pretrained(model_copy, subfolder="unet")
    UNet2DConditionModel.from_config(unet.config, in_channels=9).save_pretrained(
        model_copy / "unet"
    )
    with pytest.raises(UserError, match="inpainting"):
        load_model(str(model_copy), CPU)


class _Answer:
    """What the hub's errors want to know of an answer."""

    headers: ClassVar[dict[str, str]] = {}
    request = None
    status_code = 403


@pytest.mark.parametrize(
    ("error", "message"),
    [
        ("GatedRepoError", "is gated. Accept its licence"),
        ("RepositoryNotFoundError", "there is no public repository"),
        ("LocalEntryNotFoundError", "not on this machine and cannot be fetched"),
    ],
)
def test_hub_troubles_are_told_apart(
    error: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: object, **options: object) -> None:
        kind = getattr(huggingface_hub.errors, error)
        raise kind("no", response=_Answer()) if error != "LocalEntryNotFoundError" else kind("no")

    for ask in ("hf_hub_download", "snapshot_download"):
        monkeypatch.setattr(huggingface_hub, ask, fail)
    loading.fetch_index.cache_clear()
    with pytest.raises(UserError, match=message) as caught:
        load_model("sd-3.5-medium", CPU)
    assert "stabilityai/stable-diffusion-3.5-medium" in str(caught.value)
    assert str(caught.value).count("\n") <= 1


def test_a_disk_that_fills_up_meanwhile_is_told_as_that(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object, **options: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", fail)
    loading.fetch_index.cache_clear()
    with pytest.raises(DiskError, match="hub cannot be written: the disk is full"):
        load_model("sd-3.5-medium", CPU)


def test_a_model_of_the_hub_is_known_by_its_copy_here(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[bool] = []

    def snapshot(source: str, local_files_only: bool) -> str:
        asked.append(local_files_only)
        if len(asked) > 1:
            raise huggingface_hub.errors.LocalEntryNotFoundError("not here")
        return str(tiny_model)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot)
    expected = load_model(str(tiny_model), CPU).fingerprint
    assert known_fingerprint("sd-1.5", LoadSettings()) == expected
    assert known_fingerprint("sd-1.5", LoadSettings()) is None and all(asked)


def test_a_single_file_is_known_by_its_content_and_configuration(tmp_path: Path) -> None:
    file, folder = tmp_path / "model.safetensors", tmp_path / "layout"
    (folder / "unet").mkdir(parents=True)
    save_file({"a": np.zeros(2)}, file)
    (folder / "unet" / "config.json").write_text("{}")
    plain, own = LoadSettings(), LoadSettings(config_folder=str(folder))
    first = [file_key(str(file), one) for one in (plain, own)]
    assert None not in first and first[0] != first[1]
    (folder / "model_index.json").write_text("{}")
    second = file_key(str(file), own)
    assert second != first[1]
    (folder / "unet" / "config.json").write_text("{ }")
    assert file_key(str(file), own) != second
    assert file_key(str(file), plain) == first[0] and file_key(str(file), own) != first[1]
    save_file({"a": np.ones(3)}, file)
    assert file_key(str(file), plain) != first[0]
    assert file_key("toybox", plain) is None


@pytest.mark.parametrize(
    ("name", "message"),
    [("no-such", "is not known"), ("model.ckpt", "no .safetensors file"), ("a/b/c", "not known")],
)
def test_names_that_cannot_be_models_are_told(
    name: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model.ckpt").write_bytes(b"pickle")
    with pytest.raises(UserError, match=message):
        load_model(name, CPU)


@pytest.mark.parametrize("fixture", FAMILIES)
def test_a_single_file_draws_as_its_folder(
    fixture: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    folder = request.getfixturevalue(fixture)
    model = load(folder)
    path = tmp_path / "model.safetensors"
    write_single_file(path, model.denoiser, model.autoencoder, model.text_encoders)
    options = model.loading.model_copy(update={"config_folder": str(folder)})
    single = load_model(str(path), CPU, options)
    assert single.family == model.family == model_row(str(path)).preset
    requests, settings = [Request("a red mug", 1)], GenerateSettings(sampling_steps=2)
    assert np.array_equal(generate(single, requests, settings), generate(model, requests, settings))


def test_a_single_file_of_unpublished_size_needs_its_configuration(
    tiny_model: Path, tmp_path: Path
) -> None:
    model = load(tiny_model)
    path = tmp_path / "model.safetensors"
    write_single_file(path, model.denoiser, model.autoencoder, model.text_encoders)
    with pytest.raises(UserError, match="--config-folder"):
        load_model(str(path), CPU)


def test_a_lora_is_no_model(tiny_run: Callable[..., Path]) -> None:
    with pytest.raises(UserError) as caught:
        load_model(str(tiny_run("lora") / "artefact.safetensors"), CPU)
    assert "artefact.safetensors" in str(caught.value) and str(caught.value).count("\n") <= 1


def test_a_single_file_is_the_same_model_each_time(tiny_model: Path, tmp_path: Path) -> None:
    """A run of it is drawn with after another loading."""
    model = load(tiny_model)
    path = tmp_path / "model.safetensors"
    write_single_file(path, model.denoiser, model.autoencoder, model.text_encoders)
    options = LoadSettings(config_folder=str(tiny_model))
    first, again = (load_model(str(path), CPU, options) for _ in range(2))
    assert first.fingerprint == again.fingerprint != model.fingerprint
    method = make_method("lora", "stable-diffusion", {"steps": 1, "rank": 2})
    train(first, method, "mug", make_photos(), tmp_path / "run", seed=0)
    assert load_run(tmp_path / "run", CPU).model.fingerprint == again.fingerprint


def test_what_the_index_tells_counts(tiny_xl_model: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(tiny_xl_model, tmp_path / "model"))
    before = load(copy).fingerprint
    index = json.loads((copy / "model_index.json").read_text())
    (copy / "model_index.json").write_text(
        json.dumps(index | {"force_zeros_for_empty_prompt": False})
    )
    assert load(copy).fingerprint != before


def test_a_single_file_tells_of_velocity(tiny_xl_model: Path, tmp_path: Path) -> None:
    model = load(tiny_xl_model)
    path = tmp_path / "model.safetensors"
    velocity = {**model.scheduler_config, "prediction_type": "v_prediction"}
    parts = (model.denoiser, model.autoencoder, model.text_encoders)
    write_single_file(path, *parts, scheduler=velocity)
    single = load_model(str(path), CPU, LoadSettings(config_folder=str(tiny_xl_model)))
    assert single.scheduler_config["prediction_type"] == "v_prediction"
    assert any("v_prediction" in note for note in single.notes)


@pytest.mark.parametrize(
    ("options", "message"),
    [(LoadSettings(t5=True), "leave out --t5"), (LoadSettings(config_folder="x"), "single file")],
)
def test_options_that_would_do_nothing_are_told(
    options: LoadSettings, message: str, tiny_model: Path
) -> None:
    with pytest.raises(UserError, match=message):
        load_model(str(tiny_model), CPU, options)
