"""The recipe: its loop resumes exactly, its tokenizer has every word, its encoder starts linear."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from pseudoword.errors import UserError
from pseudoword.families import load_model
from pseudoword.generate import Request, generate
from pseudoword.metrics.encoders import load_encoder
from pseudoword.progress import Silent
from pseudoword.settings import GenerateSettings
from pseudoword.toybox.oracle import load_oracle
from pseudoword.toybox.pixels import to_tensor
from pseudoword.toybox.reader import load_reader
from pseudoword.toybox.recipe import denoiser, judges, oracle, pair, pipeline
from pseudoword.toybox.recipe import fit as fit_module
from pseudoword.toybox.recipe.autoencoder import build_autoencoder, start_from_components
from pseudoword.toybox.recipe.data import batch_indices
from pseudoword.toybox.recipe.denoiser import build_unet, grow_unet
from pseudoword.toybox.recipe.fit import Group, Schedule, fit
from pseudoword.toybox.recipe.layout import COARSE, FINE, Layout
from pseudoword.toybox.recipe.tokenizer import RARE_WORDS, build_tokenizer
from pseudoword.toybox.world import sample_scene
from pseudoword.toybox.world.render import render_many
from pseudoword.toybox.world.vocabulary import CLASSES, WORDS


def train_small(folder: Path, stop_at: int | None = None) -> dict[str, Tensor]:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Linear(8, 1))

    def loss(step: int) -> Tensor:
        if step == stop_at:
            raise KeyboardInterrupt
        x = torch.randn(16, 4, generator=torch.Generator().manual_seed(step))
        return (net(x)[:, 0] - x.sum(dim=1)).square().mean()

    fit(loss, [Group((net,), 1e-2)], Schedule(30, 5), folder, Silent(), average=0.9)
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


def test_words_have_the_same_numbers_each_time() -> None:
    first, *others = (build_tokenizer(WORDS).get_vocab() for _ in range(5))
    assert all(vocabulary == first for vocabulary in others)


def test_every_word_is_a_token() -> None:
    tokenizer = build_tokenizer(WORDS)
    for word in [*WORDS, *RARE_WORDS]:
        assert len(tokenizer.tokenize(word)) == 1, word
    assert tokenizer.eos_token_id != 2
    ids = tokenizer("a photo of a sks mug").input_ids
    assert len(ids) == 8 and ids[-1] == tokenizer.eos_token_id
    assert tokenizer.decode(ids, skip_special_tokens=True) == "a photo of a sks mug"
    assert tokenizer.unk_token_id not in tokenizer("Ünïcode!", add_special_tokens=False).input_ids


@pytest.mark.parametrize("layout", [COARSE, FINE], ids=["coarse", "fine"])
def test_the_encoder_starts_as_a_linear_code(layout: Layout) -> None:
    """A linear map of the start's codes gives patches back nearly as well as the best can."""
    torch.manual_seed(0)
    pixels = to_tensor(render_many([sample_scene(seed) for seed in range(60)], layout.size))
    model = build_autoencoder(layout)
    channels = layout.latent_channels
    start_from_components(model, pixels)
    with torch.no_grad():
        # before the 1x1 convolutions, which the start leaves to training
        codes = model.encoder(pixels)[:, :channels].double()
    patches = (
        nn.functional.pixel_unshuffle(pixels, layout.patch)
        .double()
        .permute(0, 2, 3, 1)
        .flatten(0, 2)
    )
    known = codes.permute(0, 2, 3, 1).flatten(0, 2)
    known = torch.cat([known, torch.ones(len(known), 1)], dim=1)
    solution = torch.linalg.lstsq(known, patches).solution
    reached = (known @ solution - patches).square().mean()
    spectrum = torch.linalg.eigvalsh(torch.cov(patches.T))
    best = spectrum[:-channels].sum() / len(spectrum)
    assert reached < 3.0 * best


