"""Disks that take no more: told, nothing torn, nothing left behind."""

import errno
import os
import resource
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from pseudoword import cli, disk
from pseudoword.checksum import save_sealed
from pseudoword.disk import DiskError, disk_error
from pseudoword.runs import atomic_path, file_sha256, prepare_folder, write_json

NOISE = np.random.default_rng(0)


def picture(path: Path) -> None:
    with atomic_path(path) as temporary:
        pixels = NOISE.integers(0, 256, (256, 256, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(temporary, format="PNG")


def tensors(path: Path) -> None:
    save_sealed(path, {"a": torch.zeros(100_000)}, {}, save_file)


def table(path: Path) -> None:
    with atomic_path(path) as temporary:
        pd.DataFrame({"a": NOISE.random(100_000)}).to_parquet(temporary)


def text(path: Path) -> None:
    write_json(path, "x" * 100_000)


@pytest.fixture()
def small_files() -> Iterator[None]:
    """No file grows beyond 64 KB, which fails as a full disk does: in the middle of writing."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (65_536, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, handler)


@pytest.mark.parametrize("write", [picture, tensors, table, text])
def test_a_file_that_finds_no_room_leaves_the_old_one(
    write: Callable[[Path], None], tmp_path: Path, small_files: None
) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    with pytest.raises(DiskError) as caught:
        write(path)
    told = str(caught.value)
    assert str(path) in told and "free" in told and "run the same command again" in told
    assert told.count("\n") == 1
    assert [p.name for p in tmp_path.iterdir()] == ["file"] and path.read_text() == "old"


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (errno.ENOSPC, "full"),
        (errno.EDQUOT, "quota"),
        (errno.EROFS, "read-only"),
        (errno.EIO, "error"),
    ],
)
def test_each_reason_has_its_words(
    number: int, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(handle: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(disk.os, "fsync", fail)
    with pytest.raises(DiskError, match=said):
        text(tmp_path / "file")
    assert not any(tmp_path.iterdir())


def test_a_disk_that_fails_to_read_is_told_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    source = tmp_path / "source"
    source.write_text("whole")
    monkeypatch.setattr("hashlib.file_digest", fail)
    told = f"{source} cannot be read: the disk reports an error"
    with pytest.raises(DiskError, match=told):
        file_sha256(source)
    with pytest.raises(DiskError, match=told), atomic_path(tmp_path / "other"):
        file_sha256(source)


def test_a_disk_that_fails_with_another_file_is_told_with_that() -> None:
    target, other = Path("target"), "/elsewhere/source"
    error = OSError(errno.EIO, "Input/output error", other)
    assert str(disk_error(target, error)).startswith(f"{other}: a disk")
    assert "target" not in str(disk_error(target, error))
    unnamed = OSError(errno.EIO, "Input/output error")
    assert "while target was being written" in str(disk_error(target, unnamed))
    assert "cannot be written" not in str(disk_error(target, unnamed))
    assert str(disk_error(None, unnamed)).startswith("reading or writing: a disk")


def test_other_errors_stay_what_they_are(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="mine"), atomic_path(tmp_path / "file"):
        raise ValueError("mine (no os error)")
    with pytest.raises(PermissionError), atomic_path(tmp_path / "file"):
        raise PermissionError(errno.EACCES, "not allowed")
    assert not any(tmp_path.iterdir())


def test_a_full_disk_is_told_before_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("tempfile.TemporaryFile", fail)
    with pytest.raises(DiskError, match="full"):
        prepare_folder(tmp_path)


def test_output_that_finds_no_room_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(argv: list[str]) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(cli, "run_command", fail)
    monkeypatch.setattr(cli, "drop", lambda stream: None)
    assert cli.main([]) == 2
    assert "the output cannot be written: the disk is full" in capsys.readouterr().err
