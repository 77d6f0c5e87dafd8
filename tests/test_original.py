"""The original layout: complete and bijective, and read by diffusers as it reads the originals."""

from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import pytest
import torch
from diffusers.loaders import single_file_utils as reference
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from tiny_families import draw
from torch import Tensor

from pseudoword.errors import UserError
from pseudoword.families import MODELS
from pseudoword.families.layouts import HOMES
from pseudoword.families.original import from_original, original_module, to_original
from pseudoword.families.single_file import (
    load_single_file,
    module_config,
    write_single_file,
)

FOLDERS = {
    "tiny_epsilon_model": "StableDiffusionPipeline",
    "tiny_sd2_model": "StableDiffusionPipeline",
    "tiny_xl_model": "StableDiffusionXLPipeline",
    "tiny_sd3_model": "StableDiffusion3Pipeline",
    "tiny_sd35_t5_model": "StableDiffusion3Pipeline",
    "toybox": "StableDiffusionPipeline",
}
FAMILIES = dict(zip(FOLDERS, ("sd1", "sd2", "sdxl", "sd3", "sd3", "sd1"), strict=True))
NO_T5 = dict.fromkeys(("text_encoder_3", "tokenizer_3"))


def load_pipeline(name: str, folder: Path) -> Any:
    without = NO_T5 if name == "tiny_sd3_model" else {}
    pipeline_class = getattr(diffusers, FOLDERS[name])
    return settled(pipeline_class.from_pretrained(folder, local_files_only=True, **without))


def settled(pipeline: Any) -> Any:
    """A pipeline whose pictures can be compared to the last bit.

    Its weights leave the file's pages, for products depend on how they lie in memory; and T5, which
    diffusers reads from a single file in training mode, drops nothing out.
    """
    for module in pipeline.components.values():
        if isinstance(module, torch.nn.Module):
            module.eval()
            for parameter in module.parameters():
                parameter.data = parameter.data.clone()
    return pipeline


def parts(pipeline: Any) -> dict[str, Any]:
    """Denoiser, autoencoder and text encoders of a pipeline, by their keyword in our functions."""
    found = [getattr(pipeline, f"text_encoder{n}", None) for n in ("", "_2", "_3")]
    return {
        "denoiser": getattr(pipeline, "transformer", None) or pipeline.unet,
        "autoencoder": pipeline.vae,
        "text_encoders": [encoder for encoder in found if encoder is not None],
    }


@pytest.fixture(scope="module", params=FOLDERS)
def model(request: pytest.FixtureRequest) -> tuple[str, Path, Any]:
    """Name, folder and pipeline of a small model."""
    name = request.param
    folder = Path(MODELS[name].source) if name == "toybox" else request.getfixturevalue(name)
    return name, folder, load_pipeline(name, folder)


