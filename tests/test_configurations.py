"""The published configurations are those that their single files are of."""

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
import torch
from diffusers import StableDiffusionPipeline
from diffusers.loaders import single_file_utils as reference
from huggingface_hub.errors import LocalEntryNotFoundError
from torch import Tensor

from pseudoword.errors import UserError
from pseudoword.families.configurations import CONFIGURATIONS, read_configuration
from pseudoword.families.detect import SIGNATURES, detect
from pseudoword.families.layouts import HOMES
from pseudoword.families.original import to_original
from pseudoword.families.single_file import (
    empty_module,
    load_single_file,
    module_config,
    published_configuration,
    write_single_file,
)

CLIP_G = 694_659_840
PARAMETERS = {
    "sd-1.5": {"unet": 859_520_964, "vae": 83_653_863, "text_encoder": 123_060_480},
    # OpenCLIP's text tower has 354,032,641: a layer, the projection and a scale more.
    "sd-2.1": {"unet": 865_910_724, "text_encoder": 354_032_641 - 12_596_224 - 1024**2 - 1},
    "sd-2.1-base": {"unet": 865_910_724},
    "sdxl": {"unet": 2_567_463_684, "text_encoder": 123_060_480, "text_encoder_2": CLIP_G},
    "sd-3-medium": {"transformer": 2_028_328_000, "vae": 83_819_683, "text_encoder_2": CLIP_G},
    "sd-3.5-medium": {"transformer": 2_243_171_520},
    # T5's encoder has 4,762,310,656, and here its embeddings twice.
    "sd-3.5-large": {"text_encoder_3": 4_762_310_656 + 32128 * 4096},
}
KERAS = {
    "sd-3-medium": 2_987_080_931,
    "sd-3.5-medium": 3_371_793_763,
    "sd-3.5-large": 9_048_410_595,
}
"""KerasHub's counts: denoiser with its table of positions, autoencoder and both CLIPs."""

TYPES = {
    "sd-1.5": "v1",
    "sd-2.1": "v2",
    "sd-2.1-base": "v2",
    "sdxl": "xl_base",
    "sd-3-medium": "sd3",
    "sd-3.5-medium": "sd35_medium",
    "sd-3.5-large": "sd35_large",
}
"""What diffusers calls single files of them."""


@cache
def modules(name: str) -> dict[str, Any]:
    """The parts of a published model, without values."""
    configuration = CONFIGURATIONS[name]
    homes = HOMES[configuration.family]
    return {
        part: empty_module(homes[part], options) for part, options in configuration.parts.items()
    }


@cache
def single_file(name: str) -> dict[str, Tensor]:
    """The keys of a published model's single file, without values."""
    tensors: dict[str, Tensor] = {}
    for part, module in modules(name).items():
        home = HOMES[CONFIGURATIONS[name].family][part]
        # Of transformers' modules the values are without place, diffusers' buffers too.
        state = {key: value.to("meta") for key, value in module.state_dict().items()}
        original = to_original(home.kind, state, module_config(module))
        fused = 2 * sum("in_proj_" in key or ".qkv." in key for key in original)
        assert len(original) == len(state) - fused
        added = {home.prefix + key: value for key, value in original.items()}
        assert not set(added) & set(tensors)
        tensors |= added
    return tensors


def shapes(state: dict[str, Tensor]) -> dict[str, tuple[int, ...]]:
    return {key.removeprefix("text_model."): tuple(value.shape) for key, value in state.items()}


@pytest.mark.parametrize("name", PARAMETERS)
def test_parameters_are_as_many_as_published(name: str) -> None:
    counts = {
        part: sum(parameter.numel() for parameter in module.parameters())
        for part, module in modules(name).items()
    }
    assert {part: counts[part] for part in PARAMETERS[name]} == PARAMETERS[name]


