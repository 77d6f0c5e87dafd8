"""The proof that the statistics work: simulated studies with known truth.

    python experiments/statistics [--studies 1000] [--out docs/statistics] [--only PART]

Writes OUT/simulation.json and the tables of docs/statistics.md from it; with --only, one part of a
simulation.json that is there already, with as many studies as that has. The last line printed is
JSON: {"coverage": .., "aa_false_winner": .., "power": {"0.2": .., "0.5": .., "0.8": ..}}, each of
studies with 3 training seeds and 10 prompts that vary as the repeated study does.
"""

import argparse
import json
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from concepts import EFFECTS, concepts, equal_over_concepts
from intervals import coverage
from pages import write_page
from verdicts import better_method, cell_deviation, equal_methods

from pseudoword.metrics.simulation import PROFILES, Setup
from pseudoword.runs import read_json, write_json

DOCS = Path(__file__).parent.parent.parent / "docs"
REAL = next(iter(PROFILES))
USUAL = Setup(3, 10)
SIZES = [Setup(seeds, prompts) for prompts in (10, 20) for seeds in (2, 3, 5)]
COVERED = [Setup(2, 10), USUAL, Setup(5, 10), Setup(3, 20)]
EFFECT_SIZES = (0.2, 0.5, 0.8)
CONCEPTS = (5, 10)
EQUAL_CONCEPTS = (5, 10, 20)
Job = tuple[Callable[..., Any], tuple[Any, ...]]
"""A function and its arguments."""


def size_name(setup: Setup) -> str:
    return f"{setup.n_seeds} x {setup.n_prompts}"


def jobs(
    studies: int, cell: float
) -> dict[tuple[str, ...], tuple[Callable[..., Any], tuple[Any, ...]]]:
    """What is to be simulated: by the place in the result.

    `cell` is the standard deviation of a paired difference in one cell.
    """
    found: dict[tuple[str, ...], Job] = {}
    for size in COVERED:
        for profile in PROFILES:
            found["coverage", size_name(size), profile] = coverage, (profile, size, studies)
    for size in SIZES:
        for count in (2, 3):
            name = f"{count} methods"
            found["equal", name, size_name(size)] = equal_methods, (REAL, size, count, 4 * studies)
        for effect in EFFECT_SIZES:
            arguments = (REAL, size, effect, studies // 2)
            found["power", "scale", size_name(size), str(effect)] = better_method, arguments
        for effect in EFFECT_SIZES:
            arguments = (REAL, size, effect * cell, studies // 2)
            found["power", "cell", size_name(size), str(effect)] = better_method, arguments
    for profile in PROFILES:
        for count in (2, 3):
            arguments = (profile, USUAL, count, 4 * studies)
            found["equal by profile", f"{count} methods", profile] = equal_methods, arguments
    for metric in EFFECTS:
        for number in CONCEPTS:
            found["concepts", metric, str(number)] = concepts, (metric, number, 10, studies)
    for number in EQUAL_CONCEPTS:
        place = "equal over concepts", f"{number} concepts"
        found[place] = equal_over_concepts, (number, 10, 4 * studies)
    return found


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--studies", type=int, default=1000, help="simulated studies a case; half of them for power"
    )
    parser.add_argument("--out", type=Path, default=DOCS / "statistics")
    parser.add_argument(
        "--only", choices=sorted({place[0] for place in jobs(1, 1.0)}), help="do this part anew"
    )
    chosen = parser.parse_args(argv)
    result: dict[str, Any]
    if chosen.only:
        result = read_json(chosen.out / "simulation.json")
        del result["summary"]
    else:
        result = {"studies": chosen.studies, "cell_deviation": cell_deviation(REAL)}
    todo = {
        place: job
        for place, job in jobs(result["studies"], result["cell_deviation"]).items()
        if chosen.only in (None, place[0])
    }
    with ProcessPoolExecutor() as pool:
        running = {
            place: pool.submit(work, *arguments) for place, (work, arguments) in todo.items()
        }
        for done, (place, job) in enumerate(running.items(), start=1):
            level = result
            for key in place[:-1]:
                level = level.setdefault(key, {})
            level[place[-1]] = job.result()
            line = f"{done} of {len(running)}: {', '.join(place)}: {json.dumps(job.result())}"
            print(line, file=sys.stderr)
    result["summary"] = summary(result)
    chosen.out.mkdir(parents=True, exist_ok=True)
    write_json(chosen.out / "simulation.json", result)
    if chosen.out == DOCS / "statistics":
        write_page(DOCS)
    print(json.dumps(result["summary"]))
    return 0


def summary(result: dict[str, Any]) -> dict[str, Any]:
    """The last line: coverage over all quantities, the greater of the shares of false winners.

    All of the usual size, as in the repeated study: other sizes and profiles are in the tables, and
    some of them do worse.
    """
    usual = size_name(USUAL)
    equal = [by_size[usual].get("winner", 0.0) for by_size in result["equal"].values()]
    power = {effect: found["right"] for effect, found in result["power"]["scale"][usual].items()}
    covered = result["coverage"][usual][REAL]["chosen"]["all"]
    return {"coverage": round(covered, 4), "aa_false_winner": max(equal), "power": power}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
