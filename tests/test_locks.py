"""Folders that one process at a time works in."""

import errno
import fcntl
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pseudoword.errors import UserError
from pseudoword.locks import HeldError, hold, share
from pseudoword.runs import LOCK, UNFINISHED

HOLDER = """
import sys, time
from pathlib import Path
from pseudoword.locks import hold
from pseudoword.runs import atomic_path
with hold(Path(sys.argv[1]), print), atomic_path(Path(sys.argv[1]) / "runs" / "a.png") as path:
    path.write_text("half")
    print("held", flush=True)
    time.sleep(600)
"""


def silent(text: str) -> None:
    raise AssertionError(text)


@pytest.fixture()
def holder(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds tmp_path/study and is writing a picture there."""
    command = [sys.executable, "-c", HOLDER, str(tmp_path / "study"), "--seeds", "3"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_the_second_is_told_who_holds_it(holder: subprocess.Popen[str], tmp_path: Path) -> None:
    with pytest.raises(HeldError) as caught, hold(tmp_path / "study", silent):
        pass
    told = str(caught.value)
    assert f"process {holder.pid} on " in told and "--seeds 3" in told and "name another" in told
    assert told.count("\n") == 1


def test_a_kill_frees_it_and_what_was_being_written_is_swept_away(
    holder: subprocess.Popen[str], tmp_path: Path
) -> None:
    study = tmp_path / "study"
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    assert (study / LOCK).exists() and len(list((study / "runs").glob(f"{UNFINISHED}*"))) == 1
    with hold(study, silent):
        assert sorted(path.name for path in study.rglob("*")) == [LOCK, "runs"]
    assert not (study / LOCK).exists()


def test_what_others_write_below_is_not_swept_away(
    holder: subprocess.Popen[str], tmp_path: Path
) -> None:
    theirs = next((tmp_path / "study" / "runs").glob(f"{UNFINISHED}*"))
    (tmp_path / "own").mkdir()
    ours = tmp_path / "own" / f"{UNFINISHED}a.png"
    for path in (ours, tmp_path / LOCK):
        path.touch()
    with hold(tmp_path, silent):
        assert theirs.exists() and not ours.exists()


@pytest.mark.parametrize("content", ["12345\n", "[]", '{"name": "mine"}'])
def test_a_file_that_only_has_a_locks_name_stays(content: str, tmp_path: Path) -> None:
    (tmp_path / LOCK).write_text(content)
    with pytest.raises(UserError, match="no lock of ours"), hold(tmp_path, silent):
        pass
    assert (tmp_path / LOCK).read_text() == content


@pytest.mark.parametrize("kind", ["folder", "link"])
def test_what_is_no_file_is_no_lock(kind: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    path = tmp_path / LOCK
    path.mkdir() if kind == "folder" else path.symlink_to(tmp_path / "file")
    with pytest.raises(UserError, match="no lock of ours"), hold(tmp_path, silent):
        pass
    assert path.is_dir() or path.is_symlink()


@pytest.mark.parametrize("content", [b"", bytes(64)])
def test_a_lock_whose_holder_was_killed_at_once_is_taken(content: bytes, tmp_path: Path) -> None:
    (tmp_path / LOCK).write_bytes(content)
    with hold(tmp_path, silent):
        assert (tmp_path / LOCK).read_text().startswith('{"pid": ')
    assert not any(tmp_path.iterdir())


def test_a_long_command_is_told_with_its_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["pseudoword", "study", *["\N{SNOWMAN}.jpg"] * 2000])
    told = f"process {os.getpid()} on"
    with hold(tmp_path, silent), pytest.raises(HeldError, match=told), hold(tmp_path, silent):
        pass


def test_a_process_holds_a_folder_once_at_a_time(tmp_path: Path) -> None:
    (tmp_path / "kept").touch()
    for _ in range(2):
        with hold(tmp_path, silent), pytest.raises(HeldError), hold(tmp_path, silent):
            pass
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]


def test_a_folder_that_its_last_holder_took_away_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, opened, gone = tmp_path / "new", os.open, []

    def take_away(path: Path, *how: int) -> int:
        if path == folder / LOCK and not gone:
            gone.append(path)
            folder.rmdir()
        return opened(path, *how)

    monkeypatch.setattr(os, "open", take_away)
    with hold(folder, silent):
        assert gone and (folder / LOCK).exists()
    assert not folder.exists()


def test_a_mistake_leaves_no_new_folder(tmp_path: Path) -> None:
    with pytest.raises(UserError), hold(tmp_path / "a" / "b", silent):
        raise UserError("before anything was done")
    assert not any(tmp_path.iterdir())


@pytest.fixture
def no_locks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system that knows none."""

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)


