"""Small commands killed at random moments, and whether they end as ones that were left alone.

    python experiments/torture/kills.py [--kills 25] [--others 6] [--seed 0] [--quick]

--kills are those of a study, --others those of each other command that goes on after a kill. Some
are `kill -9`, some Ctrl-C. Half come at a random time, spread over the time that the command takes;
the other half right before or after a random file gets its name, which are the moments that matter
most and that a clock seldom hits. A command is killed several times before it may end. The last
line is JSON.
"""

import argparse
import json
import os
import random
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from signal import SIGINT, SIGKILL

import child
import kept
import works
from content import content, differences
from small import Small, problem
from works import Work

A_FOLDER = 3
"""Kills of one folder before its command may end."""
CHECKPOINT = "checkpoint.safetensors"
BEGUN = 0.3
"""Seconds by which the command line has taken Ctrl-C over."""


@dataclass
class Tally:
    """What came of the kills."""

    kills: int = 0
    identical: int = 0
    """Kills after which the command ended as one that was left alone."""
    resumed: int = 0
    """Times that a training went on from a checkpoint."""
    tracebacks: int = 0
    problems: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Alone:
    """What a command that was left alone made of `out`, in how many seconds and named files."""

    out: Path
    wanted: dict[str, str]
    seconds: float
    names: int


def run(kills: int, others: int, seed: int, small: Small, quick: bool = False) -> Tally:
    """Kills each command until so many of the kills met one at work; `alone-study` stays.

    Where it is to be `quick`, `train` is the only one beside the study.
    """
    tally, chance = Tally(), random.Random(seed)
    _torture(works.study(small), kills, small, chance, tally)
    for work in works.others(small, small.place / "alone-train")[: 1 if quick else None]:
        _torture(work, others, small, chance, tally)
    return tally


def _torture(work: Work, kills: int, small: Small, chance: random.Random, tally: Tally) -> None:
    """Kills one command in one folder after another."""
    if kills == 0:
        return
    alone = _leave_alone(work, small)
    end, number, before = tally.kills + kills, 0, tally.resumed
    while tally.kills < end:
        number += 1
        most = min(A_FOLDER, end - tally.kills)
        _one(work, number, most, alone, small, chance, tally)
    if work.trains and tally.resumed == before:
        tally.problems.append(f"{work.name}: no process went on from a checkpoint")


def _leave_alone(work: Work, small: Small) -> Alone:
    name = work.name.replace(" ", "-")
    out, written = small.place / f"alone-{name}", small.place / f"{name}.txt"

    def first() -> None:
        work.first()
        _count_names(written)

    outcome = child.command(work.arguments(out), small.log(out.name), first=first)
    if outcome.status != 0:
        raise RuntimeError(problem(f"{work.name} fails by itself", outcome))
    names = len(written.read_text())
    print(f"{work.name} left alone: {outcome.seconds:.1f} s, {names} files named", flush=True)
    return Alone(out, content(out), outcome.seconds, names)


def _one(
    work: Work,
    number: int,
    most: int,
    alone: Alone,
    small: Small,
    chance: random.Random,
    tally: Tally,
) -> None:
    """One folder, whose command is killed up to `most` times, then finished and compared."""
    name = f"{work.name.replace(' ', '-')}-{number}"
    out, told = small.place / name, small.place / f"{name}-checkpoints.txt"
    met = 0
    for attempt in range(most + 1):
        blow = _blow(work, number, attempt, alone, chance) if attempt < most else Blow("left alone")

        def first(blow: "Blow" = blow) -> None:
            work.first()
            kept.watch(told)
            blow.install()

        log = small.log(f"{name}-{attempt}")
        outcome = child.command(work.arguments(out), log, blow.after, first, blow.by)
        print(f"{name}: {blow.moment}: exit {outcome.status}", flush=True)
        tally.tracebacks += outcome.traceback
        if not blow.explains(outcome) or outcome.traceback:
            tally.problems.append(problem(f"{name}, {blow.moment}", outcome))
        met += outcome.stopped
        if not outcome.stopped:
            break
    tally.kills += met
    resumed, lost = kept.read(told)
    tally.resumed += resumed
    tally.problems += lost
    different = differences(content(out), alone.wanted)
    if different:
        tally.problems.append(f"{name}: differs in {', '.join(different)}")
    else:
        tally.identical += met
        shutil.rmtree(out)


@dataclass(frozen=True)
class Blow:
    """When and by which signal a process is stopped: after some seconds, or by itself."""

    moment: str
    by: signal.Signals = SIGKILL
    after: float | None = None
    install: Callable[[], None] = lambda: None

    def explains(self, outcome: child.Outcome) -> bool:
        """Whether the process ended as it should; a blow may come too late to meet it at work."""
        if not outcome.struck:
            return outcome.status == 0
        if self.by == SIGKILL:
            return outcome.status == -SIGKILL
        return outcome.status == child.INTERRUPTED and "goes on from here" in outcome.text


def _blow(work: Work, number: int, attempt: int, alone: Alone, chance: random.Random) -> Blow:
    by = SIGINT if chance.random() < work.interrupts else SIGKILL
    if work.trains and (number, attempt) == (1, 0):
        what = f"after the naming of the second checkpoint, {by.name}"
        return Blow(what, by, install=_at_naming(1, late=True, by=by, only=CHECKPOINT))
    if chance.random() < 0.5:
        after = chance.uniform(BEGUN if by == SIGINT else 0, alone.seconds)
        return Blow(f"after {after:.2f} s, {by.name}", by, after)
    count, late = chance.randrange(alone.names // (attempt + 1)), chance.random() < 0.5
    what = f"{'after' if late else 'before'} the naming of file {count}, {by.name}"
    return Blow(what, by, install=_at_naming(count, late, by))


def _count_names(file: Path) -> None:
    """One character into `file` for every file that is renamed to its place."""
    real = os.replace

    def replace(source: str, target: str) -> None:
        real(source, target)
        with file.open("a") as opened:
            opened.write(".")

    os.replace = replace  # type: ignore[assignment]


def _at_naming(
    count: int, late: bool, by: signal.Signals, only: str | None = None
) -> Callable[[], None]:
    """Stops the process itself when its file number `count` gets its name, or just after.

    Files of another name than `only` do not count.
    """

    def install() -> None:
        real, left = os.replace, [count]

        def replace(source: str, target: str) -> None:
            counts = only in (None, Path(target).name)
            if counts and left[0] == 0 and not late:
                child.strike(by)
            real(source, target)
            if counts and left[0] == 0:
                child.strike(by)
            left[0] -= counts

        os.replace = replace  # type: ignore[assignment]

    return install


def main() -> int:
    parser = argparse.ArgumentParser(description="Kills small commands.")
    parser.add_argument("--kills", type=int, default=25)
    parser.add_argument("--others", type=int, default=6)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--quick", action="store_true", help="a smaller study; of the others train alone"
    )
    given = parser.parse_args()
    child.load_libraries()
    with tempfile.TemporaryDirectory(prefix="kills-") as name:
        small = Small(Path(name), given.quick)
        tally = run(given.kills, given.others, given.seed, small, given.quick)
    for found in tally.problems:
        print(found)
    names = ("kills", "identical", "resumed", "tracebacks")
    print(json.dumps({name: getattr(tally, name) for name in names}))
    return 1 if tally.problems else 0


if __name__ == "__main__":
    sys.exit(main())
