"""A command of pseudoword in a process of its own, which has all libraries loaded from the start.

The process is forked from one that has imported them and computed nothing yet: starting Python and
torch anew would take longer than a small study.
"""

import importlib
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

LIBRARIES = (
    "pseudoword.cli",
    "pseudoword.study",
    "pseudoword.toybox.photos",
    "pseudoword.toybox.recipe.pipeline",
    "pseudoword.report.write",
    "diffusers",
    "diffusers.loaders",
    "diffusers.models",
    "peft",
    "transformers",
    "transformers.models.clip.modeling_clip",
    "pandas",
    "pyarrow.parquet",
    "scipy.stats",
    "safetensors.numpy",
    "yaml",
    "jinja2",
)

INTERRUPTED = 130
"""The exit status of a command that Ctrl-C ended."""
STRUCK = "struck by itself"
"""What a process prints before it sends itself a signal."""


@dataclass(frozen=True)
class Outcome:
    """How a process ended: its exit status, or minus the signal; what it printed; its seconds."""

    status: int
    text: str
    seconds: float
    struck: bool = False
    """Whether it was sent a signal."""

    @property
    def traceback(self) -> bool:
        return "Traceback (most recent call last)" in self.text

    @property
    def stopped(self) -> bool:
        """Whether it was killed, or ended as an interrupted command does."""
        return self.status in (-signal.SIGKILL, INTERRUPTED)


def load_libraries() -> None:
    """Imports all that a study does. Nothing is computed, so that no thread is there to lose."""
    for name in LIBRARIES:
        importlib.import_module(name)


def command(
    arguments: Sequence[str],
    log: Path,
    stop_after: float | None = None,
    first: Callable[[], None] = lambda: None,
    by: signal.Signals = signal.SIGKILL,
) -> Outcome:
    """Runs `pseudoword ARGUMENTS`; `log` takes what it prints.

    After `stop_after` seconds it gets the signal `by`. It calls `first` before anything else.
    """

    def run() -> int:
        from pseudoword.cli import main

        first()
        sys.argv = ["pseudoword", *arguments]
        return main(arguments)

    return call(run, log, stop_after, by)


def call(
    work: Callable[[], int],
    log: Path,
    stop_after: float | None = None,
    by: signal.Signals = signal.SIGKILL,
) -> Outcome:
    """Runs `work`, whose result is the exit status, in a forked process."""
    log.parent.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    pid = os.fork()
    if pid == 0:
        _become(work, log)
    status, struck = None, False
    while status is None:
        ended, code = os.waitpid(pid, os.WNOHANG)
        if ended:
            status = os.waitstatus_to_exitcode(code)
        elif stop_after is not None and time.monotonic() - began >= stop_after:
            struck = True
            os.kill(pid, by)
            status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        else:
            time.sleep(0.002)
    text = log.read_text(errors="replace")
    return Outcome(status, text, time.monotonic() - began, struck or STRUCK in text)


def strike(by: signal.Signals) -> None:
    """Sends this process the signal, and says so."""
    print(STRUCK, flush=True)
    os.kill(os.getpid(), by)


def _become(work: Callable[[], int], log: Path) -> None:
    """What the forked process does; it never returns."""
    status = 1
    try:
        output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(output, 1)
        os.dup2(output, 2)
        sys.stdout = open(1, "w", buffering=1, closefd=False)  # noqa: SIM115
        sys.stderr = open(2, "w", buffering=1, closefd=False)  # noqa: SIM115
        # Whoever started this may have had it ignored, as shells do in the background.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        status = work()
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    except SystemExit as error:
        status = error.code if isinstance(error.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(status)
