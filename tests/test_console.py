"""What a person sees, and that work goes on where nobody looks any more."""

import io
import os
from collections.abc import Callable, Iterator
from typing import TextIO

import pytest

from pseudoword.cli import main
from pseudoword.console import PlainReporter, RichReporter, duration, reporting, table


@pytest.fixture
def closed(monkeypatch: pytest.MonkeyPatch) -> Iterator[TextIO]:
    """A stream whose reader has gone."""
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as stream:
        yield stream
        monkeypatch.undo()


def test_a_closed_pipe_is_no_error(closed: TextIO, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout", closed)
    assert main(["metrics", "--json"]) == 0


def work_on(closes: Callable[[], None] = lambda: None) -> None:
    with reporting() as reporter:
        closes()
        for done in range(3):
            reporter.update("LoRA", done, 2)
            reporter.note("a note")


def test_progress_that_nobody_reads_stops_no_work(
    closed: TextIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stderr", closed)
    work_on()


def test_a_terminal_that_closes_stops_no_work(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal, screen = os.openpty()
    with os.fdopen(screen, "w") as stream:
        monkeypatch.setattr("sys.stderr", stream)
        work_on(lambda: os.close(terminal))
        monkeypatch.undo()


def test_a_mistake_that_nobody_reads_is_one_all_the_same(
    closed: TextIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stderr", closed)
    assert main(["no-such-command"]) == 2


def clock(times: list[float]) -> Callable[[], float]:
    """A clock that shows these times, one a look."""
    return iter(times).__next__


def test_plain_progress_is_sparse() -> None:
    stream = io.StringIO()
    reporter = PlainReporter(stream, clock([0, 1, 12, 13, 30]))
    for done in (10, 20, 50, 60, 100):
        reporter.update("LoRA", done, 100, f"loss 0.{done}")
    reporter.note("a note")
    assert stream.getvalue().splitlines() == [
        "LoRA: 10/100, loss 0.10",
        "LoRA: 50/100, loss 0.50, 15 s left",
        "LoRA: 100/100, loss 0.100, 30 s",
        "a note",
    ]


def test_bars_leave_a_line_for_a_finished_task(capsys: pytest.CaptureFixture[str]) -> None:
    reporter = RichReporter()
    with reporter.progress:
        reporter.update("LoRA [1]", 1, 2, "loss 0.5")
        assert [task.description for task in reporter.progress.tasks] == ["LoRA [1]"]
        reporter.update("LoRA [1]", 2, 2, "loss 0.4")
        assert reporter.progress.tasks == []
        reporter.note("saved [here]")
    out, error = capsys.readouterr()
    assert out == ""
    assert "LoRA [1], loss 0.4, 0 s\n" in error
    assert "saved [here]\n" in error


def test_durations_and_tables() -> None:
    assert [duration(s) for s in (0.4, 59.4, 60, 3599, 7800)] == [
        "0 s",
        "59 s",
        "1 min 0 s",
        "59 min 59 s",
        "2 h 10 min",
    ]
    assert table([["a", "bc", ""], ["abc", "d", "e"]]) == "a    bc\nabc  d   e"
