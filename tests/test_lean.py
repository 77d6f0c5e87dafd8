"""Lean blocks: fewer operations, the same numbers and gradients to the bit."""

import copy
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from diffusers import UNet2DConditionModel
from diffusers.models.activations import GEGLU
from diffusers.models.attention_processor import Attention, AttnProcessor, AttnProcessor2_0
from diffusers.models.resnet import ResnetBlock2D
from tiny import load_tiny

from pseudoword.families.lean import LeanAttention, LeanGEGLU, LeanResnetBlock, make_lean
from pseudoword.families.model import Model

UNETS = ["tiny_model", "tiny_sd2_model", "tiny_xl_model"]
Loaded = tuple[Model, UNet2DConditionModel]


@pytest.fixture(params=UNETS)
def loaded(request: pytest.FixtureRequest) -> Loaded:
    """A model as it is loaded, and its denoiser as diffusers makes it."""
    folder: Path = request.getfixturevalue(request.param)
    return load_tiny(folder), UNet2DConditionModel.from_pretrained(folder, subfolder="unet").eval()


def kinds(denoiser: torch.nn.Module) -> set[type]:
    found = (ResnetBlock2D, Attention, GEGLU)
    return {type(m) for m in denoiser.modules() if isinstance(m, found)}


def results(model: Model, *learning: str) -> tuple[list[torch.Tensor], int]:
    """A prediction and the gradients of latents, text and weights; the bytes kept for them.

    Weights whose name has one of the words `learning` in it learn.
    """
    chance = torch.Generator().manual_seed(0)
    latents = torch.randn(2, *model.latent_shape, generator=chance).requires_grad_()
    text = model.encode_prompts(["a mug", "a ball on snow"])
    text.states.requires_grad_()
    for name, weight in model.denoiser.named_parameters():
        weight.requires_grad_(any(word in name for word in learning))
    kept: dict[int, int] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        memory = tensor.untyped_storage()
        kept[memory.data_ptr()] = memory.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        prediction = model.predict(latents, torch.tensor([3, 900]), text)
    for weight in model.denoiser.parameters():
        kept.pop(weight.untyped_storage().data_ptr(), None)
    prediction.square().mean().backward()
    weights = [w.grad for w in model.denoiser.parameters() if w.requires_grad]
    found = [prediction, latents.grad, text.states.grad, *weights]
    return [tensor for tensor in found if tensor is not None], sum(kept.values())


@pytest.mark.parametrize("learning", [(), ("",), ("to_k", "to_v"), ("bias",)])
def test_numbers_and_gradients_are_diffusers_own(learning: tuple[str, ...], loaded: Loaded) -> None:
    model, plain = loaded
    assert kinds(model.denoiser) == {LeanResnetBlock, LeanAttention, LeanGEGLU}
    assert kinds(plain) == {ResnetBlock2D, Attention, GEGLU}
    lean, _ = results(model, *learning)
    model.denoiser = plain
    same, _ = results(model, *learning)
    for ours, theirs in zip(lean, same, strict=True):
        assert torch.equal(ours, theirs)


def test_less_is_kept_for_the_gradients(loaded: Loaded) -> None:
    model, plain = loaded
    _, learning = results(model, "")
    _, frozen = results(model)
    model.denoiser = plain
    _, before = results(model, "")
    assert frozen < learning < 0.95 * before
    _, before = results(model)
    assert frozen < 0.85 * before


def test_state_and_another_processor_are_as_before(loaded: Loaded) -> None:
    model, plain = loaded
    assert model.denoiser.state_dict().keys() == plain.state_dict().keys()
    asked: list[str] = []

    class Watched(AttnProcessor):
        def __call__(self, *given: torch.Tensor, **more: torch.Tensor) -> torch.Tensor:
            asked.append("")
            answer: torch.Tensor = super().__call__(*given, **more)
            return answer

    model.denoiser.set_attn_processor(Watched())
    results(model)
    assert len(asked) == sum(isinstance(m, Attention) for m in model.denoiser.modules())


@pytest.mark.parametrize(
    ("plain", "lean", "change"),
    [
        (ResnetBlock2D, LeanResnetBlock, lambda block: setattr(block, "output_scale_factor", 2.0)),
        (ResnetBlock2D, LeanResnetBlock, lambda block: setattr(block.dropout, "p", 0.1)),
        (ResnetBlock2D, LeanResnetBlock, lambda block: setattr(block, "skip_time_act", True)),
        (Attention, LeanAttention, lambda block: setattr(block, "rescale_output_factor", 2.0)),
        (Attention, LeanAttention, lambda block: setattr(block, "residual_connection", True)),
        (Attention, LeanAttention, lambda block: setattr(block, "norm_q", torch.nn.Identity())),
    ],
)
def test_a_block_of_another_kind_stays(
    plain: type, lean: type, change: Callable[[torch.nn.Module], None], tiny_model: Path
) -> None:
    denoiser = UNet2DConditionModel.from_pretrained(tiny_model, subfolder="unet")
    other = next(m for m in denoiser.modules() if isinstance(m, plain))
    change(other)
    make_lean(denoiser)
    assert type(other) is plain
    assert lean in kinds(denoiser)


def test_an_attention_mask_is_heeded(tiny_model: Path) -> None:
    lean = next(m for m in load_tiny(tiny_model).denoiser.modules() if type(m) is LeanAttention)
    plain = copy.deepcopy(lean)
    plain.__class__ = Attention
    assert type(plain.processor) is AttnProcessor2_0
    rows = torch.randn(1, 4, lean.to_q.in_features, generator=torch.Generator().manual_seed(0))
    mask = torch.tensor([[[0.0, 0.0, -1e4, -1e4]]])
    masked = lean(rows, attention_mask=mask)
    assert torch.equal(masked, plain(rows, attention_mask=mask))
    assert not torch.equal(masked, lean(rows))
