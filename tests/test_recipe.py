"""The recipe: its loop resumes exactly, its tokenizer has every word, its encoder starts linear."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import SafetensorError
from torch import Tensor, nn

from pseudoword.checkpoint import CHECKPOINT, Checkpoints
from pseudoword.checksum import check_seal
from pseudoword.cli import main
from pseudoword.errors import UserError
from pseudoword.families import load_model
from pseudoword.generate import Request, generate
from pseudoword.metrics.encoders import load_encoder
from pseudoword.progress import Silent
from pseudoword.runs import write_json
from pseudoword.settings import CheckpointSettings, GenerateSettings
from pseudoword.toybox.oracle import load_oracle
from pseudoword.toybox.pixels import to_tensor
from pseudoword.toybox.reader import load_reader
from pseudoword.toybox.recipe import denoiser, judges, oracle, pair, pipeline
from pseudoword.toybox.recipe.autoencoder import build_autoencoder, start_from_components
from pseudoword.toybox.recipe.data import batch_indices, render_pictures
from pseudoword.toybox.recipe.denoiser import build_unet, grow_unet
from pseudoword.toybox.recipe.fit import Group, Place, Schedule, fit
from pseudoword.toybox.recipe.layout import COARSE, FINE, Layout
from pseudoword.toybox.recipe.tokenizer import RARE_WORDS, build_tokenizer
from pseudoword.toybox.world import sample_scene
from pseudoword.toybox.world.render import render_many
from pseudoword.toybox.world.vocabulary import CLASSES, WORDS

NEVER = CheckpointSettings(checkpoint_seconds=1e9)
"""No checkpoint but that of an interruption and that of the end."""


def train_small(
    folder: Path,
    stop_at: int | None = None,
    checkpoints: CheckpointSettings = NEVER,
    note: Callable[[str], None] = lambda text: None,
) -> tuple[dict[str, Tensor], list[float]]:
    """What a training of 30 steps ends with, and its logged losses; Ctrl-C in the middle of one."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Linear(8, 1))

    def loss(step: int) -> Tensor:
        x = torch.randn(16, 4, generator=torch.Generator().manual_seed(step))
        value = (net(x)[:, 0] - x.sum(dim=1)).square().mean()
        if step == stop_at:
            raise KeyboardInterrupt
        return value

    class Told(Silent):
        def note(self, text: str) -> None:
            note(text)

    place = Place(folder, Told(), checkpoints)
    fit(loss, [Group((net,), 1e-2)], Schedule(30, 5), place, average=0.9)
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    state = {key: value.clone() for key, value in net.state_dict().items()}
    return state, [line["loss"] for line in lines]


def assert_same(
    one: tuple[dict[str, Tensor], list[float]], other: tuple[dict[str, Tensor], list[float]]
) -> None:
    assert all(torch.equal(one[0][key], other[0][key]) for key in one[0])
    assert one[1] == other[1] and len(one[1]) == 2


