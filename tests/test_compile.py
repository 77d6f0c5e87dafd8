"""Compiled training: one graph without breaks, and the same numbers."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny import NOUN, OPTIONS, load_tiny, make_photos
from torch import nn

from pseudoword import compute
from pseudoword.compute import check_compute
from pseudoword.errors import UserError
from pseudoword.methods import make_method
from pseudoword.settings import ComputeSettings
from pseudoword.train import train

CPU = torch.device("cpu")


@pytest.mark.parametrize("name", ["textual-inversion", "lora", "dreambooth"])
def test_the_denoiser_is_one_graph(name: str, tiny_model: Path) -> None:
    model = load_tiny(tiny_model)
    make_method(name, "stable-diffusion", OPTIONS[name]).attach(model, NOUN, 0)
    text = model.encode_prompts(["a mug", "a car"])
    latents = torch.randn(2, *model.latent_shape, generator=torch.Generator().manual_seed(0))

    def predict(latents: torch.Tensor, timesteps: torch.Tensor) -> torch.Tensor:
        return model.predict(latents, timesteps, text)

    torch._dynamo.reset()
    explained = torch._dynamo.explain(predict)(latents, torch.tensor([3, 900]))
    assert (explained.graph_count, explained.graph_break_count) == (1, 0)


def test_compiled_training_learns_the_same(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inner: Callable[..., Any] = nn.Module.compile
    compiled: list[nn.Module] = []

    def by_the_same_operations(module: nn.Module) -> None:
        compiled.append(module)
        inner(module, backend="eager")

    monkeypatch.setattr(nn.Module, "compile", by_the_same_operations)
    for name in ("plain", "compiled"):
        model = load_tiny(tiny_model)
        model.compute = ComputeSettings(precision="fp32", compile=name == "compiled")
        method = make_method("lora", "stable-diffusion", {**OPTIONS["lora"], "steps": 3})
        train(model, method, NOUN, make_photos(), tmp_path / name, seed=0)
    assert compiled == [model.denoiser]
    artefacts = [tmp_path / run / "artefact.safetensors" for run in ("plain", "compiled")]
    assert artefacts[0].read_bytes() == artefacts[1].read_bytes()


def test_without_a_compiler_the_remedy_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = ComputeSettings(compile=True)
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(UserError, match="--compile needs a C.. compiler .no-such-compiler."):
        check_compute(settings, CPU)
    monkeypatch.setattr(compute.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match="--compile needs triton"):
        check_compute(settings, torch.device("cuda"))
