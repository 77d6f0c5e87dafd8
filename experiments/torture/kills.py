"""A small study killed at random moments, and whether it ends as one that was left alone.

    python experiments/torture/kills.py [--kills 25] [--seed 0] [--quick]

Half of the kills come at a random time, spread over the time that the study takes; the other half
right before or after a random file gets its name, which are the moments that matter most and that
a clock seldom hits. A study is killed several times before it may end. The last line is JSON.
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

import child
from small import Small, content, differences

A_FOLDER = 3
"""Kills of one study before it may end."""


@dataclass
class Tally:
    """What came of the kills."""

    kills: int = 0
    identical: int = 0
    """Kills after which the study ended as one that was left alone."""
    tracebacks: int = 0
    problems: list[str] = field(default_factory=list)


def run(kills: int, seed: int, small: Small) -> Tally:
    """Kills studies, until `kills` of the kills met one at work."""
    tally, chance, place = Tally(), random.Random(seed), small.place
    alone = place / "alone"
    written = place / "written.txt"
    outcome = child.command(
        small.arguments(alone), small.log("alone"), first=lambda: _count_writes(written)
    )
    if outcome.status != 0:
        raise RuntimeError(f"a study fails by itself:\n{outcome.text}")
    wanted, writes = content(alone), len(written.read_text())
    print(f"left alone: {outcome.seconds:.1f} s, {writes} files written", flush=True)
    number = 0
    while tally.kills < kills:
        number += 1
        most = min(A_FOLDER, kills - tally.kills)
        _one(small, f"killed-{number}", most, outcome.seconds, writes, chance, wanted, tally)
    return tally


def _one(
    small: Small,
    name: str,
    most: int,
    seconds: float,
    writes: int,
    chance: random.Random,
    wanted: dict[str, str],
    tally: Tally,
) -> None:
    """One study, killed up to `most` times, then finished and compared."""
    out, met = small.place / name, 0
    for attempt in range(most + 1):
        log = small.log(f"{name}-{attempt}")
        arguments = small.arguments(out)
        if attempt == most:
            outcome, moment = child.command(arguments, log), "left alone"
        elif chance.random() < 0.5:
            after = chance.uniform(0, seconds)
            outcome, moment = child.command(arguments, log, after), f"after {after:.2f} s"
        else:
            count, late = chance.randrange(writes // (attempt + 1)), chance.random() < 0.5
            first = _killer(count, late)
            outcome = child.command(arguments, log, first=first)
            moment = f"{'after' if late else 'before'} the naming of file {count}"
        tally.tracebacks += outcome.traceback
        if outcome.traceback or (not outcome.killed and outcome.status != 0):
            tally.problems.append(f"{name}, {moment}: exit {outcome.status}\n{outcome.text}")
        met += outcome.killed
        print(f"{name}: {moment}: exit {outcome.status}", flush=True)
        if not outcome.killed:
            break
    tally.kills += met
    different = differences(content(out), wanted)
    if different:
        tally.problems.append(f"{name}: differs in {', '.join(different)}")
    else:
        tally.identical += met
        shutil.rmtree(out)


def _count_writes(file: Path) -> None:
    """One character into `file` for every file that is renamed to its place."""
    real = os.replace

    def replace(source: str, target: str) -> None:
        real(source, target)
        with file.open("a") as opened:
            opened.write(".")

    os.replace = replace  # type: ignore[assignment]


def _killer(count: int, late: bool) -> Callable[[], None]:
    """Kills the process itself when its file number `count` gets its name, or just after."""

    def install() -> None:
        real, left = os.replace, [count]

        def replace(source: str, target: str) -> None:
            if left[0] == 0 and not late:
                os.kill(os.getpid(), signal.SIGKILL)
            real(source, target)
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            left[0] -= 1

        os.replace = replace  # type: ignore[assignment]

    return install


def main() -> int:
    parser = argparse.ArgumentParser(description="Kills small studies.")
    parser.add_argument("--kills", type=int, default=25)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true", help="an even smaller study")
    given = parser.parse_args()
    child.load_libraries()
    with tempfile.TemporaryDirectory(prefix="kills-") as name:
        tally = run(given.kills, given.seed, Small(Path(name), given.quick))
    for problem in tally.problems:
        print(problem)
    print(json.dumps({k: getattr(tally, k) for k in ("kills", "identical", "tracebacks")}))
    return 1 if tally.problems else 0


if __name__ == "__main__":
    sys.exit(main())
