"""Adapters: where they go, and that each computes what its paper says."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from tiny import NOUN, OPTIONS, load_tiny
from torch import Tensor, nn

from pseudoword.artefact import load_run
from pseudoword.errors import UserError
from pseudoword.families.model import Model
from pseudoword.methods import make_method
from pseudoword.methods.adapters import AdapterSettings, parts_of
from pseudoword.methods.boft import _BlockDiagonal
from pseudoword.methods.lora_linear import LowRankSum, SummedLinear

CPU = torch.device("cpu")
TUNERS = ("lora", "dora", "loha", "lokr", "oft", "boft")


def attached(folder: Path, name: str, **more: Any) -> Model:
    model = load_tiny(folder)
    make_method(name, "stable-diffusion", OPTIONS[name] | more).attach(model, NOUN, 0)
    return model


def adapted(part: nn.Module) -> set[str]:
    """The layers beside which an adapter lies."""
    names = (name for name, _ in part.named_modules())
    return {n.removesuffix(".base_layer") for n in names if n.endswith(".base_layer")}


def layer_of(model: Model, part: str = "to_q") -> str:
    names = (name for name, _ in model.denoiser.named_modules())
    return next(n for n in names if n.startswith("down") and n.endswith(f"0.attn1.{part}"))


# Where they go


@pytest.mark.parametrize("name", TUNERS)
def test_targets_grow_from_attention_to_all(name: str, tiny_model: Path) -> None:
    attention = adapted(attached(tiny_model, name).denoiser)
    assert attention and all(".attn" in layer for layer in attention)
    wider = adapted(attached(tiny_model, name, targets="attention-ff").denoiser)
    assert attention < wider and all(".ff.net." in layer for layer in wider - attention)
    if name in ("oft", "boft"):
        with pytest.raises(UserError, match="targets"):
            attached(tiny_model, name, targets="all")
        return
    plain = load_tiny(tiny_model).denoiser
    every = {n for n, m in plain.named_modules() if isinstance(m, nn.Linear | nn.Conv2d)}
    assert {"conv_in", "conv_out", "time_embedding.linear_1"} <= every
    assert adapted(attached(tiny_model, name, targets="all").denoiser) == every


@pytest.mark.parametrize("targets", ["attention", "attention-ff", "all"])
def test_a_text_encoder_gets_its_own(targets: str, tiny_model: Path) -> None:
    model = attached(tiny_model, "lora", targets=targets, train_text_encoder=True)
    ends = {name.rpartition(".")[2] for name in adapted(model.text_encoders[0])}
    attention = {"q_proj", "k_proj", "v_proj", "out_proj"}
    assert ends == (attention if targets == "attention" else attention | {"fc1", "fc2"})
    assert not adapted(attached(tiny_model, "lora", targets=targets).text_encoders[0])


def modules(*names: str) -> nn.Module:
    """A module that has linear layers of these names."""
    root = nn.Module()
    for name in names:
        place = root
        *path, last = name.split(".")
        for step in path:
            if not hasattr(place, step):
                place.add_module(step, nn.Module())
            place = place.get_submodule(step)
        place.add_module(last, nn.Linear(4, 4))
    return root


def test_transformers_and_t5_are_known_by_their_names(tiny_model: Path) -> None:
    model = load_tiny(tiny_model)
    joint = [f"attn.{n}" for n in ("to_q", "to_out.0", "add_q_proj", "add_k_proj", "to_add_out")]
    feed = ["ff.net.0.proj", "ff.net.2", "ff_context.net.0.proj", "ff_context.net.2"]
    model.denoiser = modules("context_embedder", *joint, *feed)
    t5 = [f"SelfAttention.{n}" for n in "qkvo"]
    dense = ["DenseReluDense.wi_0", "DenseReluDense.wi_1", "DenseReluDense.wo"]
    model.text_encoders = [modules(*t5, *dense)]
    for targets, expected in (
        ("attention", (joint, t5)),
        ("attention-ff", (joint + feed, t5 + dense)),
    ):
        settings = AdapterSettings.model_validate({"targets": targets, "train_text_encoder": True})
        parts = parts_of(model, settings)
        assert [set(part.layers()) for part in parts] == [set(names) for names in expected]


@pytest.mark.parametrize("name", TUNERS)
def test_a_part_without_targets_is_an_error(name: str, tiny_model: Path) -> None:
    model = load_tiny(tiny_model)
    model.text_encoders = [nn.Sequential(nn.Linear(2, 2))]
    method = make_method(name, "stable-diffusion", {**OPTIONS[name], "train_text_encoder": True})
    with pytest.raises(UserError, match=r"no layer of text_encoders\.0"):
        method.attach(model, NOUN, 0)


@pytest.mark.parametrize(
    ("name", "changes", "remedy"),
    [
        ("oft", {"block_size": 7}, "divides 8"),
        ("oft", {"block_size": 16}, "divides 8"),
        ("boft", {"block_size": 4, "factors": 3}, "divides 8"),
    ],
)
def test_a_block_that_fits_no_layer_is_told(
    name: str, changes: dict[str, int], remedy: str, tiny_model: Path
) -> None:
    with pytest.raises(UserError, match=remedy):
        make_method(name, "stable-diffusion", changes).attach(load_tiny(tiny_model), NOUN, 0)


# What they compute


@pytest.fixture
def trained(tiny_run: Callable[..., Path]) -> Callable[[str], tuple[nn.Module, dict[str, Tensor]]]:
    """A trained layer without bias, and its own tensors by their short names."""

    def load(name: str, **more: Any) -> tuple[nn.Module, dict[str, Tensor]]:
        folder = tiny_run(name, **more)
        model = load_run(folder, CPU).model
        place = layer_of(model)
        prefix = f"denoiser.{place}."
        tensors = load_file(folder / "artefact.safetensors").items()
        own = {k.removeprefix(prefix): v for k, v in tensors if k.startswith(prefix)}
        return model.denoiser.get_submodule(place), own

    return load


def weight(layer: Any) -> Tensor:
    """The weight (out, in) that a layer without bias amounts to."""
    return layer(torch.eye(layer.base_layer.in_features)).T.detach()  # type: ignore[no-any-return]


def test_lora_scales_its_product(trained: Any) -> None:
    for rslora, scale in ((False, 4.0 / 2), (True, 4.0 / 2**0.5)):
        layer, own = trained("lora", **({"rslora": True} if rslora else {}))
        down, up = own["lora_A.weight"], own["lora_B.weight"]
        assert down.shape == (2, 16)
        torch.testing.assert_close(weight(layer), layer.base_layer.weight + scale * up @ down)


def test_dora_gives_each_weight_vector_the_length_it_learnt(trained: Any) -> None:
    layer, own = trained("dora")
    turned = layer.base_layer.weight + 2.0 * own["lora_B.weight"] @ own["lora_A.weight"]
    lengths = own["lora_magnitude_vector"]
    assert not torch.allclose(lengths, layer.base_layer.weight.norm(dim=1))
    expected = turned / turned.norm(dim=1, keepdim=True) * lengths[:, None]
    torch.testing.assert_close(weight(layer), expected)


def test_loha_multiplies_two_products(trained: Any) -> None:
    layer, own = trained("loha")
    first, second = (own[f"hada_w{i}_a"] @ own[f"hada_w{i}_b"] for i in (1, 2))
    torch.testing.assert_close(weight(layer), layer.base_layer.weight + 2.0 * first * second)


def test_lokr_is_a_kronecker_product(trained: Any) -> None:
    layer, own = trained("lokr")
    change = torch.kron(own["lokr_w1"], own["lokr_w2"])
    torch.testing.assert_close(weight(layer), layer.base_layer.weight + 2.0 * change)


def test_oft_turns_and_does_nothing_else(trained: Any) -> None:
    layer, _ = trained("oft")
    base, now = layer.base_layer.weight.detach(), weight(layer)
    assert not torch.allclose(now, base, atol=1e-3)
    torch.testing.assert_close(now @ now.T, base @ base.T)


def test_boft_turns_by_all_its_factors_and_scales_outputs(trained: Any) -> None:
    layer, own = trained("boft")
    assert own["boft_R"].shape == (2, 4, 4, 4)
    base, lengths = layer.base_layer.weight.detach(), own["boft_s"]
    now = weight(layer) / lengths
    torch.testing.assert_close(now @ now.T, base @ base.T)
    # Two factors of blocks of 4 mix 8 inputs: no rotation of blocks of 4 does.
    turn = torch.linalg.lstsq(base, now).solution
    assert turn[:4, 4:8].abs().max() > 1e-3


def test_block_diagonal_has_the_gradient_that_torch_finds() -> None:
    generator = torch.Generator().manual_seed(0)
    blocks = torch.randn(2, 3, 4, 4, generator=generator, requires_grad=True)
    gradient = torch.randn(2, 12, 12, generator=generator)
    (whole,) = _BlockDiagonal.forward(blocks)
    assert torch.equal(whole[1], torch.block_diag(*blocks[1]))
    (expected,) = torch.autograd.grad(whole, blocks, gradient)
    (own,) = _BlockDiagonal.backward(gradient, blocks.detach())
    assert torch.equal(own, expected)


@pytest.mark.parametrize("name", TUNERS)
def test_strength_goes_straight_from_weight_to_weight(
    name: str, tiny_run: Callable[..., Path]
) -> None:
    run = load_run(tiny_run(name), CPU)
    for part in ("to_q", "to_out.0"):
        layer = run.model.denoiser.get_submodule(layer_of(run.model, part))
        x = torch.randn(5, 16, generator=torch.Generator().manual_seed(0))
        run.method.set_strength(run.model, 1.0)
        with torch.no_grad():
            full, base = layer(x), layer.base_layer(x)
            for strength in (0.3, 1.5):
                run.method.set_strength(run.model, strength)
                torch.testing.assert_close(layer(x), base + strength * (full - base))


def test_lora_plus_lets_second_factors_learn_faster(tiny_model: Path) -> None:
    changes = {"plus_ratio": 16.0, "learning_rate": 1e-4, "train_text_encoder": True}
    model = load_tiny(tiny_model)
    groups = make_method("lora", "stable-diffusion", changes).attach(model, NOUN, 0)
    rates = [group.learning_rate for group in groups]
    assert rates == pytest.approx([1e-4, 16e-4, 5e-5, 80e-5])
    ups = {id(p) for n, p in model.denoiser.named_parameters() if "lora_B" in n}
    assert {id(p) for p in groups[1].parameters} == ups
    plain = make_method("lora", "stable-diffusion").attach(load_tiny(tiny_model), NOUN, 0)
    assert len(plain) == 1


def test_factors_learn_in_full_precision_beside_half_the_matrices(tiny_model: Path) -> None:
    model = load_tiny(tiny_model)
    model.denoiser.to(torch.bfloat16)
    groups = make_method("lora", "stable-diffusion").attach(model, NOUN, 0)
    assert all(p.dtype == torch.float32 for group in groups for p in group.parameters)


def test_lora_sums_matrices_as_peft_sums_outputs() -> None:
    from peft import LoraConfig, inject_adapter_in_model
    from peft.tuners.lora.layer import Linear

    torch.manual_seed(0)
    config = LoraConfig(r=2, lora_alpha=3, target_modules=["0"], init_lora_weights=False)
    own = inject_adapter_in_model(config, nn.Sequential(nn.Linear(6, 10)).double())
    layer = own[0]
    x = torch.randn(3, 7, 6, dtype=torch.double, requires_grad=True)
    gradient = torch.randn(3, 7, 10, dtype=torch.double)
    learnt = (layer.lora_A.default.weight, layer.lora_B.default.weight)
    expected_outputs = Linear.forward(layer, x)
    expected = torch.autograd.grad(expected_outputs, (x, *learnt), gradient)
    base = layer.base_layer
    outputs = LowRankSum.apply(x, base.weight, base.bias, *learnt, 1.5)
    torch.testing.assert_close(outputs, expected_outputs)
    for own_gradient, theirs in zip(
        torch.autograd.grad(outputs, (x, *learnt), gradient), expected, strict=True
    ):
        torch.testing.assert_close(own_gradient, theirs)


def test_only_plain_lora_beside_float32_sums_matrices(tiny_model: Path) -> None:
    def kinds(name: str, dtype: torch.dtype = torch.float32, **more: Any) -> set[bool]:
        model = load_tiny(tiny_model)
        model.denoiser.to(dtype)
        make_method(name, "stable-diffusion", OPTIONS[name] | more).attach(model, NOUN, 0)
        layers = [m for m in model.denoiser.modules() if hasattr(m, "base_layer")]
        return {isinstance(layer, SummedLinear) for layer in layers}

    assert kinds("lora") == {True}
    assert kinds("lora", targets="all") == {True, False}  # convolutions are no matrices
    assert kinds("lora", torch.bfloat16) == kinds("dora") == kinds("loha") == {False}