@pytest.mark.parametrize("name", KERAS)
def test_stable_diffusion_3_has_as_many_values_as_published(name: str) -> None:
    counted = ("transformer", "vae", "text_encoder", "text_encoder_2")
    states = (modules(name)[part].state_dict() for part in counted)
    assert sum(value.numel() for state in states for value in state.values()) == KERAS[name]


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_a_single_file_is_recognised(name: str) -> None:
    tensors = single_file(name)
    assert reference.infer_diffusers_model_type(tensors) == TYPES[name]
    assert detect(shapes(tensors)) == name.removesuffix("-base")


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_diffusers_finds_every_tensor_of_the_denoiser_and_autoencoder(name: str) -> None:
    parts, tensors = modules(name), single_file(name)
    if "unet" in parts:
        unet = parts["unet"]
        read = reference.convert_ldm_unet_checkpoint(tensors, dict(unet.config))
        assert shapes(read) == shapes(unet.state_dict())
    else:
        read = reference.convert_sd3_transformer_checkpoint_to_diffusers(
            {key: value for key, value in tensors.items() if "diffusion_model" in key}
        )
        assert shapes(read) == shapes(parts["transformer"].state_dict())
    read = reference.convert_ldm_vae_checkpoint(tensors, dict(parts["vae"].config))
    assert shapes(read) == shapes(parts["vae"].state_dict())


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_diffusers_finds_every_tensor_of_the_text_encoders(name: str) -> None:
    for part, home in HOMES[CONFIGURATIONS[name].family].items():
        if part.startswith("text_encoder"):
            module, tensors = modules(name)[part], single_file(name)
            if home.kind == "open-clip":
                read = reference.convert_open_clip_checkpoint(module, tensors, home.prefix)
            elif home.kind == "clip":
                read = reference.convert_ldm_clip_checkpoint(tensors, home.prefix)
            else:
                read = reference.convert_sd3_t5_checkpoint_to_diffusers(tensors)
            assert shapes(read) == shapes(module.state_dict())