@pytest.mark.usefixtures("no_locks")
def test_without_locks_it_goes_on_and_says_so(tmp_path: Path) -> None:
    notes: list[str] = []
    with hold(tmp_path, notes.append):
        pass
    assert len(notes) == 1 and "cannot be locked" in notes[0]


@pytest.mark.usefixtures("no_locks")
def test_without_locks_nothing_of_another_process_is_touched(tmp_path: Path) -> None:
    (tmp_path / LOCK).write_text("of another process")
    (tmp_path / f"{UNFINISHED}run.json").write_text("which it is writing")
    before = {path.name: path.read_text() for path in tmp_path.iterdir()}
    with hold(tmp_path, lambda note: None):
        pass
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == before


def test_processes_share_what_is_not_held() -> None:
    done: list[str] = []
    notes: list[str] = []
    held = ["b"]

    def work(name: str) -> None:
        if name in held:
            held.remove(name)
            raise HeldError("b is being worked in by process 1:\nwait.")
        done.append(name)

    share(["a", "b", "c"], work, notes.append)
    assert done == ["a", "c", "b"]
    assert notes == ["b is being worked in by process 1: the others come first"]


def test_what_is_still_held_keeps_nobody_from_what_is_free() -> None:
    done: list[str] = []
    first: list[str] = []

    def work(name: str) -> None:
        if name == "a" or name not in first:
            first.append(name)
            raise HeldError(f"{name} is being worked in by process 1:\nwait.")
        done.append(name)

    with pytest.raises(HeldError, match="a is being"):
        share(["a", "b"], work, lambda note: None)
    assert done == ["b"]


def test_no_command_works_in_a_folder_that_is_held(tmp_path: Path) -> None:
    from pseudoword.evaluate_given import evaluate_given
    from pseudoword.progress import Silent
    from pseudoword.settings import StudySettings, TrainSettings
    from pseudoword.single import train_run
    from pseudoword.study import run_study

    study = StudySettings(class_noun="duck")
    training = TrainSettings(class_noun="duck", method="lora")
    with hold(tmp_path / "out", silent):
        with pytest.raises(HeldError):
            run_study([tmp_path], study, tmp_path / "out", Silent())
        with pytest.raises(HeldError):
            train_run([tmp_path], training, tmp_path / "out", Silent())
        with pytest.raises(HeldError):
            evaluate_given([tmp_path], study, tmp_path / "out", Silent())


@pytest.mark.parametrize(
    "command",
    [
        ["report"],
        ["report", "--format", "csv"],
        ["toybox", "render", "--seed", "1", "--out"],
    ],
)
def test_no_command_writes_beside_who_holds_a_folder(
    command: list[str],
    holder: subprocess.Popen[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from pseudoword.cli import main

    assert main([*command, str(tmp_path / "study")]) == 2
    assert f"process {holder.pid} on " in capsys.readouterr().err
    assert sorted(path.name for path in (tmp_path / "study").iterdir()) == [LOCK, "runs"]


def test_the_toybox_is_trained_by_one_process_at_a_time(
    holder: subprocess.Popen[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from pseudoword.cli import main
    from pseudoword.toybox.recipe import pipeline

    def train(folder: Path, *_: object, **__: object) -> Path:
        with pytest.raises(HeldError), hold(folder, silent):
            pass
        return folder

    monkeypatch.setattr(pipeline, "train_toybox", train)
    assert main(["toybox", "train", "--device", "cpu", "--out", str(tmp_path / "study")]) == 2
    assert f"process {holder.pid} on " in capsys.readouterr().err
    assert main(["toybox", "train", "--device", "cpu", "--out", str(tmp_path / "work")]) == 0
    assert capsys.readouterr().out.strip() == str(tmp_path / "work")
