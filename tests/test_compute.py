"""Precisions, optimizers and gradient checkpointing: what they may change, and must not."""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from compute_models import (
    CPU,
    draw,
    frozen_parts,
    load,
    over_families,
    predictions,
    relative_error,
    teach,
)
from tiny import NOUN, OPTIONS, make_photos
from torch import Tensor, nn

from pseudoword import checkpoint
from pseudoword import compute as computing
from pseudoword import train as loop
from pseudoword.artefact import load_run
from pseudoword.compute import MOST_GRADIENT, Stepper, check_compute, effective
from pseudoword.dataset import Batch, draw_batch
from pseudoword.encoded import encode_photos
from pseudoword.errors import UserError
from pseudoword.families.model import Model
from pseudoword.families.quantise import checkpoint_gradients
from pseudoword.methods import make_method
from pseudoword.objective import squared_errors
from pseudoword.settings import ComputeSettings

DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


def log_of(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


@over_families
@pytest.mark.parametrize("precision", DTYPES)
def test_frozen_weights_are_cast_and_the_autoencoder_is_not(
    family_folder: Path, precision: str
) -> None:
    plain, model = load(family_folder), load(family_folder, precision=precision)
    wide = set()
    for name, part in frozen_parts(model).items():
        whole = frozen_parts(plain)[name].state_dict()
        for key, value in part.state_dict().items():
            if value.is_floating_point():
                if value.dtype == torch.float32:
                    wide.add(key.rpartition(".wo.")[1])
                    assert torch.equal(value, whole[key])
                else:
                    assert torch.equal(value, whole[key].to(DTYPES[precision])), key
    t5 = "t5" in family_folder.name
    assert wide == ({".wo."} if t5 and precision == "fp16" else set())
    assert {p.dtype for p in model.autoencoder.parameters()} == {torch.float32}
    # Random models make much of little: the trained one below has the narrow bounds.
    assert 0 < relative_error(predictions(model), predictions(plain)) < 0.3
    assert predictions(model).dtype == torch.float32
    pixels = torch.zeros(1, 3, model.resolution, model.resolution)
    assert torch.equal(model.encode_pixels(pixels), plain.encode_pixels(pixels))


def test_t5_computes_its_sensitive_matrices_in_float32(tiny_sd35_t5_model: Path) -> None:
    """Autocast would cast them after all."""
    model = load(tiny_sd35_t5_model, precision="fp16")
    seen: list[Tensor] = []
    for name, module in model.text_encoders[2].named_modules():
        if name.endswith(".wo"):
            module.register_forward_hook(lambda m, i, output: seen.append(output))
    model.encode_prompts(["a mug"])
    assert len(seen) == 2 and all(output.dtype == torch.float32 for output in seen)


@pytest.fixture(scope="module", params=["lora", "textual-inversion", "dreambooth"])
def in_float32(
    request: pytest.FixtureRequest, tiny_model: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, Model]:
    """A method's name, and what it makes of the tiny model in 25 steps."""
    name = request.param
    return name, teach(tiny_model, name, tmp_path_factory.mktemp("float32"), {}, steps=25)


@pytest.mark.parametrize("precision", DTYPES)
def test_training_in_16_bits_ends_near_float32(
    in_float32: tuple[str, Model], precision: str, tiny_model: Path, tmp_path: Path
) -> None:
    name, whole = in_float32

    def loss(model: Model, phrase: str) -> float:
        photos, prompts = make_photos(), ("a photo of a {}",)
        examples = loop.photo_examples(photos, encode_photos(model, photos), prompts, phrase)
        (batch,) = draw_batch((examples,), 16, model.objective, 99, 0)
        noisy = model.objective.add_noise(batch.latents, batch.noise, batch.timesteps)
        target = model.objective.target(batch.latents, batch.noise, batch.timesteps)
        with torch.no_grad():
            text = model.encode_prompts(batch.prompts)
            prediction = model.predict(noisy, batch.timesteps, text, batch.sizes)
        return float(squared_errors(prediction, target).mean())

    trained = teach(tiny_model, name, tmp_path, {"precision": precision}, steps=25)
    run = load_run(tmp_path, CPU)
    phrase = run.noun_phrase
    start = load(tiny_model)
    make_method(name, "stable-diffusion", OPTIONS[name]).attach(start, NOUN, 0)
    before, after, wanted = (loss(model, phrase) for model in (start, trained, whole))
    assert after < before
    assert abs(after - wanted) < 0.03 * before
    learning = [p for part in frozen_parts(trained).values() for p in part.parameters()]
    learning = [p for p in learning if p.requires_grad]
    assert learning and all(p.dtype == torch.float32 for p in learning)
    # A run of one precision can be drawn in another.
    here = draw(run.model, phrase).astype(int)
    assert np.abs(here - draw(trained, phrase)).mean() < 5


@pytest.mark.parametrize(
    ("compute", "library"),
    [
        ({"precision": "fp16"}, None),
        ({"precision": "bf16", "gradient_checkpointing": True}, None),
        ({"optimizer": "adamw-8bit"}, "bitsandbytes"),
        ({"precision": "fp16", "optimizer": "adamw-8bit", "quantise": "nf4"}, "bitsandbytes"),
        ({"quantise": "int8"}, "torchao"),
    ],
    ids=lambda value: "-".join(map(str, value.values())) if isinstance(value, dict) else "",
)
def test_resumed_equals_uninterrupted(
    compute: dict[str, Any],
    library: str | None,
    tiny_model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if library:
        pytest.importorskip(library)
    # So high a scale overflows in the first steps, so that the checkpoint holds one that changed.
    scaler = torch.amp.GradScaler
    monkeypatch.setattr(
        computing.torch.amp, "GradScaler", lambda *a, **k: scaler(*a, init_scale=2.0**26, **k)
    )
    # Factors of this size are large enough for moments in 8 bits.
    options = {"steps": 8, "rank": 128, "train_text_encoder": True}

    class InterruptionError(Exception):
        pass

    steps: list[int] = []

    def stop_once(*arguments: Any, **more: Any) -> list[Batch]:
        steps.append(arguments[4])
        if len(steps) == 6:
            raise InterruptionError
        return draw_batch(*arguments, **more)

    teach(tiny_model, "lora", tmp_path / "whole", compute, **options)
    monkeypatch.setattr(checkpoint, "CHECKPOINT_SECONDS", -1.0)
    monkeypatch.setattr(checkpoint, "CHECKPOINT_SHARE", 0.0)
    monkeypatch.setattr(loop, "draw_batch", stop_once)
    with pytest.raises(InterruptionError):
        teach(tiny_model, "lora", tmp_path / "resumed", compute, **options)
    teach(tiny_model, "lora", tmp_path / "resumed", compute, **options)
    assert steps == [0, 1, 2, 3, 4, 5, 5, 6, 7]
    artefacts = [(tmp_path / f / loop.ARTEFACT).read_bytes() for f in ("whole", "resumed")]
    assert artefacts[0] == artefacts[1]
    (whole,), (resumed,) = (log_of(tmp_path / folder) for folder in ("whole", "resumed"))
    assert (whole["loss"], whole["skipped"]) == (resumed["loss"], resumed["skipped"])
    assert (whole["skipped"] > 0) == (compute.get("precision") == "fp16")


def test_a_checkpoint_of_another_precision_is_left_behind(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*arguments: Any, **more: Any) -> list[Batch]:
        if arguments[4] == 3:
            raise InterruptedError
        return draw_batch(*arguments, **more)

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "CHECKPOINT_SECONDS", -1.0)
        patch.setattr(checkpoint, "CHECKPOINT_SHARE", 0.0)
        patch.setattr(loop, "draw_batch", stop)
        with pytest.raises(InterruptedError):
            teach(tiny_model, "lora", tmp_path / "a", {"precision": "bf16"})
    teach(tiny_model, "lora", tmp_path / "a", {})
    teach(tiny_model, "lora", tmp_path / "b", {})
    first, second = ((tmp_path / f / loop.ARTEFACT).read_bytes() for f in "ab")
    assert first == second


def test_an_overflowing_step_changes_nothing_and_is_counted() -> None:
    parameter = nn.Parameter(torch.ones(3))
    optimizer = torch.optim.AdamW([parameter], lr=0.1, fused=True)
    stepper = Stepper(ComputeSettings(precision="fp16"), CPU)
    for factor, moves in ((1.0, True), (float("inf"), False), (1.0, True)):
        before = parameter.detach().clone()
        stepper.backward((parameter * factor).sum())
        stepper.step(optimizer, [parameter])
        assert torch.equal(parameter, before) != moves
        assert parameter.grad is None
    assert stepper.skipped == 1
    again = Stepper(ComputeSettings(precision="fp16"), CPU)
    again.load(json.loads(json.dumps(stepper.state())))
    assert again.state() == stepper.state()
    assert again.state()["scaler"]["scale"] == 2.0**15


def test_gradients_are_clipped_without_their_scale() -> None:
    seen = []
    for precision in ("fp16", "fp32"):
        parameter = nn.Parameter(torch.ones(3))
        optimizer = torch.optim.SGD([parameter], lr=1.0)
        stepper = Stepper(ComputeSettings(precision=precision), CPU)
        stepper.backward((parameter * torch.tensor([3.0, 0.0, 4.0])).sum())
        stepper.step(optimizer, [parameter])
        seen.append(parameter.detach())
    torch.testing.assert_close(seen[0], torch.tensor([0.4, 1.0, 0.2]), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(seen[0], seen[1])


@pytest.mark.parametrize("size", [0.01, 100.0])
def test_clipping_within_the_optimizer_is_clipping_before_it(size: float) -> None:
    chance = torch.Generator().manual_seed(0)
    start = [torch.randn(shape, generator=chance) for shape in ((3,), (4, 5))]
    stepped = []
    for fused in (True, False):
        parameters = [nn.Parameter(part.clone()) for part in start]
        optimizer = torch.optim.AdamW(parameters, lr=0.1, fused=fused)
        stepper = Stepper(ComputeSettings(precision="fp32"), CPU)
        for factor in (size, 0.3 * size):
            loss = sum(factor * (p**2).sum() for p in parameters)
            assert isinstance(loss, torch.Tensor)
            stepper.backward(loss)
            if fused:
                stepper.step(optimizer, parameters)
            else:
                nn.utils.clip_grad_norm_(parameters, MOST_GRADIENT)
                optimizer.step()
                optimizer.zero_grad()
        stepped.append(parameters)
        moments = [optimizer.state[p]["exp_avg_sq"] for p in parameters]
        stepped[-1] += moments
    torch.testing.assert_close(stepped[0], stepped[1])


@over_families
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_gradient_checkpointing_gives_the_same_gradients(
    family_folder: Path, precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from torch.utils import checkpoint as library

    original, calls = library.checkpoint, []

    def count(*arguments: Any, **more: Any) -> Any:
        calls.append(1)
        return original(*arguments, **more)

    monkeypatch.setattr(library, "checkpoint", count)
    gradients = []
    for twice in (False, True):
        model = load(family_folder, precision=precision)
        if twice:
            checkpoint_gradients(model.denoiser, model.text_encoders)
        method = make_method("pivotal-tuning", "stable-diffusion", {"train_text_encoder": True})
        groups = method.attach(model, NOUN, 0)
        noise = torch.randn(1, *model.latent_shape, generator=torch.Generator().manual_seed(1))
        text = model.encode_prompts(["a photo of a <concept>"])
        model.predict(noise, torch.tensor([400]), text).square().mean().backward()
        found = [p.grad for group in groups for p in group.parameters]
        gradients.append([g for g in found if g is not None])
    # Every layer of the text encoders, two each, and some of the denoiser.
    assert len(calls) > 2 * len(model.text_encoders)
    assert len(gradients[0]) == len(gradients[1]) > 0
    assert any(bool(gradient.abs().max() > 0) for gradient in gradients[0])
    for plain, again in zip(*gradients, strict=True):
        assert torch.equal(plain, again)


@pytest.mark.parametrize(
    ("settings", "library"),
    [
        ({"quantise": "int8"}, "torchao"),
        ({"quantise": "nf4"}, "bitsandbytes"),
        ({"optimizer": "adamw-8bit"}, "bitsandbytes"),
    ],
)
def test_a_missing_library_is_told(
    settings: dict[str, Any], library: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(UserError, match=f"{library}.*pip install") as caught:
        check_compute(ComputeSettings(**settings), CPU)
    assert "--" + next(iter(settings)) in str(caught.value)


def test_auto_is_float32_on_a_cpu() -> None:
    assert effective(ComputeSettings(), CPU).precision == "fp32"
    assert effective(ComputeSettings(precision="bf16"), CPU).precision == "bf16"


@pytest.mark.parametrize(("has_bf16", "expected"), [(True, "bf16"), (False, "fp16")])
def test_auto_asks_the_gpu(has_bf16: bool, expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from contextlib import nullcontext

    monkeypatch.setattr(torch.cuda, "device", lambda device: nullcontext())
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **options: has_bf16)
    assert effective(ComputeSettings(), torch.device("cuda:1")).precision == expected


def test_identity_holds_what_results_depend_on() -> None:
    record = computing.compute_record
    auto = record(ComputeSettings(offload=True), CPU)
    assert auto == record(ComputeSettings(precision="fp32"), CPU)
    assert auto != record(ComputeSettings(precision="bf16"), CPU)
    assert "offload" not in auto


@over_families
def test_attention_is_pytorchs_own(family_folder: Path) -> None:
    """Scaled-dot-product attention takes the fastest kernel that a device has."""
    model = load(family_folder)
    for part in (model.denoiser, model.autoencoder):
        kinds = {type(processor).__name__ for processor in part.attn_processors.values()}
        assert kinds and kinds <= {"AttnProcessor2_0", "JointAttnProcessor2_0"}
    assert {encoder.config._attn_implementation for encoder in model.text_encoders} == {"sdpa"}