UNET = "model.diffusion_model."


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ({"lora_unet_mid_block_attentions_0_proj_in.lora_down.weight": (4, 8)}, "a LoRA"),
        ({"base_model.model.down.lora_A.weight": (4, 8)}, "a LoRA"),
        ({"lora_te_text_model_encoder.hada_w1_a": (4, 8)}, "a LoRA or another adapter"),
        ({"emb_params": (4, 768)}, "an embedding"),
        ({"clip_l": (4, 768), "clip_g": (4, 1280)}, "an embedding"),
        ({"decoder.conv_in.weight": (512, 4, 3, 3), "encoder.x": (1,)}, "an autoencoder .VAE. al"),
        ({"down_blocks.0.resnets.0.conv1.weight": (4, 4, 3, 3)}, "in the diffusers layout"),
        ({"text_model.embeddings.token_embedding.weight": (4, 8)}, "a text encoder alone"),
        ({"shared.weight": (9, 8), "encoder.block.0.layer.0": (8, 8)}, "a text encoder alone"),
        ({"joint_blocks.0.x_block.attn.qkv.weight": (4, 8)}, "a denoiser alone, without text"),
        ({f"{UNET}double_blocks.0.img_attn.qkv.weight": (4, 8)}, "of the FLUX kind"),
        ({"clip_txt_mapper.weight": (1536, 1280)}, "Stable Cascade"),
        ({"blocks.0.cross_attn.kv_linear.weight": (4, 8)}, "PixArt"),
        ({f"{UNET}blocks.0.self_attn.q.weight": (4, 8)}, "of another family"),
        ({"conditioner.embedders.0.model.ln_final.bias": (1280,)}, "the refiner"),
        ({"control_model.time_embed.0.weight": (4, 8)}, "a ControlNet"),
        ({f"{UNET}input_blocks.0.0.weight": (320, 9, 3, 3)}, "inpainting"),
        ({f"{UNET}input_blocks.0.0.weight": (320, 8, 3, 3)}, "InstructPix2Pix"),
        ({f"{UNET}input_blocks.0.0.weight": (16, 4, 3, 3)}, "--config-folder"),
        ({"conv.weight": (4, 4, 3, 3)}, "no model in the original checkpoint layout"),
        ({}, "no model in the original checkpoint layout"),
    ],
)
def test_other_files_are_told_apart(header: dict[str, tuple[int, ...]], message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        detect(header)
    assert str(caught.value).count("\n") == 1


class Header:
    """As much of an open file as tells SD 2.1 from SD 2.1 base."""

    def __init__(self, metadata: dict[str, str] | None, spread: float) -> None:
        self._metadata, self._spread = metadata, spread

    def metadata(self) -> dict[str, str] | None:
        return self._metadata

    def keys(self) -> list[str]:
        return [f"{UNET}output_blocks.11.1.transformer_blocks.0.norm1.bias"]

    def get_tensor(self, key: str) -> Tensor:
        assert key == f"{UNET}output_blocks.11.1.transformer_blocks.0.norm1.bias"
        return torch.tensor([-self._spread, self._spread])


@pytest.mark.parametrize(
    ("metadata", "spread", "name"),
    [
        (None, 0.2, "sd-2.1"),
        (None, 0.05, "sd-2.1-base"),
        ({"modelspec.prediction_type": "epsilon"}, 0.2, "sd-2.1-base"),
        ({"modelspec.prediction_type": "v"}, 0.05, "sd-2.1"),
    ],
)
def test_the_objective_of_sd_2_is_found_and_told(
    metadata: dict[str, str] | None, spread: float, name: str
) -> None:
    notes: list[str] = []
    found = published_configuration(Header(metadata, spread), "sd-2.1", notes)
    assert found == CONFIGURATIONS[name]
    assert "--config-folder" in notes[0]


@pytest.fixture
def published(
    tiny_epsilon_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[Path, Path]:
    """A single file of the tiny model, as if that were published as SD 1.5; and its folder."""
    configuration = replace(read_configuration(tiny_epsilon_model), repository="someone/tiny")
    monkeypatch.setitem(CONFIGURATIONS, "sd-1.5", configuration)
    monkeypatch.setitem(SIGNATURES, "sd-1.5", {"input_blocks.0.0.weight": (16, 4, 3, 3)})
    pipeline = StableDiffusionPipeline.from_pretrained(tiny_epsilon_model)
    path = tmp_path / "model.safetensors"
    write_single_file(path, pipeline.unet, pipeline.vae, [pipeline.text_encoder])
    return path, tiny_epsilon_model


def test_a_published_model_needs_no_folder(
    published: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    path, folder = published

    def snapshot(repository: str, allow_patterns: list[str]) -> str:
        assert (repository, allow_patterns) == ("someone/tiny", ["tokenizer*/**"])
        return str(folder)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot)
    alone, with_folder = load_single_file(path, None), load_single_file(path, folder)
    for key, value in with_folder.denoiser.state_dict().items():
        assert torch.equal(alone.denoiser.state_dict()[key], value)
    assert alone.scheduler.config == with_folder.scheduler.config
    assert alone.tokenizers[0].get_vocab() == with_folder.tokenizers[0].get_vocab()


@pytest.mark.parametrize("cached", [False, True])
def test_tokenizers_that_cannot_be_had_are_told(
    cached: bool, published: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def snapshot(repository: str, allow_patterns: list[str]) -> str:
        if not cached:
            raise LocalEntryNotFoundError("offline")
        return str(tmp_path)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot)
    with pytest.raises(UserError, match="someone/tiny") as caught:
        load_single_file(published[0], None)
    assert "--config-folder FOLDER" in str(caught.value)
    assert str(caught.value).count("\n") == 1


def test_a_folder_of_another_pipeline_is_told(tmp_path: Path) -> None:
    (tmp_path / "model_index.json").write_text('{"_class_name": "FluxPipeline"}')
    with pytest.raises(UserError, match="is of a FluxPipeline"):
        read_configuration(tmp_path)


def test_a_folder_says_what_it_is(
    tiny_epsilon_model: Path,
    tiny_sd2_model: Path,
    tiny_xl_model: Path,
    tiny_sd3_model: Path,
    tiny_sd35_t5_model: Path,
) -> None:
    folders = (tiny_epsilon_model, tiny_sd2_model, tiny_xl_model, tiny_sd3_model)
    found = [read_configuration(folder) for folder in (*folders, tiny_sd35_t5_model)]
    assert [c.family for c in found] == ["sd1", "sd2", "sdxl", "sd3", "sd3"]
    assert [len(c.parts) for c in found] == [3, 3, 4, 4, 5]