@pytest.fixture(scope="module")
def single_file(model: tuple[str, Path, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model in one file, as we write it."""
    path = tmp_path_factory.mktemp("single") / "model.safetensors"
    write_single_file(path, **parts(model[2]))
    return path


def same(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    return set(a) == set(b) and all(torch.equal(a[key], b[key]) for key in a)


def test_there_and_back_is_the_same(model: tuple[str, Path, Any]) -> None:
    name, _, pipeline = model
    for part, home in HOMES[FAMILIES[name]].items():
        module = getattr(pipeline, part)
        if module is None:
            continue
        state, config = module.state_dict(), module_config(module)
        original = to_original(home.kind, state, config)
        assert same(from_original(home.kind, original, config, state), state)


def test_diffusers_reads_the_denoiser_and_autoencoder_bit_for_bit(
    model: tuple[str, Path, Any], single_file: Path
) -> None:
    _, _, pipeline = model
    denoiser, autoencoder = parts(pipeline)["denoiser"], pipeline.vae
    if hasattr(pipeline, "unet"):
        read = reference.convert_ldm_unet_checkpoint(load_file(single_file), dict(denoiser.config))
    else:
        read = reference.convert_sd3_transformer_checkpoint_to_diffusers(load_file(single_file))
    assert same(read, denoiser.state_dict())
    read = reference.convert_ldm_vae_checkpoint(load_file(single_file), dict(autoencoder.config))
    assert same(read, autoencoder.state_dict())


def test_diffusers_reads_the_text_encoders_bit_for_bit(
    model: tuple[str, Path, Any], single_file: Path
) -> None:
    name, _, pipeline = model
    tensors = load_file(single_file)
    for part, home in HOMES[FAMILIES[name]].items():
        module = getattr(pipeline, part, None)
        if home.kind == "clip":
            read = reference.convert_ldm_clip_checkpoint(tensors, home.prefix)
        elif home.kind == "open-clip":
            read = reference.convert_open_clip_checkpoint(module, tensors, home.prefix)
        elif home.kind == "t5" and module:
            read = reference.convert_sd3_t5_checkpoint_to_diffusers(tensors)
        else:
            continue
        state = {k.removeprefix("text_model."): v for k, v in module.state_dict().items()}
        assert same({k.removeprefix("text_model."): v for k, v in read.items()}, state)


def test_diffusers_draws_the_same_from_the_single_file(
    model: tuple[str, Path, Any], single_file: Path
) -> None:
    name, folder, pipeline = model
    without = NO_T5 if name == "tiny_sd3_model" else {}
    pipeline_class = getattr(diffusers, FOLDERS[name])
    other = pipeline_class.from_single_file(
        single_file, config=str(folder), local_files_only=True, **without
    )
    assert np.array_equal(draw(pipeline, "a red mug"), draw(settled(other), "a red mug"))


def test_we_read_what_we_wrote(model: tuple[str, Path, Any], single_file: Path) -> None:
    name, folder, pipeline = model
    read = load_single_file(single_file, folder)
    assert read.family == FAMILIES[name]
    written = parts(pipeline)
    assert same(read.denoiser.state_dict(), written["denoiser"].state_dict())
    assert same(read.autoencoder.state_dict(), written["autoencoder"].state_dict())
    for ours, theirs in zip(read.text_encoders, written["text_encoders"], strict=True):
        assert same(ours.state_dict(), theirs.state_dict())
    for module in (read.denoiser, read.autoencoder, *read.text_encoders):
        assert not any(tensor.is_meta for tensor in (*module.parameters(), *module.buffers()))
        assert not module.training and not any(p.requires_grad for p in module.parameters())
    assert len(read.tokenizers) == len(read.text_encoders)
    assert read.tokenizers[0]("a red mug").input_ids == pipeline.tokenizer("a red mug").input_ids
    assert dict(read.scheduler.config) == dict(pipeline.scheduler.config)
    assert read.notes == []


def test_what_we_read_draws_the_same(model: tuple[str, Path, Any], single_file: Path) -> None:
    name, folder, pipeline = model
    read = load_single_file(single_file, folder)
    before = draw(pipeline, "a red mug")
    swapped = load_pipeline(name, folder)
    swapped.register_modules(vae=read.autoencoder)
    swapped.register_modules(**{_denoiser_name(swapped): read.denoiser})
    for number, encoder in zip(("", "_2", "_3"), read.text_encoders, strict=False):
        swapped.register_modules(**{f"text_encoder{number}": encoder})
    assert np.array_equal(draw(swapped, "a red mug"), before)


def _denoiser_name(pipeline: Any) -> str:
    return "unet" if hasattr(pipeline, "unet") else "transformer"


# Single files as others write them.


@pytest.fixture
def sd1(tiny_epsilon_model: Path) -> tuple[dict[str, Tensor], Path]:
    """The tensors of an SD 1.x single file, and its configuration folder."""
    return _tensors("tiny_epsilon_model", tiny_epsilon_model), tiny_epsilon_model


def _tensors(name: str, folder: Path) -> dict[str, Tensor]:
    path = folder.parent / f"{folder.name}.safetensors"
    if not path.exists():
        write_single_file(path, **parts(load_pipeline(name, folder)))
    return load_file(path)


def reload(tensors: dict[str, Tensor], folder: Path, tmp_path: Path) -> Any:
    path = tmp_path / "other.safetensors"
    save_file({key: value.contiguous() for key, value in tensors.items()}, path)
    return load_single_file(path, folder)


CLIP = "cond_stage_model.transformer.text_model."


def test_what_published_files_hold_besides_is_left_out_and_told(
    sd1: tuple[dict[str, Tensor], Path], tmp_path: Path
) -> None:
    tensors, folder = sd1
    tensors["model_ema.diffusion_modelinput_blocks00weight"] = torch.ones(2)
    tensors["model_ema.decay"] = torch.ones(1)
    tensors["first_stage_model.loss.logvar"] = torch.ones(1)
    tensors[f"{CLIP}embeddings.position_ids"] = torch.arange(3)
    for key in ("betas", "alphas_cumprod_prev", "sqrt_one_minus_alphas_cumprod", "lvlb_weights"):
        tensors[key] = torch.ones(4)
    notes = reload(tensors, folder, tmp_path).notes
    assert sorted(notes) == [
        "left out of the file: averaged (EMA) weights (2)",
        "left out of the file: position numbers (1)",
        "left out of the file: the loss of the autoencoder's training (1)",
        "left out of the file: the noise schedule (4)",
    ]


def test_half_precision_older_names_and_linear_attention_are_read(
    sd1: tuple[dict[str, Tensor], Path], tmp_path: Path
) -> None:
    tensors, folder = sd1
    old = {
        key.replace(CLIP, CLIP.removesuffix("text_model.")): value.half()
        for key, value in tensors.items()
    }
    query = "first_stage_model.decoder.mid.attn_1.q.weight"
    assert old[query].ndim == 4
    old[query] = old[query][:, :, 0, 0]
    read = reload(old, folder, tmp_path)
    expected = load_pipeline("tiny_epsilon_model", folder)
    for ours, theirs in (
        (read.text_encoders[0], expected.text_encoder),
        (read.autoencoder, expected.vae),
    ):
        half = {key: value.half().float() for key, value in theirs.state_dict().items()}
        assert same(ours.state_dict(), half)


def test_a_missing_key_is_named(sd1: tuple[dict[str, Tensor], Path], tmp_path: Path) -> None:
    tensors, folder = sd1
    del tensors["model.diffusion_model.out.2.bias"]
    with pytest.raises(UserError, match=r"lacks model\.diffusion_model\.out\.2\.bias:") as caught:
        reload(tensors, folder, tmp_path)
    assert str(caught.value).count("\n") == 1


def test_an_unknown_key_is_named(sd1: tuple[dict[str, Tensor], Path], tmp_path: Path) -> None:
    tensors, folder = sd1
    tensors["model.diffusion_model.out.3.bias"] = torch.ones(2)
    with pytest.raises(UserError, match=r"has unknown model\.diffusion_model\.out\.3\.bias:"):
        reload(tensors, folder, tmp_path)


def test_another_shape_is_named(sd1: tuple[dict[str, Tensor], Path], tmp_path: Path) -> None:
    tensors, folder = sd1
    tensors["model.diffusion_model.out.2.bias"] = torch.ones(3)
    with pytest.raises(UserError, match=r"conv_out\.bias is \(3,\) and should be \(4,\)"):
        reload(tensors, folder, tmp_path)


def test_the_unread_end_of_open_clip_is_told(tiny_sd2_model: Path, tmp_path: Path) -> None:
    tensors = _tensors("tiny_sd2_model", tiny_sd2_model)
    tensors["cond_stage_model.model.transformer.resblocks.23.ln_1.bias"] = torch.ones(24)
    tensors["cond_stage_model.model.text_projection"] = torch.ones(24, 24)
    notes = reload(tensors, tiny_sd2_model, tmp_path).notes
    assert notes == [
        "left out of the file: the end of the text encoder, which SD 2.x does not read (2)"
    ]


def test_marks_of_v_prediction_are_followed(tiny_xl_model: Path, tmp_path: Path) -> None:
    tensors = _tensors("tiny_xl_model", tiny_xl_model)
    marks = {"v_pred": torch.ones(0), "ztsnr": torch.ones(0)}
    scheduler = reload(tensors | marks, tiny_xl_model, tmp_path).scheduler
    assert scheduler.config.prediction_type == "v_prediction"
    assert scheduler.config.rescale_betas_zero_snr
    plain = reload(tensors, tiny_xl_model, tmp_path).scheduler
    assert plain.config.prediction_type == "epsilon"


def test_an_sd3_file_may_lack_t5(tiny_sd35_t5_model: Path, tmp_path: Path) -> None:
    tensors = _tensors("tiny_sd35_t5_model", tiny_sd35_t5_model)
    kept = {key: value for key, value in tensors.items() if ".t5xxl." not in key}
    read = reload(kept, tiny_sd35_t5_model, tmp_path)
    assert len(read.text_encoders) == len(read.tokenizers) == 2
    assert read.notes[0].startswith("T5 is not wanted, or not in the file")


def test_an_sd3_file_without_text_encoders_is_refused(tiny_sd3_model: Path, tmp_path: Path) -> None:
    tensors = _tensors("tiny_sd3_model", tiny_sd3_model)
    kept = {key: value for key, value in tensors.items() if "text_encoders." not in key}
    with pytest.raises(UserError, match="holds no text_encoder, text_encoder_2"):
        reload(kept, tiny_sd3_model, tmp_path)


def test_clip_l_without_projection_is_taken_as_it_is(tiny_sd3_model: Path, tmp_path: Path) -> None:
    tensors = _tensors("tiny_sd3_model", tiny_sd3_model)
    del tensors["text_encoders.clip_l.transformer.text_projection.weight"]
    read = reload(tensors, tiny_sd3_model, tmp_path)
    assert torch.equal(read.text_encoders[0].text_projection.weight, torch.eye(24))
    assert "projection of CLIP-L" in read.notes[0]


@pytest.mark.parametrize(
    ("content", "name", "message"),
    [(b"", "m.safetensors", "cannot be read"), (b"x", "m.ckpt", "is no .safetensors file")],
)
def test_unreadable_files_are_told(content: bytes, name: str, message: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=message):
        load_single_file(tmp_path / name, None)


def test_the_header_carries_the_metadata(tiny_epsilon_model: Path, tmp_path: Path) -> None:
    pipeline = load_pipeline("tiny_epsilon_model", tiny_epsilon_model)
    path = tmp_path / "model.safetensors"
    write_single_file(path, **parts(pipeline), metadata={"modelspec.title": "mug"})
    with safe_open(path, "pt") as file:
        assert file.metadata() == {"format": "pt", "modelspec.title": "mug"}
    assert [file.name for file in tmp_path.iterdir()] == ["model.safetensors"]


# Names of modules, as LoRA files of SDXL have them.


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("conv_in", "input_blocks.0.0"),
        ("down_blocks.0.downsamplers.0.conv", "input_blocks.3.0.op"),
        ("down_blocks.1.resnets.0.conv_shortcut", "input_blocks.4.0.skip_connection"),
        ("down_blocks.1.attentions.0", "input_blocks.4.1"),
        (
            "down_blocks.2.attentions.1.transformer_blocks.1.attn2.to_k",
            "input_blocks.8.1.transformer_blocks.1.attn2.to_k",
        ),
        ("mid_block.attentions.0.proj_in", "middle_block.1.proj_in"),
        ("mid_block.resnets.1.time_emb_proj", "middle_block.2.emb_layers.1"),
        ("up_blocks.0.attentions.2.proj_out", "output_blocks.2.1.proj_out"),
        ("up_blocks.0.upsamplers.0.conv", "output_blocks.2.2.conv"),
        ("up_blocks.1.attentions.0", "output_blocks.3.1"),
        ("up_blocks.2.resnets.2.conv2", "output_blocks.8.0.out_layers.3"),
        ("add_embedding.linear_2", "label_emb.0.2"),
        ("conv_out", "out.2"),
    ],
)
def test_modules_of_sdxl_have_their_original_names(
    path: str, name: str, tiny_xl_model: Path
) -> None:
    config = diffusers.UNet2DConditionModel.load_config(tiny_xl_model / "unet")
    assert original_module("unet", path, config) == name


def test_a_module_without_an_original_name_is_told(tiny_xl_model: Path) -> None:
    config = diffusers.UNet2DConditionModel.load_config(tiny_xl_model / "unet")
    with pytest.raises(UserError, match="encoder_hid_proj"):
        original_module("unet", "encoder_hid_proj", config)
