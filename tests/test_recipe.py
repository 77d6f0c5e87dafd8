"""The recipe: its loop resumes exactly, its tokenizer has every word, its encoder starts linear."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from pseudoword.toybox.recipe import fit as fit_module
from pseudoword.toybox.recipe.autoencoder import (
    LATENT_CHANNELS,
    build_autoencoder,
    start_from_components,
)
from pseudoword.toybox.recipe.data import batch_indices, to_tensor
from pseudoword.toybox.recipe.fit import Group, Schedule, fit
from pseudoword.toybox.recipe.tokenizer import RARE_WORDS, build_tokenizer
from pseudoword.toybox.world import sample_scene
from pseudoword.toybox.world.render import render_many
from pseudoword.toybox.world.vocabulary import WORDS


def train_small(folder: Path, stop_at: int | None = None) -> dict[str, Tensor]:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Linear(8, 1))

    def loss(step: int) -> Tensor:
        if step == stop_at:
            raise KeyboardInterrupt
        x = torch.randn(16, 4, generator=torch.Generator().manual_seed(step))
        return (net(x)[:, 0] - x.sum(dim=1)).square().mean()

    fit(loss, [Group((net,), 1e-2)], Schedule(30, 5), folder, lambda text: None, average=0.9)
    return {key: value.clone() for key, value in net.state_dict().items()}


def test_resumed_equals_uninterrupted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = train_small(tmp_path / "whole")
    always = {"save_every_seconds": 0.0}
    monkeypatch.setattr(fit_module.fit, "__kwdefaults__", fit.__kwdefaults__ | always)
    with pytest.raises(KeyboardInterrupt):
        train_small(tmp_path / "cut", stop_at=17)
    resumed = train_small(tmp_path / "cut")
    floats = [key for key in whole if whole[key].is_floating_point()]
    assert all(torch.equal(whole[key], resumed[key]) for key in floats)


def test_an_epoch_holds_every_picture_once() -> None:
    drawn = np.concatenate([batch_indices(10, 4, seed=3, step=step) for step in range(5)])
    assert sorted(drawn[:10]) == list(range(10)) and sorted(drawn[10:]) == list(range(10))
    assert list(drawn[:10]) != list(drawn[10:])


def test_every_word_is_a_token() -> None:
    tokenizer = build_tokenizer(WORDS)
    for word in [*WORDS, *RARE_WORDS]:
        assert len(tokenizer.tokenize(word)) == 1, word
    assert tokenizer.eos_token_id != 2
    ids = tokenizer("a photo of a sks mug").input_ids
    assert len(ids) == 8 and ids[-1] == tokenizer.eos_token_id
    assert tokenizer.decode(ids, skip_special_tokens=True) == "a photo of a sks mug"
    assert tokenizer.unk_token_id not in tokenizer("Ünïcode!", add_special_tokens=False).input_ids


def test_the_encoder_starts_as_a_linear_code() -> None:
    """A linear map of the start's codes gives patches back nearly as well as the best can."""
    torch.manual_seed(0)
    pixels = to_tensor(render_many([sample_scene(seed) for seed in range(60)]))
    model = build_autoencoder()
    start_from_components(model, pixels)
    with torch.no_grad():
        # before the 1x1 convolutions, which the start leaves to training
        codes = model.encoder(pixels)[:, :LATENT_CHANNELS].double()
    patches = nn.functional.pixel_unshuffle(pixels, 8).double().permute(0, 2, 3, 1).flatten(0, 2)
    known = codes.permute(0, 2, 3, 1).flatten(0, 2)
    known = torch.cat([known, torch.ones(len(known), 1)], dim=1)
    solution = torch.linalg.lstsq(known, patches).solution
    reached = (known @ solution - patches).square().mean()
    spectrum = torch.linalg.eigvalsh(torch.cov(patches.T))
    best = spectrum[:-LATENT_CHANNELS].sum() / len(spectrum)
    assert reached < 2.0 * best
