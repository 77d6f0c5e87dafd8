"""Files of a finished study damaged one by one: each must be found and named, or made again."""

import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import child
from content import content, differences
from small import OPTIONS, Small, problem

RUN = Path("runs") / "lora-s0"
DRAW = ("generate", "--prompt", "a photo of a {}", "--count", "1", "--sampling-steps", "2")


@dataclass(frozen=True)
class Target:
    """A file of the study, what reads it, and whether it can be made again without asking."""

    pattern: str
    command: str
    """`study` runs the same study again; `draw` draws with the run, `end` with the end of its
    training; `report` writes the page."""
    forget: tuple[str, ...] = ()
    """What has to be gone for the file to be read."""
    remade: bool = False
    mended: bool = False
    """Whether it is tried that the same study without the file ends with the same files."""


ENDED = "results.json"
"""With this there, a study has nothing to do and reads little."""
AGAIN = ("runs/dreambooth-s0", "selection.json")
TARGETS = (
    Target(f"{RUN}/artefact.safetensors", "end"),
    Target(f"{RUN}/snapshots/000002.safetensors", "study", (f"{RUN}/validation", "selection.json")),
    Target(f"{RUN}/run.json", "draw"),
    Target(f"{RUN}/chosen.json", "draw"),
    Target("selection.json", "study", (ENDED,)),
    Target("identity.json", "study", mended=True),
    Target(f"{RUN}/images/*.png", "study", (ENDED,)),
    Target("cache/prior-*.safetensors", "study", AGAIN, remade=True),
    Target("cache/latents-*.safetensors", "study", AGAIN, remade=True),
    Target("cache/embeddings/*.safetensors", "study", (ENDED,), remade=True),
    # The study stays finished, and so would never write them again by itself.
    Target("results.json", "study", mended=True),
    Target("study.json", "study", mended=True),
    Target("scores.parquet", "report", mended=True),
)


def _flip(data: bytes, chance: random.Random) -> bytes:
    place = chance.randrange(len(data))
    return data[:place] + bytes([data[place] ^ 1 << chance.randrange(8)]) + data[place + 1 :]


def _cut(data: bytes, chance: random.Random) -> bytes:
    return data[: chance.randrange(len(data))]


SPOILERS: dict[str, Callable[[bytes, random.Random], bytes]] = {"flipped": _flip, "cut": _cut}


@dataclass
class Tally:
    damaged: int = 0
    found: int = 0
    tracebacks: int = 0
    problems: list[str] = field(default_factory=list)


def run(small: Small, alone: Path, wanted: dict[str, str], seed: int) -> Tally:
    """Damages copies of the finished study `alone`, whose content is `wanted`."""
    tally, chance = Tally(), random.Random(seed)
    for target in TARGETS:
        for name, spoil in SPOILERS.items():
            out = small.place / "damaged"
            shutil.rmtree(out, ignore_errors=True)
            shutil.copytree(alone, out)
            path = sorted(out.glob(target.pattern))[0]
            for forgotten in target.forget:
                _remove(out / forgotten)
            path.write_bytes(spoil(path.read_bytes(), chance))
            log = small.log(f"damaged-{tally.damaged}")
            outcome = child.command(_arguments(target.command, small, out), log)
            named = path.name in outcome.text
            status = 0 if target.remade else 2
            if target.mended:
                path.unlink()
                child.command(small.arguments(out), small.log(f"mended-{tally.damaged}"))
            compared = target.remade or target.mended
            same = not compared or not differences(content(out), wanted)
            tally.damaged += 1
            tally.tracebacks += outcome.traceback
            tally.found += named
            what = f"{path.relative_to(out)}, {name}"
            print(f"{what}: exit {outcome.status}, named: {named}", flush=True)
            if outcome.status != status or not named or not same or outcome.traceback:
                tally.problems.append(problem(what, outcome, f"same: {same}"))
    return tally


def _arguments(command: str, small: Small, out: Path) -> list[str]:
    if command in ("draw", "end"):
        end = ("--checkpoint", str(OPTIONS["lora"]["steps"]), "--strength", "1")
        named = end if command == "end" else ()
        return [DRAW[0], str(out / RUN), *DRAW[1:], *named, "--out", str(out / "drawn")]
    return ["report", str(out)] if command == "report" else small.arguments(out)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()
