"""Whatever ends a training early, the same command goes on to the same end, or says why not."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from tiny import NOUN, load_tiny, train_tiny
from torch import nn

from pseudoword import checkpoint, class_pictures
from pseudoword import train as loop
from pseudoword.checkpoint import Checkpoints
from pseudoword.checksum import save_sealed
from pseudoword.compute import Stepper, library_versions
from pseudoword.dataset import Batch, draw_batch
from pseudoword.errors import UserError
from pseudoword.methods import make_method
from pseudoword.progress import Silent
from pseudoword.runs import read_json
from pseudoword.settings import CheckpointSettings, StudySettings, TrainSettings
from pseudoword.train import has_ended

EACH_STEP = CheckpointSettings(checkpoint_steps=1)
SHORT: dict[str, Any] = {"steps": 4, "snapshots": 2, "batch_size": 1}


class Killed(BaseException):
    """Stands for whatever ends a process without asking."""


def result(folder: Path) -> dict[str, Any]:
    """All that a finished training may be told apart by: everything but times and memory."""
    run = read_json(folder / "run.json")
    del run["cost"]["seconds"], run["cost"]["peak_memory_bytes"]
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    files = {
        str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.safetensors")
    }
    return {"run": run, "log": [{**line, "seconds": 0} for line in lines], **files}


@pytest.fixture(scope="module")
def whole(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a training ends with that nobody interrupted."""
    folder = tmp_path_factory.mktemp("whole")
    train_tiny(tiny_model, "lora", folder, **SHORT)
    return result(folder)


def stop_at(monkeypatch: pytest.MonkeyPatch, step: int, kind: type[BaseException]) -> None:
    """The training ends at this step's samples, until the patch is undone."""

    def draw(*arguments: Any) -> list[Batch]:
        if arguments[4] == step:
            raise kind
        return draw_batch(*arguments)

    monkeypatch.setattr(loop, "draw_batch", draw)


