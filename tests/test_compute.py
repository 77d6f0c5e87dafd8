"""Precisions, packed bases and offloading: what they may change, and what they must not."""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny import NOUN, OPTIONS, load_tiny, make_photo, make_photos
from torch import Tensor, nn

from pseudoword import compute as computing
from pseudoword import train as loop
from pseudoword.artefact import load_run
from pseudoword.compute import Stage, Stepper, check_compute, effective
from pseudoword.dataset import Batch, draw_batch
from pseudoword.errors import UserError
from pseudoword.export import export_run
from pseudoword.families import load_model
from pseudoword.families.model import Model
from pseudoword.families.quantise import checkpoint_gradients
from pseudoword.generate import Request, generate
from pseudoword.methods import METHODS, check_quantise, make_method
from pseudoword.objective import squared_errors
from pseudoword.settings import ComputeSettings, GenerateSettings, LoadSettings

CPU = torch.device("cpu")
FAMILIES = ["tiny_model", "tiny_sd2_model", "tiny_xl_model", "tiny_sd3_model", "tiny_sd35_t5_model"]
DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}
DRAWING = GenerateSettings(sampling_steps=2)
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

over_families = pytest.mark.parametrize("family", FAMILIES)


@pytest.fixture
def family_folder(family: str, request: pytest.FixtureRequest) -> Path:
    folder: Path = TOYBOX if family == "toybox" else request.getfixturevalue(family)
    return folder


TOYBOX = Path("toybox")
"""The packaged model: its widths are such that nf4 packs it."""


def load(folder: Path, masters: bool = False, **compute: Any) -> Model:
    if folder != TOYBOX and not masters and not compute:
        return load_tiny(folder)
    settings = ComputeSettings(**compute)
    loading = LoadSettings(t5="t5" in folder.name)
    return load_model(str(folder), CPU, loading, settings, masters)


def teach(folder: Path, name: str, out: Path, compute: dict[str, Any], **more: Any) -> Model:
    method = make_method(
        name, "stable-diffusion", {"steps": 6, "batch_size": 2, **OPTIONS[name], **more}
    )
    model = load(folder, "weights" in method.learns, **compute)
    photos = make_photos()
    if folder == TOYBOX:
        photos = [make_photo(p.pixels.repeat(4, axis=0).repeat(4, axis=1)) for p in photos]
    loop.train(model, method, NOUN, photos, out, seed=0)
    return model


def log_of(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def draw(model: Model, phrase: str) -> np.ndarray:
    return generate(model, [Request(f"a photo of a {phrase} in the snow", 3)], DRAWING)[0]


@torch.no_grad()
def predictions(model: Model) -> Tensor:
    """Of four fixed noisy latents (4, c, h, w)."""
    noise = torch.randn(4, *model.latent_shape, generator=torch.Generator().manual_seed(1))
    text = model.encode_prompts(["a photo of a mug", "a red cube"] * 2)
    return model.predict(noise, torch.tensor([100, 400, 600, 900]), text)


def relative_error(value: Tensor, truth: Tensor) -> float:
    return float((value - truth).square().mean().sqrt() / truth.square().mean().sqrt())


def frozen_parts(model: Model) -> dict[str, nn.Module]:
    return {"denoiser": model.denoiser} | {
        f"text_encoders.{i}": part for i, part in enumerate(model.text_encoders)
    }


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
        examples = loop.photo_examples(model, make_photos(), ("a photo of a {}",), phrase)
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
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", -1.0)
    monkeypatch.setattr(loop, "CHECKPOINT_SHARE", 0.0)
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
        patch.setattr(loop, "CHECKPOINT_SECONDS", -1.0)
        patch.setattr(loop, "CHECKPOINT_SHARE", 0.0)
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
