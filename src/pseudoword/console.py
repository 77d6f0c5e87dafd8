"""What a person sees: progress on stderr, plain tables on stdout."""

import logging
import os
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TextIO

from pseudoword.progress import Reporter

PLAIN_SECONDS = 10.0
LIBRARIES = "diffusers|transformers|peft|accelerate|huggingface_hub|torch"
LOGGERS = ("torchao", "bitsandbytes", "torch.utils._pytree")
"""Where the libraries of packed models tell which kernels they lack; others import them too."""


def say(text: str, stream: TextIO) -> None:
    """Prints a line at once. Where nobody can read it any more, work goes on without it."""
    with unheard(stream):
        print(text, file=stream, flush=True)


@contextmanager
def unheard(stream: TextIO) -> Iterator[None]:
    """Lets what is printed within go nowhere, from here on, once `stream` takes no more.

    The program that read it has ended, its terminal has closed or its disk is full: a night's
    training is worth more than its lines.
    """
    try:
        yield
    except OSError:
        drop(stream)


def drop(stream: TextIO) -> None:
    """What is printed to `stream` goes nowhere, what waits to be printed too: Python's own flush at
    the exit would complain of it."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


class PlainReporter:
    """Lines for a pipe or a log file: the first of a task, one every ten seconds, and the last."""

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._clock = clock
        self._begun: dict[str, tuple[float, int]] = {}
        self._told: dict[str, float] = {}

    def note(self, text: str) -> None:
        say(text, self._stream)

    def update(self, task: str, done: int, total: int, detail: str = "") -> None:
        now = self._clock()
        began, first = self._begun.setdefault(task, (now, done))
        if done < total and now - self._told.get(task, -PLAIN_SECONDS) < PLAIN_SECONDS:
            return
        self._told[task] = now
        parts = [f"{task}: {done}/{total}", detail]
        if done >= total:
            parts.append(f"{duration(now - began)}")
            del self._begun[task], self._told[task]
        elif done > first:
            parts.append(f"{duration((now - began) / (done - first) * (total - done))} left")
        self.note(", ".join(part for part in parts if part))


def tell(text: str) -> None:
    """A note of a command that is done at once and shows no progress."""
    say(text, sys.stderr)


class RichReporter:
    """Bars on a terminal; a finished task leaves one line behind."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TaskID,
            TextColumn,
            TimeRemainingColumn,
        )

        # Standard output stays as it is: a program may be reading it.
        self.progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[detail]}", markup=False),
            console=Console(stderr=True),
            redirect_stdout=False,
        )
        self._tasks: dict[str, TaskID] = {}

    def note(self, text: str) -> None:
        with unheard(sys.stderr):
            self.progress.console.print(text, markup=False, highlight=False)

    def update(self, task: str, done: int, total: int, detail: str = "") -> None:
        with unheard(sys.stderr):
            self._update(task, done, total, detail)

    def _update(self, task: str, done: int, total: int, detail: str) -> None:
        if task not in self._tasks:
            self._tasks[task] = self.progress.add_task(task, total=total, detail=detail)
        row = self._tasks[task]
        self.progress.update(row, completed=done, total=total, detail=detail)
        if done >= total:
            elapsed = self.progress.tasks[self.progress.task_ids.index(row)].elapsed
            self.progress.remove_task(self._tasks.pop(task))
            self.note(", ".join(part for part in (task, detail, duration(elapsed or 0.0)) if part))


@contextmanager
def reporting() -> Iterator[Reporter]:
    """A reporter that suits standard error, with the libraries' own chatter off."""
    silence_libraries()
    if not sys.stderr.isatty():
        yield PlainReporter(sys.stderr)
        return
    reporter = RichReporter()
    reporter.progress.start()
    try:
        yield reporter
    finally:
        with unheard(sys.stderr):
            reporter.progress.stop()


def silence_libraries() -> None:
    """Turns off what the libraries print beside our own lines, except a terminal's download bars.

    A user who sets their environment variables has the last word.
    """
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("DIFFUSERS_VERBOSITY", "error")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    warnings.filterwarnings("ignore", module=LIBRARIES)
    for name in LOGGERS:
        logging.getLogger(name).setLevel(logging.ERROR)
    if "HF_HUB_DISABLE_PROGRESS_BARS" not in os.environ:
        from huggingface_hub.utils import disable_progress_bars, enable_progress_bars

        disable_progress_bars()
        if sys.stderr.isatty():
            enable_progress_bars("huggingface_hub")


def duration(seconds: float) -> str:
    """Seconds in words: "42 s", "3 min 5 s", "2 h 10 min"."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def table(rows: Sequence[Sequence[str]]) -> str:
    """Rows as aligned columns; the last column runs free."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = (
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )
    return "\n".join(lines)