@pytest.fixture
def halfway(tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A training that was killed in its fourth step."""
    with monkeypatch.context() as patch:
        stop_at(patch, 3, Killed)
        with pytest.raises(Killed):
            train_tiny(tiny_model, "lora", tmp_path, checkpoints=EACH_STEP, **SHORT)
    return tmp_path


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_killed_at_any_write_it_ends_the_same(
    after: bool,
    whole: dict[str, Any],
    tiny_model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    replace, killed, count = Path.replace, 0, 0

    def dying(self: Path, target: Path) -> Path:
        nonlocal count
        count += 1
        if count == killed and not after:
            raise Killed
        moved = replace(self, target)
        if count == killed:
            raise Killed
        return moved

    monkeypatch.setattr(Path, "replace", dying)
    while count >= killed:
        killed, count, folder = killed + 1, 0, tmp_path / str(killed)
        try:
            train_tiny(tiny_model, "lora", folder, checkpoints=EACH_STEP, **SHORT)
        except Killed:
            count += 10**6
            if not has_ended(folder):
                train_tiny(tiny_model, "lora", folder, checkpoints=EACH_STEP, **SHORT)
        assert result(folder) == whole
    # Four checkpoints, two snapshots, the log, the artefact and run.json.
    assert killed == 10 + 1


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def flip(place: Callable[[bytes], int]) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        data = bytearray(path.read_bytes())
        data[place(bytes(data))] ^= 1
        path.write_bytes(data)

    return damage


DAMAGES: dict[str, Callable[[Path], None]] = {
    "truncated": truncate,
    "empty": lambda path: path.write_bytes(b""),
    "last bit": flip(lambda data: len(data) - 1),
    "first tensor": flip(lambda data: 8 + int.from_bytes(data[:8], "little")),
    "finished steps": flip(lambda data: data.index(b'\\"step\\": ') + 10),
    "length": flip(lambda data: 1),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_checkpoint_is_named_and_not_taken_up(
    damage: Callable[[Path], None], halfway: Path, whole: dict[str, Any], tiny_model: Path
) -> None:
    damage(halfway / checkpoint.CHECKPOINT)
    notes: list[str] = []
    train_tiny(tiny_model, "lora", halfway, note=notes.append, **SHORT)
    (note,) = notes
    assert str(halfway / checkpoint.CHECKPOINT) in note and "damaged" in note
    assert "from the beginning" in note
    assert result(halfway) == whole


def test_a_file_of_another_kind_is_no_checkpoint(
    halfway: Path, whole: dict[str, Any], tiny_model: Path
) -> None:
    other = sorted((halfway / "snapshots").iterdir())[0]
    (halfway / checkpoint.CHECKPOINT).write_bytes(other.read_bytes())
    notes: list[str] = []
    train_tiny(tiny_model, "lora", halfway, note=notes.append, **SHORT)
    (note,) = notes
    assert str(halfway / checkpoint.CHECKPOINT) in note and "of another kind" in note
    assert result(halfway) == whole


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"learning_rate": 3e-3}, "settings"),
        ({"seed": 1}, "seed"),
        ({"model": "0" * 64}, "model"),
        ({"version": "0.0.0"}, "version"),
        ({"torch": "1.0.0"}, "version of torch"),
    ],
)
def test_a_checkpoint_of_other_work_is_named_and_not_taken_up(
    change: dict[str, Any],
    named: str,
    halfway: Path,
    tiny_model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if "version" in change:
        monkeypatch.setattr(checkpoint, "__version__", change["version"])
    if "torch" in change:
        monkeypatch.setattr(
            loop, "library_versions", lambda compute: library_versions(compute) | change
        )
    if "model" in change:
        load = load_tiny

        def other(folder: Path) -> Any:
            model = load(folder)
            model.fingerprint = change["model"]
            return model

        monkeypatch.setattr("tiny.load_tiny", other)
    more = SHORT | {k: v for k, v in change.items() if k in ("learning_rate", "seed")}
    notes: list[str] = []
    train_tiny(tiny_model, "lora", halfway, note=notes.append, **more)
    train_tiny(tiny_model, "lora", tmp_path / "fresh", **more)
    (note,) = notes
    assert f"other work (another {named})" in note
    assert (halfway / loop.ARTEFACT).read_bytes() == (
        tmp_path / "fresh" / loop.ARTEFACT
    ).read_bytes()


def test_a_sound_checkpoint_is_taken_up_without_a_word(
    halfway: Path, whole: dict[str, Any], tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop_at(monkeypatch, 2, Killed)
    notes: list[str] = []
    train_tiny(tiny_model, "lora", halfway, note=notes.append, **SHORT)
    assert notes == [] and result(halfway) == whole


def test_optimizer_states_meet_their_weights_again_in_any_layout(tmp_path: Path) -> None:
    """Fused optimizers go by the order in memory."""

    def steps(conv: nn.Conv2d, optimizer: torch.optim.Optimizer, numbers: range) -> None:
        for number in numbers:
            chance = torch.Generator().manual_seed(number)
            optimizer.zero_grad()
            conv(torch.randn(2, 3, 8, 8, generator=chance)).square().mean().backward()
            optimizer.step()

    def start() -> tuple[nn.Conv2d, torch.optim.Optimizer]:
        torch.manual_seed(0)
        conv = nn.Conv2d(3, 4, 3).to(memory_format=torch.channels_last)
        return conv, torch.optim.AdamW(conv.parameters(), 1e-2, fused=True)

    whole, optimizer = start()
    steps(whole, optimizer, range(4))
    conv, optimizer = start()
    steps(conv, optimizer, range(2))
    path = tmp_path / "checkpoint.safetensors"
    checkpoint.save_checkpoint(path, 2, 0.0, list(conv.parameters()), optimizer)
    conv, optimizer = start()
    checkpoint.load_checkpoint(path, list(conv.parameters()), optimizer)
    steps(conv, optimizer, range(2, 4))
    assert torch.equal(conv.weight, whole.weight)


def test_a_snapshot_that_is_gone_is_told(halfway: Path, tiny_model: Path) -> None:
    (halfway / "snapshots" / "000002.safetensors").unlink()
    with pytest.raises(UserError, match="000002.safetensors is gone"):
        train_tiny(tiny_model, "lora", halfway, **SHORT)


def test_ctrl_c_saves_the_steps_that_are_whole(
    whole: dict[str, Any], tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        stop_at(patch, 3, KeyboardInterrupt)
        with pytest.raises(KeyboardInterrupt):
            train_tiny(tiny_model, "lora", tmp_path, **SHORT)
    assert (tmp_path / checkpoint.CHECKPOINT).exists()
    stop_at(monkeypatch, 2, Killed)
    train_tiny(tiny_model, "lora", tmp_path, **SHORT)
    assert result(tmp_path) == whole


def test_ctrl_c_amid_an_update_saves_nothing(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*arguments: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Stepper, "step", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train_tiny(tiny_model, "lora", tmp_path, **SHORT)
    assert not (tmp_path / checkpoint.CHECKPOINT).exists()


class Clock:
    """Stands for the time module."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now


def saved_at(
    settings: CheckpointSettings, writing: float, monkeypatch: pytest.MonkeyPatch
) -> list[int]:
    """The steps, of one second each, after which a checkpoint is written; `writing` seconds each"""
    clock, steps = Clock(), []
    monkeypatch.setattr(checkpoint, "time", clock)

    def save(path: Path, of: Any) -> None:
        clock.now += writing
        steps.append(state.step)

    parameters = [torch.nn.Parameter(torch.ones(1))]
    state: Any = SimpleNamespace(step=0, parameters=parameters, save=save)
    saving = Checkpoints(Path(), {}, settings, state)
    for step in range(1, 1001):
        clock.now += 1
        state.step = step
        if saving.due(state.step):
            saving.write()
    return steps


def test_when_checkpoints_are_written(monkeypatch: pytest.MonkeyPatch) -> None:
    def at(writing: float = 0.1, **settings: Any) -> list[int]:
        return saved_at(CheckpointSettings(**settings), writing, monkeypatch)

    assert at()[:3] == [61, 122, 183]
    # At 4 seconds each, they would take more than 2 % of the time every minute.
    slow = at(writing=4.0)
    assert slow == [61, 262, 463, 664, 865] and 4 * len(slow[1:]) <= 0.02 * (1000 - 61)
    assert at(writing=4.0, checkpoint_seconds=9)[:3] == [10, 20, 30]
    assert at(checkpoint_steps=100)[:4] == [61, 100, 161, 200]
    assert at(checkpoint_steps=400, checkpoint_seconds=600) == [400, 800]


def test_checkpoint_settings_are_in_train_and_study() -> None:
    for kind in (TrainSettings, StudySettings):
        settings = kind(class_noun="mug", checkpoints={"checkpoint_steps": 5})  # type: ignore[arg-type]
        assert settings.checkpoints.checkpoint_steps == 5


def test_weights_that_blew_up_are_not_saved(tmp_path: Path) -> None:
    saved: list[Path] = []
    for value in (1.0, math.nan, math.inf):
        parameters = [torch.nn.Parameter(torch.tensor([0.0, value]))]
        state: Any = SimpleNamespace(
            step=1, parameters=parameters, save=lambda path, of: saved.append(path)
        )
        Checkpoints(tmp_path, {}, EACH_STEP, state).write()
    assert len(saved) == 1


def test_class_pictures_go_on_at_the_batch_they_were_at(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw, drawn = class_pictures.generate_latents, []
    method = make_method("dreambooth", "stable-diffusion", {"prior_pictures": 5})

    def latents(cache: str) -> torch.Tensor:
        prior = class_pictures.prior_latents(
            load_tiny(tiny_model), method, NOUN, tmp_path / cache, Silent(), batch_size=2
        )
        assert prior is not None and prior.seconds > 0
        return prior.latents

    def dying(model: Any, requests: Any, settings: Any) -> torch.Tensor:
        drawn.append(len(requests))
        if len(drawn) == 2:
            raise Killed
        return draw(model, requests, settings)

    expected = latents("whole")
    monkeypatch.setattr(class_pictures, "generate_latents", dying)
    with pytest.raises(Killed):
        latents("resumed")
    assert torch.equal(latents("resumed"), expected)
    assert drawn == [2, 2, 2, 1]
    assert len(list((tmp_path / "resumed").iterdir())) == 1


def test_class_pictures_under_the_name_of_others_are_told_and_drawn_again(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    monkeypatch.setattr(Silent, "note", lambda _, text: told.append(text))
    method = make_method("dreambooth", "stable-diffusion", {"prior_pictures": 2})
    model = load_tiny(tiny_model)

    def latents(noun: str, folder: str) -> torch.Tensor:
        cache = tmp_path / folder
        prior = class_pictures.prior_latents(model, method, noun, cache, Silent(), batch_size=2)
        assert prior is not None
        return prior.latents

    expected, other = latents(NOUN, "ours"), latents("toy", "theirs")
    assert not torch.equal(expected, other)
    (ours,), (theirs,) = ((tmp_path / name).iterdir() for name in ("ours", "theirs"))
    ours.write_bytes(theirs.read_bytes())
    assert torch.equal(latents(NOUN, "ours"), expected)
    (note,) = told
    assert str(ours) in note and "belongs to other work" in note and "drawn again" in note
    # And likewise one batch of them.
    ours.unlink()
    ours.with_name(f"{ours.stem}-2-000000.safetensors").write_bytes(theirs.read_bytes())
    assert torch.equal(latents(NOUN, "ours"), expected)
    assert len(told) == 2 and "2-000000.safetensors belongs to other work" in told[1]


KINDS = {
    "a checkpoint": {"tensors": {"parameter.0": torch.ones(1)}, "about": {"seconds": 1.0}},
    "embeddings": {"tensors": {"latents": torch.ones(1)}, "about": {}},
}


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_a_file_of_another_kind_is_no_class_pictures(
    kind: dict[str, Any], tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    monkeypatch.setattr(Silent, "note", lambda _, text: told.append(text))
    method = make_method("dreambooth", "stable-diffusion", {"prior_pictures": 2})
    model = load_tiny(tiny_model)

    def latents() -> torch.Tensor:
        prior = class_pictures.prior_latents(model, method, NOUN, tmp_path, Silent(), batch_size=2)
        assert prior is not None
        return prior.latents

    expected = latents()
    (file,) = tmp_path.iterdir()
    save_sealed(file, **kind, save_file=save_file)
    assert torch.equal(latents(), expected)
    (note,) = told
    assert str(file) in note and "of another kind" in note
    assert torch.equal(latents(), expected) and len(told) == 1
