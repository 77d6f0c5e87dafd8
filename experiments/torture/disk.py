"""A small study on a disk that is full, and full again, until it may have all the room it wants.

Where a small file system can be mounted it is one in memory that grows from attempt to attempt. A
limit on the size of files, which fails in the middle of writing as well, works everywhere.
"""

import resource
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import child
from content import content, differences
from small import Small, problem

SHARES = (0.02, 0.3, 0.6, 0.9)
"""Of the room that the study takes in the end."""
LIMITS = (2_000, 20_000, 500_000)
"""Bytes that a file may have."""


@dataclass
class Tally:
    full: int = 0
    """Times that a study met a full disk."""
    tracebacks: int = 0
    problems: list[str] = field(default_factory=list)


def run(small: Small, wanted: dict[str, str]) -> Tally:
    """Runs the study out of room in `small.place`, then to its end, and compares."""
    tally = Tally()
    out = small.place / "limited"
    for limit in LIMITS:
        _attempt(small, out, f"files of {limit} bytes", tally, limit)
    _finish(small, out, wanted, tally)
    room = sum(p.stat().st_size for p in (small.place / "limited").rglob("*") if p.is_file())
    with _mounted(small.place / "full") as mounted:
        if not mounted:
            print("no file system can be mounted here: the limit on files stands for it")
            return tally
        for share in SHARES:
            _resize(small.place / "full", int(share * room))
            _attempt(small, small.place / "full" / "study", f"{share:.0%} of the room", tally)
        _resize(small.place / "full", 4 * room)
        _finish(small, small.place / "full" / "study", wanted, tally)
    return tally


def _attempt(small: Small, out: Path, what: str, tally: Tally, limit: int | None = None) -> None:
    """One that must end with a message, exit status 2, and nothing half-written."""

    def shrink() -> None:
        if limit is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    log = small.log(f"disk-{tally.full}")
    outcome = child.command(small.arguments(out), log, first=shrink)
    told = "cannot be written" in outcome.text and "run the same command again" in outcome.text
    left = [str(p) for p in out.rglob(".*")] if out.exists() else []
    print(f"{what}: exit {outcome.status}, told: {told}", flush=True)
    tally.full += 1
    tally.tracebacks += outcome.traceback
    if outcome.status != 2 or not told or left:
        tally.problems.append(problem(what, outcome, f"left {left}"))


def _finish(small: Small, out: Path, wanted: dict[str, str], tally: Tally) -> None:
    outcome = child.command(small.arguments(out), small.log("disk-end"))
    different = differences(content(out), wanted)
    print(f"with room: exit {outcome.status}, {len(different)} files differ", flush=True)
    tally.tracebacks += outcome.traceback
    if outcome.status != 0 or different:
        tally.problems.append(problem("with room", outcome, f"{different} differ"))


@contextmanager
def _mounted(place: Path) -> Iterator[bool]:
    """A file system in memory at `place`; says whether there is one."""
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=64k", "pseudoword-torture", str(place)]
    try:
        done = subprocess.run(command, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        done = False
    try:
        yield done
    finally:
        if done:
            subprocess.run(["umount", str(place)], check=True)


def _resize(place: Path, size: int) -> None:
    subprocess.run(["mount", "-o", f"remount,size={size}", str(place)], check=True)
