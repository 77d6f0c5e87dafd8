"""Kills, full disks, damaged and spoilt files: whether anything is lost, or told as a bug.

    python experiments/torture/torture.py [--kills 25] [--others 6] [--fuzz 2000] [--seed 0]

The last line is JSON: {"kills": .., "identical": .., "resumed": .., "fuzzed": .., "tracebacks": ..,
"full": .., "damaged": .., "found": ..}, with the kills of all commands; "resumed" is how often a
training went on from a checkpoint. Status 1 where anything is not as it
should be.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

import child
import corrupt
import disk
import fuzz
import kills
from content import content
from small import Small


def main() -> int:
    parser = argparse.ArgumentParser(description="Tortures small studies and the readers of files.")
    parser.add_argument("--kills", type=int, default=25)
    parser.add_argument("--others", type=int, default=6, help="kills of each other command")
    parser.add_argument("--fuzz", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    child.load_libraries()
    with tempfile.TemporaryDirectory(prefix="torture-") as name:
        small = Small(Path(name))
        killed = kills.run(given.kills, given.others, given.seed, small)
        alone = small.place / "alone-study"
        wanted = content(alone)
        full = disk.run(small, wanted)
        damaged = corrupt.run(small, alone, wanted, given.seed)
    spoilt = fuzz.run(given.fuzz, given.seed)
    problems = [*killed.problems, *full.problems, *damaged.problems]
    for problem in problems:
        print(problem)
    tracebacks = killed.tracebacks + full.tracebacks + damaged.tracebacks + spoilt["tracebacks"]
    found = {
        "kills": killed.kills,
        "identical": killed.identical,
        "resumed": killed.resumed,
        "fuzzed": spoilt["fuzzed"],
        "tracebacks": tracebacks,
        "full": full.full,
        "damaged": damaged.damaged,
        "found": damaged.found,
        "fuzz": spoilt,
    }
    print(json.dumps(found))
    failed = any(spoilt[name] for name in fuzz.FAILURES)
    return 1 if problems or failed or killed.identical < killed.kills else 0


if __name__ == "__main__":
    sys.exit(main())
