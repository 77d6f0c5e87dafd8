"""Packed bases and offloading: what they may change, and what they must not."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from compute_models import (
    CPU,
    FAMILIES,
    TOYBOX,
    draw,
    frozen_parts,
    load,
    over_families,
    predictions,
    relative_error,
    teach,
)
from tiny import NOUN
from torch import nn

from pseudoword import compute as computing
from pseudoword.artefact import load_run
from pseudoword.compute import Stage, check_compute
from pseudoword.errors import UserError
from pseudoword.export import export_run
from pseudoword.families import load_model
from pseudoword.methods import METHODS, check_quantise
from pseudoword.settings import ComputeSettings

PACKED = ["int8", "nf4"]
BOUNDS = {
    ("bf16", "none"): 0.02,
    ("fp16", "none"): 0.003,
    ("fp32", "int8"): 0.01,
    ("bf16", "int8"): 0.02,
    ("fp32", "nf4"): 0.1,
    ("bf16", "nf4"): 0.1,
}
"""Largest relative error (root mean square) of the toybox's predictions."""


def bytes_of(part: nn.Module) -> int:
    """Of all weights, packed ones with their scales."""
    total = 0
    for weight in part.parameters():
        inner = [getattr(weight, name) for name in ("qdata", "scale") if hasattr(weight, name)]
        state = getattr(weight, "quant_state", None)
        if state is not None:
            inner = [weight.data, state.absmax, state.state2.absmax]
        total += sum(tensor.nbytes for tensor in inner or [weight])
    return total


@pytest.mark.parametrize(("precision", "quantise"), BOUNDS)
def test_a_trained_model_predicts_nearly_the_same(precision: Any, quantise: Any) -> None:
    if quantise != "none":
        pytest.importorskip(computing.NEEDED[quantise])
    plain = load_model("toybox", CPU)
    compute = ComputeSettings(precision=precision, quantise=quantise)
    model = load_model("toybox", CPU, None, compute)
    error = relative_error(predictions(model), predictions(plain))
    assert 0 < error < BOUNDS[precision, quantise]


@pytest.mark.parametrize("family", [*FAMILIES, "toybox"])
@pytest.mark.parametrize("quantise", PACKED)
def test_a_packed_model_is_smaller_and_computes_with_what_it_holds(
    family_folder: Path, quantise: str
) -> None:
    pytest.importorskip(computing.NEEDED[quantise])
    from peft.utils.integrations import dequantize_module_weight

    plain = load(family_folder)
    packed = load(family_folder, quantise=quantise)
    cast = load(family_folder, quantise=quantise, precision="bf16")
    wide = load(family_folder, precision="bf16")
    for name, part in frozen_parts(packed).items():
        whole = frozen_parts(plain)[name]
        if quantise == "int8" or family_folder == TOYBOX:
            assert bytes_of(part) < 0.9 * bytes_of(whole), name
            small, large = (bytes_of(frozen_parts(m)[name]) for m in (cast, wide))
            assert small < 0.95 * large, name
        for key, layer in part.named_modules():
            if isinstance(layer, nn.Linear):
                weight = dequantize_module_weight(layer).detach()
                own = whole.get_submodule(key).weight
                spared = key.endswith(".wo") or (quantise == "nf4" and layer.in_features % 64 > 0)
                assert torch.equal(weight, own) == spared, key
                assert relative_error(weight, own) < {"int8": 0.02, "nf4": 0.15}[quantise]
                own.data = weight.clone()
    assert relative_error(predictions(packed), predictions(plain)) < 1e-3


