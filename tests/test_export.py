"""Every method in every format: loaded by another library, it is what the run learnt."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import StableDiffusionPipeline
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from tiny import NOUN, load_tiny, train_tiny

from pseudoword.artefact import load_run
from pseudoword.errors import UserError
from pseudoword.export import FORMATS, export_run, verify
from pseudoword.export import lora as lora_files
from pseudoword.export.factors import lora_factors
from pseudoword.export.table import WRITERS
from pseudoword.methods import METHODS

CPU = torch.device("cpu")
VARIANTS: dict[str, list[dict[str, Any]]] = {
    "textual-inversion": [{}, {"vectors": 3}],
    "dreambooth": [{}, {"train_text_encoder": True, "text_learning_rate": 1e-3}],
    "lora": [{}, {"train_text_encoder": True, "text_learning_rate": 1e-2}],
}
PAIRS = [
    pytest.param(method, name, options, id=f"{method}-{name}-{'-'.join(options) or 'plain'}")
    for method, name in WRITERS
    for options in VARIANTS[method]
]


@pytest.mark.parametrize(("method", "name", "options"), PAIRS)
def test_export_is_verified_and_noted(
    method: str, name: str, options: dict[str, Any], tiny_run: Callable[..., Path], tmp_path: Path
) -> None:
    run = tiny_run(method, **options)
    main = export_run(run, name, tmp_path / "out")
    note = json.loads((tmp_path / "out" / "export.json").read_text())
    assert main == tmp_path / "out" / note["main"]
    assert note["largest_difference"] <= 1
    assert not list(tmp_path.glob(".export-*"))
    assert export_run(run, name, tmp_path / "out") == main


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", FORMATS)
def test_formats_that_do_not_apply_are_refused(
    method: str, name: str, tiny_run: Callable[..., Path], tmp_path: Path
) -> None:
    if (method, name) in WRITERS:
        assert WRITERS[method, name].write is not None
        return
    with pytest.raises(UserError) as error:
        export_run(tiny_run(method), name, tmp_path / "out")
    fitting = [other for other in FORMATS if (method, other) in WRITERS]
    assert str(error.value).endswith(f"use {', '.join(fitting)}.")
    assert not (tmp_path / "out").exists()


def test_unknown_format_lists_those_there_are(tiny_run: Callable[..., Path]) -> None:
    with pytest.raises(UserError, match="use diffusers, kohya, a1111, peft, checkpoint"):
        export_run(tiny_run("lora"), "onnx", None)


def test_no_run_no_export(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="run.json does not exist"):
        export_run(tmp_path, "kohya", None)


def test_folder_in_use_is_left_alone(tiny_run: Callable[..., Path], tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(UserError, match="in use already"):
        export_run(tiny_run("lora"), "kohya", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_default_folder_lies_in_the_run(tiny_model: Path, tmp_path: Path) -> None:
    train_tiny(tiny_model, "lora", tmp_path, steps=1)
    assert (
        export_run(tmp_path, "kohya", None) == tmp_path / "export" / "kohya" / "sks-mug.safetensors"
    )


def test_kohya_names_alpha_and_metadata(
    tiny_run: Callable[..., Path], tiny_model: Path, tmp_path: Path
) -> None:
    run = tiny_run("lora", train_text_encoder=True, text_learning_rate=1e-2)
    path = export_run(run, "kohya", tmp_path / "out")
    tensors = load_file(path)
    key = "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_out_0"
    assert tensors[f"{key}.lora_down.weight"].shape == (2, 16)
    assert tensors[f"{key}.lora_up.weight"].shape == (16, 2)
    assert tensors[f"{key}.alpha"].item() == 4.0
    assert "lora_te_text_model_encoder_layers_1_self_attn_q_proj.alpha" in tensors
    # A1111 splits at the first dot: what stands before it must be the whole module.
    assert {name.split(".", 1)[1] for name in tensors} == {
        "lora_down.weight",
        "lora_up.weight",
        "alpha",
    }
    with safe_open(path, "pt") as file:
        metadata = file.metadata()
    assert metadata["ss_network_dim"] == "2" and metadata["ss_network_alpha"] == "4.0"
    assert metadata["ss_base_model_version"] == "sd_v1_v"
    assert metadata["modelspec.architecture"] == "stable-diffusion-v1/lora"
    assert metadata["modelspec.trigger_phrase"] == "sks mug"
    assert str(tiny_model) not in json.dumps(metadata)


def test_peft_folder_names_no_path(
    tiny_run: Callable[..., Path], tiny_model: Path, tmp_path: Path
) -> None:
    run = tiny_run("lora", train_text_encoder=True, text_learning_rate=1e-2)
    folder = export_run(run, "peft", tmp_path / "out")
    for place in (folder, folder / "text_encoder"):
        assert (place / "adapter_model.safetensors").is_file()
        text = (place / "adapter_config.json").read_text()
        assert json.loads(text)["lora_alpha"] == 4.0
        assert str(tiny_model.parent) not in text


def test_diffusers_lora_needs_no_alpha(tiny_run: Callable[..., Path], tmp_path: Path) -> None:
    """alpha is 4 and the rank 2: a reader that takes the scale for 1 must still be right."""
    run = tiny_run("lora")
    folder = export_run(run, "diffusers", tmp_path / "out")
    tensors = load_file(folder / lora_files.DIFFUSERS_FILE)
    for name, factors in lora_factors(load_run(run, CPU).model.denoiser).items():
        product = tensors[f"unet.{name}.lora_B.weight"] @ tensors[f"unet.{name}.lora_A.weight"]
        torch.testing.assert_close(product, factors.product)
        assert factors.scale == 2.0


def test_a1111_embedding_holds_the_vectors(tiny_run: Callable[..., Path], tmp_path: Path) -> None:
    run = tiny_run("textual-inversion", vectors=3)
    path = export_run(run, "a1111", tmp_path / "out")
    assert path.name == "concept-mug.safetensors"
    learnt = load_file(run / "artefact.safetensors")["text_encoders.0"]
    assert torch.equal(load_file(path)["emb_params"], learnt)


@pytest.mark.parametrize("method", METHODS)
def test_checkpoint_stands_alone(
    method: str, tiny_run: Callable[..., Path], tiny_model: Path, tmp_path: Path
) -> None:
    """The merged folder is a pipeline, and a model that can be taught a further concept."""
    folder = export_run(tiny_run(method), "checkpoint", tmp_path / "out")
    pipeline = StableDiffusionPipeline.from_pretrained(folder, local_files_only=True)
    assert pipeline.safety_checker is None
    merged, base = load_tiny(folder), load_tiny(tiny_model)
    assert merged.fingerprint != base.fingerprint
    assert merged.denoiser.state_dict().keys() == base.denoiser.state_dict().keys()
    other: dict[str, Any] = (
        {"placeholder_token": "<other>"} if method == "textual-inversion" else {}
    )
    train_tiny(folder, method, tmp_path / "run", steps=1, **other)


@pytest.mark.parametrize("fault", ["missing", "changed", "renamed"])
def test_a_faulty_export_is_not_kept(
    fault: str,
    tiny_run: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def write(path: Path, tensors: dict[str, torch.Tensor], metadata: dict[str, str]) -> None:
        first = next(iter(tensors))
        module = first.removesuffix(".lora_down.weight")
        if fault == "missing":
            tensors = {k: v for k, v in tensors.items() if not k.startswith(f"{module}.")}
        elif fault == "changed":
            tensors[first] = tensors[first] * 1.1
        else:
            tensors[f"{module}.dropped"] = tensors.pop(first)
        save_file({k: v.contiguous() for k, v in tensors.items()}, path, metadata)

    monkeypatch.setattr(lora_files, "_save", write)
    with pytest.raises((RuntimeError, ValueError, KeyError)):
        export_run(tiny_run("lora"), "kohya", tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_pictures_that_differ_are_an_error(tiny_run: Callable[..., Path], tiny_model: Path) -> None:
    """The untouched model passed off as the run's export."""
    from pseudoword.export.pipeline import pipeline_of

    run = load_run(tiny_run("dreambooth"), CPU)
    untouched = verify.Reloaded(pipeline_of(load_tiny(tiny_model)), f"sks {NOUN}")
    with pytest.raises(RuntimeError, match="draws other pictures"):
        verify.largest_difference(run, untouched)