@pytest.mark.parametrize("stop_at", [1, 17, 29])
def test_interrupted_it_goes_on_at_the_same_step(stop_at: int, tmp_path: Path) -> None:
    whole = train_small(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        train_small(tmp_path / "cut", stop_at)
    assert check_seal(tmp_path / "cut" / CHECKPOINT)["step"] == stop_at
    assert_same(train_small(tmp_path / "cut"), whole)


def test_killed_it_goes_on_from_its_last_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = train_small(tmp_path / "whole")
    # A kill saves nothing more.
    monkeypatch.setattr(Checkpoints, "interrupted", lambda self: None)
    with pytest.raises(KeyboardInterrupt):
        train_small(tmp_path / "cut", 17, CheckpointSettings(checkpoint_steps=5))
    assert check_seal(tmp_path / "cut" / CHECKPOINT)["step"] == 15
    assert_same(train_small(tmp_path / "cut"), whole)


@pytest.mark.parametrize("spoil", ["damage", "other"])
def test_a_checkpoint_that_does_not_fit_is_told(spoil: str, tmp_path: Path) -> None:
    whole = train_small(tmp_path / "whole")
    file = tmp_path / "cut" / CHECKPOINT
    file.parent.mkdir()
    data = bytearray((tmp_path / "whole" / CHECKPOINT).read_bytes())
    if spoil == "damage":
        data[-1] ^= 1
    file.write_bytes(data)
    notes: list[str] = []
    assert_same(train_small(file.parent, note=notes.append), whole)
    (note,) = notes
    told = "damaged" if spoil == "damage" else "another stage"
    assert str(file) in note and told in note and "from the beginning" in note


def test_how_often_it_saves_is_told_on_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[CheckpointSettings] = []

    def train(folder: Path, *_: object, checkpoints: CheckpointSettings) -> Path:
        asked.append(checkpoints)
        return folder

    monkeypatch.setattr(pipeline, "train_toybox", train)
    command = ["toybox", "train", "--out", str(tmp_path), "--checkpoint-seconds", "7"]
    assert main([*command, "--checkpoint-steps", "9"]) == 0
    assert asked == [CheckpointSettings(checkpoint_seconds=7.0, checkpoint_steps=9)]


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


def test_what_a_stage_left_is_looked_at_before_it_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stage(work: pipeline.Work, folder: Path) -> dict[str, float]:
        (folder / "model").mkdir()
        (folder / "model" / "model.safetensors").write_bytes(b"whole")
        (folder / "latents.safetensors").write_bytes(b"of no one else's concern")
        return {"psnr": 3.0}

    monkeypatch.setitem(pipeline.STAGES, "autoencoder", stage)
    again = partial(pipeline.train_toybox, tmp_path, torch.device("cpu"), Silent())
    again(["autoencoder"])
    again(["autoencoder"])
    (tmp_path / "autoencoder" / "latents.safetensors").unlink()
    again(["autoencoder"])
    (tmp_path / "autoencoder" / "model" / "model.safetensors").write_bytes(b"whale")
    monkeypatch.setitem(pipeline.NEEDS, "denoiser", ("autoencoder",))
    for stages in (["autoencoder"], ["denoiser"]):
        with pytest.raises(UserError, match=r"model\.safetensors is missing or damaged"):
            again(stages)
    write_json(tmp_path / "autoencoder" / "done.json", {"psnr": 3.0})
    with pytest.raises(UserError, match="another version, which noted no checksums"):
        again(["denoiser"])
    write_json(tmp_path / "autoencoder" / "origin.json", "another")
    with pytest.raises(UserError, match="another recipe"):
        again(["denoiser"])


def test_pictures_that_were_damaged_are_told_and_rendered_again(tmp_path: Path) -> None:
    notes: list[str] = []

    class Told(Silent):
        def note(self, text: str) -> None:
            notes.append(text)

    def rendered() -> np.ndarray:
        return render_pictures(3, 32, 0, tmp_path, Told()).pixels

    whole = rendered()
    (file,) = tmp_path.iterdir()
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    assert np.array_equal(rendered(), whole) and np.array_equal(rendered(), whole)
    (note,) = notes
    assert str(file) in note and "made again" in note


def test_a_full_disk_amid_a_stage_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stage(work: pipeline.Work, folder: Path) -> dict[str, float]:
        raise SafetensorError("I/O error: No space left on device (os error 28)")

    monkeypatch.setitem(pipeline.STAGES, "pair", stage)
    assert main(["toybox", "train", "--stages", "pair", "--out", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert f"{tmp_path} cannot be written: the disk is full" in error


def test_a_kill_before_a_stage_has_its_record_blocks_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pair").mkdir()
    monkeypatch.setitem(pipeline.STAGES, "pair", lambda work, folder: {})
    pipeline.train_toybox(tmp_path, torch.device("cpu"), Silent(), ["pair"])
    assert (tmp_path / "pair" / "done.json").exists()


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