@pytest.mark.parametrize("quantise", PACKED)
@pytest.mark.parametrize(
    "name", [name for name, kind in METHODS.items() if "weights" not in kind.learns]
)
def test_a_method_learns_beside_a_packed_base_or_is_refused(
    quantise: Any, name: str, tmp_path: Path
) -> None:
    pytest.importorskip(computing.NEEDED[quantise])
    compute = ComputeSettings(quantise=quantise)
    if quantise not in METHODS[name].packings:
        with pytest.raises(UserError, match="does not go with"):
            check_quantise(quantise, [METHODS[name]])
        return
    check_quantise(quantise, [METHODS[name]])
    before = load(TOYBOX, quantise=quantise)
    trained = teach(TOYBOX, name, tmp_path, {"quantise": quantise}, steps=3)
    run = load_run(tmp_path, CPU, compute=compute)
    kept = draw(run.model, run.noun_phrase)
    assert np.array_equal(kept, draw(trained, run.noun_phrase))
    assert not np.array_equal(kept, draw(before, NOUN))
    # The artefact holds nothing of its base: it fits the whole one.
    assert draw(load_run(tmp_path, CPU).model, run.noun_phrase).shape == kept.shape
    record = json.loads((tmp_path / "run.json").read_text())
    assert record["compute"]["quantise"] == quantise
    assert computing.NEEDED[quantise] in record["versions"]


def test_a_run_on_a_packed_base_is_exported_on_the_whole_one(tmp_path: Path) -> None:
    pytest.importorskip("bitsandbytes")
    teach(TOYBOX, "lora", tmp_path, {"quantise": "nf4", "precision": "bf16"}, steps=3)
    for format in ("checkpoint", "kohya"):
        export_run(tmp_path, format)
        note = json.loads((tmp_path / "export" / format / "export.json").read_text())
        assert note["largest_difference"] <= 3


@pytest.mark.parametrize("name", ["dreambooth", "custom-diffusion", "full-fine-tuning"])
def test_methods_that_change_weights_are_refused(name: str) -> None:
    with pytest.raises(UserError, match=f"{METHODS[name].title}.*\n.*textual-inversion") as caught:
        check_quantise("int8", [METHODS["lora"], METHODS[name]])
    assert "dreambooth" not in str(caught.value) and "LoRA" not in str(caught.value)
    check_quantise("none", METHODS.values())


def test_offloading_on_a_cpu_is_refused() -> None:
    with pytest.raises(UserError, match="--offload needs a GPU"):
        check_compute(ComputeSettings(offload=True), CPU)


@over_families
def test_parts_are_on_the_accelerator_only_while_they_work(
    family_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The CPU stands for both places: `to` notes where a part is told to go."""
    model = load(family_folder)
    kept = draw(model, NOUN)
    accelerator = torch.device("cpu", 0)
    places: dict[int, Any] = {id(part): "cpu" for part in model.modules()}
    names = {id(model.denoiser): "denoiser", id(model.autoencoder): "autoencoder"}
    names |= {id(part): "text" for part in model.text_encoders}
    order: list[str] = []

    def watch(part: nn.Module) -> None:
        def to(place: Any) -> nn.Module:
            places[id(part)] = place
            return part

        def at_work(*arguments: Any) -> None:
            there = {names[key] for key, place in places.items() if place == accelerator}
            assert there == {names[id(part)]}
            order.append(names[id(part)])

        monkeypatch.setattr(part, "to", to)
        part.register_forward_pre_hook(at_work)
        if part is model.autoencoder:
            part.decoder.register_forward_pre_hook(at_work)

    for part in model.modules():
        watch(part)
    model.stage = Stage(accelerator)
    assert np.array_equal(draw(model, NOUN), kept)
    short = [name for i, name in enumerate(order) if i == 0 or name != order[i - 1]]
    assert short == ["text", "denoiser", "autoencoder"]
    draw(model, NOUN)
    model.stay()
    assert set(places.values()) == {model.device} and model.stage is None


@pytest.mark.parametrize("quantise", ["none", *PACKED])
def test_offloading_changes_no_pixel(quantise: Any) -> None:
    """The CPU stands for both places here too, and parts truly move."""
    if quantise != "none":
        pytest.importorskip(computing.NEEDED[quantise])
    plain = load(TOYBOX, quantise=quantise, precision="bf16")
    moving = load(TOYBOX, quantise=quantise, precision="bf16", offload=True)
    assert moving.stage is not None and plain.stage is None
    packed = [
        getattr(m.weight, "bnb_quantized", True)
        for m in moving.denoiser.modules()
        if isinstance(m, nn.Linear)
    ]
    assert all(packed)
    for _ in range(2):
        assert np.array_equal(draw(moving, "mug"), draw(plain, "mug"))
