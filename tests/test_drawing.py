"""`generate` draws batch by batch, goes on where it was, and takes no other picture for its own."""

import hashlib
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from tiny import train_tiny

from pseudoword import drawing
from pseudoword.drawing import generate_pictures
from pseudoword.generate import Request
from pseudoword.locks import HeldError, hold
from pseudoword.progress import Silent
from pseudoword.settings import DrawSettings

PROMPT = "a {}"


@pytest.fixture(scope="module")
def run(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A LoRA of two steps."""
    folder = tmp_path_factory.mktemp("run")
    train_tiny(tiny_model, "lora", folder, steps=2)
    return folder


@pytest.fixture
def batches(monkeypatch: pytest.MonkeyPatch) -> list[list[int]]:
    """The seeds of each batch, as they are drawn."""
    drawn: list[list[int]] = []
    usual = drawing.generate

    def spy(model: Any, requests: list[Request], *rest: Any, **more: Any) -> Any:
        drawn.append([request.seed for request in requests])
        return usual(model, requests, *rest, **more)

    monkeypatch.setattr(drawing, "generate", spy)
    return drawn


class StopsAt(Silent):
    """Ctrl-C once so many pictures are there."""

    def __init__(self, count: int) -> None:
        self.count = count

    def update(self, task: str, done: int, total: int, detail: str = "") -> None:
        assert (task, total) == ("pictures", 5)
        if done == self.count:
            raise KeyboardInterrupt


def draw(
    run: Path, out: Path, prompt: str = PROMPT, count: int = 5, **settings: Any
) -> dict[str, bytes]:
    """What the files hold that were drawn, in their order."""
    wanted = {"sampling_steps": 1, "batch_size": 2, **settings}
    files = generate_pictures(run, prompt, count, 3, DrawSettings(**wanted), out, "cpu", Silent())
    return {file.name: file.read_bytes() for file in files}


def interrupt(run: Path, out: Path, count: int) -> None:
    settings = DrawSettings(sampling_steps=1, batch_size=2)
    with pytest.raises(KeyboardInterrupt):
        generate_pictures(run, PROMPT, 5, 3, settings, out, "cpu", StopsAt(count))


def test_interrupted_it_goes_on_to_the_same_bytes(
    run: Path, tmp_path: Path, batches: list[list[int]]
) -> None:
    whole = draw(run, tmp_path / "whole")
    assert len(whole) == len(set(whole.values())) == 5
    assert batches == [[3, 4], [5, 6], [7]]
    batches.clear()
    interrupt(run, tmp_path / "resumed", 2)
    assert sorted(path.name for path in (tmp_path / "resumed").iterdir()) == list(whole)[:2]
    assert draw(run, tmp_path / "resumed") == whole
    assert batches == [[3, 4], [5, 6], [7]]
    assert sorted(path.name for path in (tmp_path / "resumed").iterdir()) == list(whole)


def test_a_batch_that_lacks_a_picture_is_drawn_as_a_whole(
    run: Path, tmp_path: Path, batches: list[list[int]]
) -> None:
    whole = draw(run, tmp_path)
    missing, cut, _, flipped, swapped = (tmp_path / name for name in whole)
    batches.clear()
    missing.unlink()
    assert draw(run, tmp_path) == whole and batches == [[3, 4]]
    cut.write_bytes(cut.read_bytes()[:-20])
    assert draw(run, tmp_path) == whole and batches == [[3, 4]] * 2
    damaged = bytearray(flipped.read_bytes())
    damaged[damaged.index(b"IDAT") + 20] ^= 1
    flipped.write_bytes(damaged)
    assert draw(run, tmp_path) == whole and batches[2:] == [[5, 6]]
    swapped.write_bytes(cut.read_bytes())
    assert draw(run, tmp_path) == whole and batches[3:] == [[7]]


def test_more_pictures_go_on_from_the_batches_that_are_the_same(
    run: Path, tmp_path: Path, batches: list[list[int]]
) -> None:
    few = draw(run, tmp_path, count=3)
    batches.clear()
    assert list(few) == list(draw(run, tmp_path))[:3]
    # The last batch was of one picture; its bits are those of another batch.
    assert batches == [[5, 6], [7]]


def test_another_prompt_is_drawn_beside_the_first(run: Path, tmp_path: Path) -> None:
    first = draw(run, tmp_path, count=2)
    other = draw(run, tmp_path, "{} in the snow", count=2)
    assert not set(first) & set(other) and not set(first.values()) & set(other.values())
    assert draw(run, tmp_path, count=2) == first
    assert len(list(tmp_path.iterdir())) == 4


@pytest.mark.parametrize(
    ("prompt", "settings"),
    [
        ("A {}", {}),
        (PROMPT, {"sampling_steps": 2}),
        (PROMPT, {"sampler": "euler"}),
        (PROMPT, {"guidance_scale": 2.0}),
        (PROMPT, {"batch_size": 1}),
    ],
)
def test_pictures_of_another_request_are_replaced(
    run: Path, tmp_path: Path, batches: list[list[int]], prompt: str, settings: dict[str, Any]
) -> None:
    """Whatever else was drawn under the same names."""
    draw(run, tmp_path / "mixed", count=2)
    fresh = draw(run, tmp_path / "fresh", prompt, count=2, **settings)
    batches.clear()
    assert draw(run, tmp_path / "mixed", prompt, count=2, **settings) == fresh
    assert [seed for batch in batches for seed in batch] == [3, 4]


def test_pictures_of_another_run_are_replaced(
    run: Path, tiny_model: Path, tmp_path: Path, batches: list[list[int]]
) -> None:
    train_tiny(tiny_model, "lora", tmp_path / "run", steps=2, learning_rate=0.1)
    first = draw(run, tmp_path / "out", count=2)
    batches.clear()
    second = draw(tmp_path / "run", tmp_path / "out", count=2)
    assert list(first) == list(second) and batches == [[3, 4]]
    assert first != second


def test_pictures_of_ones_own_are_replaced(run: Path, tmp_path: Path) -> None:
    whole = draw(run, tmp_path, count=2)
    for name, text in zip(whole, ("no picture", ""), strict=True):
        (tmp_path / name).write_text(text)
    assert draw(run, tmp_path, count=2) == whole
    for name in whole:
        Image.new("RGB", (16, 16)).save(tmp_path / name)
    assert draw(run, tmp_path, count=2) == whole


def test_the_artefact_is_hashed_once(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of gigabytes that takes seconds."""
    hashed, usual = [], hashlib.file_digest

    def spy(file: Any, digest: Any) -> Any:
        hashed.append(Path(file.name).name)
        return usual(file, digest)

    monkeypatch.setattr(hashlib, "file_digest", spy)
    draw(run, tmp_path, count=1)
    assert hashed.count("artefact.safetensors") == 1


def test_a_folder_is_drawn_into_by_one_process_at_a_time(run: Path, tmp_path: Path) -> None:
    with hold(tmp_path, lambda text: None), pytest.raises(HeldError):
        draw(run, tmp_path)
    assert list(tmp_path.iterdir()) == []