def test_a_denoiser_grows_around_a_smaller_one() -> None:
    """What both have stays; the timestep, told by fewer sinusoids, is understood as before."""
    torch.manual_seed(0)
    small = build_unet(COARSE)
    with torch.no_grad():
        # Every other frequency is one that the larger one has not.
        small.time_embedding.linear_1.weight[:, 1::2] = 0.0
    model = grow_unet(small, FINE)
    inner, outer = small.down_blocks[1].state_dict(), model.down_blocks[2].state_dict()
    assert all(torch.equal(inner[key], outer[key]) for key in inner)
    kept, grown = small.mid_block.state_dict(), model.mid_block.state_dict()
    assert all(torch.equal(kept[key], grown[key]) for key in kept)
    timesteps = torch.arange(0, 1000, 7)
    with torch.no_grad():
        before = small.time_embedding(small.time_proj(timesteps))
        after = model.time_embedding(model.time_proj(timesteps))
        with torch.autocast("cpu", torch.bfloat16):
            rounded = model.time_embedding(model.time_proj(timesteps)).float()
    assert (before - after).std() < 0.05 * before.std()
    assert (after - rounded).std() < 0.05 * before.std()


def test_the_recipe_makes_a_whole_toybox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every stage for two steps on few pictures; what comes out loads, and is not made again."""
    monkeypatch.setattr(pipeline, "PICTURES", 4)
    monkeypatch.setattr(pipeline, "HELD_OUT", 2)
    monkeypatch.setattr(pipeline, "SUBJECTS", len(CLASSES))
    monkeypatch.setattr(judges, "TOYS_A_CLASS", 1)
    monkeypatch.setattr(judges, "TOYS_ASKED", 4)
    monkeypatch.setattr(pipeline, "oracle_accuracy", partial(oracle.oracle_accuracy, toys=2))
    for module in (pair, denoiser, judges, oracle):
        monkeypatch.setattr(module, "BATCH", 2)
    steps = dict.fromkeys(pipeline.STAGES, 2)
    device = torch.device("cpu")
    weights = pipeline.train_toybox(tmp_path, device, Silent(), steps=steps)
    model = load_model(str(weights / "model"), device)
    assert generate(model, [Request("a photo of a red mug", 0)], GenerateSettings(sampling_steps=2))
    for role in ("clip", "dino", "inception"):
        encoder = load_encoder(f"toybox-{role}", source=weights / "judges" / role)
        assert np.isfinite(encoder.embed_images([Image.new("RGB", (FINE.size,) * 2, "red")])).all()
    assert load_reader(weights / "reader.safetensors")
    assert load_oracle(weights / "oracle.safetensors")
    monkeypatch.setattr(pipeline, "STAGES", dict.fromkeys(pipeline.STAGES))
    assert pipeline.train_toybox(tmp_path, device, Silent(), steps=steps) == weights
    with pytest.raises(UserError, match="another recipe"):
        pipeline.train_toybox(tmp_path, device, Silent(), ["pair"], steps | {"pair": 3})


def test_a_stage_without_its_needs_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="needs autoencoder"):
        pipeline.train_toybox(tmp_path, torch.device("cpu"), Silent(), ["denoiser"])


def test_an_unknown_stage_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="magic is no stage"):
        pipeline.train_toybox(tmp_path, torch.device("cpu"), Silent(), ["magic"])


def test_a_schedule_rises_stays_and_falls() -> None:
    schedule = Schedule(100, warmup=10, plateau=0.6)
    assert schedule.factor(0) == pytest.approx(0.1) and schedule.factor(4) == pytest.approx(0.5)
    assert {schedule.factor(step) for step in range(10, 61)} == {1.0}
    falling = [schedule.factor(step) for step in range(60, 101)]
    assert falling == sorted(falling, reverse=True) and falling[-1] == pytest.approx(0.0)
    assert Schedule(100, warmup=10).factor(55) == pytest.approx(0.5)
