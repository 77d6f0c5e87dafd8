"""Spoilt files, and whether what reads them says so: no traceback, no hang, no memory gone.

    python experiments/torture/fuzz.py [--count 2000] [--seed 0] [--only NAME] [--case N]

Case N of a seed is always the same file. A child process reads one after the other; it is watched,
and started again after a case that it does not survive. Prints what failed, with how to see it
again, and a last line of JSON: {"fuzzed": .., "tracebacks": .., "hung": .., "died": ..,
"greedy": .., "ran": .., "unclear": .., "refused": ..}. All but the first and the last should be 0.
"""

import argparse
import json
import os
import re
import resource
import select
import shutil
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import mutations
import numpy as np
from mutations import BYTES, Mutation
from target import MARK, Target
from targets import TARGETS, WHOLE

from pseudoword.errors import UserError

SECONDS = 15.0
"""A case may take so long: some seconds, on a machine that does other things too."""
MEMORY = 2 * 2**30
"""Bytes that the whole process may reach."""
LINES, OWN_WORDS = 3, 3
"""A message has at most so many lines, and at least so many words beside a library's."""
WORD = re.compile("[a-z]{2,}")
FAILURES = ("tracebacks", "hung", "died", "greedy", "ran", "unclear")
SPOILERS: dict[str, tuple[Mutation, ...]] = {
    ".png": (mutations.spoil_png,),
    **{
        ending: (mutations.spoil_dimensions,)
        for ending in (".jpg", ".webp", ".gif", ".bmp", ".tif", ".tiff")
    },
    ".txt": (mutations.spoil_text,),
    ".csv": (mutations.spoil_text,),
    ".jsonl": (mutations.spoil_jsonl, mutations.spoil_text),
    ".json": (mutations.spoil_json,) * 4 + (mutations.spoil_text,),
    ".yaml": (mutations.spoil_yaml,) * 3 + (mutations.spoil_text,),
    ".safetensors": (mutations.spoil_safetensors,) * 3,
    ".pt": (mutations.spoil_zip,),
    ".bin": (mutations.spoil_zip,),
}
"""What knows the format, by ending; it has two cases of three."""


def plan(count: int, only: str | None = None) -> list[tuple[Target, str, bool]]:
    """Which file of which target each case spoils, and whether it is left as it was made.

    Every file comes once, in an order that mixes them, then those that take long, then all again.
    """
    chosen = [target for target in TARGETS if only in (None, target.name)]
    rest = [(t, file, False) for t in chosen for file in t.files]
    whole = [(t, file, True) for t in chosen for file in WHOLE.get(t.name, ())]
    large = [what for what in whole if what[0].name == "large"]
    first = [*rest, *(what for what in whole if what not in large)]
    cases = [first[i] for i in np.random.default_rng(0).permutation(len(first))] + large
    while rest and len(cases) < count:
        cases += rest
    return cases[:count]


def spoil(data: bytes, file: str, seed: int, index: int) -> bytes:
    """The bytes of a case, from those of the whole file."""
    chance = np.random.default_rng([seed, index])
    known = SPOILERS.get(Path(file).suffix, ())
    for _ in range(10):
        chosen = known if known and chance.random() < 0.67 else BYTES
        try:
            found = chosen[int(chance.integers(len(chosen)))](chance, data)
        except (zipfile_error(), ValueError):
            continue  # a file of the old pickle format is no zip
        if found != data:
            return found
    return data[:-1]


def zipfile_error() -> type[Exception]:
    import zipfile

    return zipfile.BadZipFile


def run(
    count: int, seed: int = 0, only: str | None = None, tell: IO[str] = sys.stderr
) -> dict[str, int]:
    """Reads `count` spoilt files; returns how many failed, by how: see the module."""
    count = len(plan(count, only))
    found = dict.fromkeys(("fuzzed", *FAILURES, "refused"), 0)
    with tempfile.TemporaryDirectory(prefix="fuzz-") as name:
        for index, verdict, text in _watch(Path(name), count, seed, only):
            found["fuzzed"] += 1
            if verdict in found:
                found[verdict] += 1
            if verdict in FAILURES:
                target, file, _ = plan(count, only)[index]
                again = f"--count {count} --seed {seed} --case {index}"
                again += f" --only {only}" if only else ""
                print(f"case {index} {target.name}/{file}: {verdict} ({again})\n{text}", file=tell)
    return found


def _watch(folder: Path, count: int, seed: int, only: str | None) -> Iterator[tuple[int, str, str]]:
    """Each case, what became of it and what was said: from one child after another."""
    index = 0
    while index < count:
        command = [sys.executable, __file__, "--child", str(folder), "--from", str(index)]
        command += ["--count", str(count), "--seed", str(seed), *(["--only", only] if only else [])]
        with (folder / "errors").open("w+") as errors:
            child = subprocess.Popen(
                command,
                stdout=subprocess.PIPE,
                stderr=errors,
                cwd=folder,
                # The child looks for modules where this process found them.
                env=os.environ | {"PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path))},
            )
            assert child.stdout is not None
            patience = 600.0  # for the whole files to be made, on a busy machine
            while (line := _line(child.stdout, patience)) is not None:
                if line == "":
                    break
                patience = SECONDS
                if line != "ready\n":
                    told = json.loads(line)
                    yield told["case"], told["verdict"], told["text"]
                    index = told["case"] + 1
            child.kill()
            code = child.wait()
            if index >= count:
                return
            errors.seek(0)
            last = errors.read()[-2000:]
            if patience != SECONDS:
                raise RuntimeError(f"the whole files cannot be made:\n{last}")
            hung = line is None
            yield index, "hung" if hung else "died", f"exit code {code}\n{last}"
            index += 1


def _line(stream: IO[bytes], seconds: float) -> str | None:
    """The next line, "" at the end of all, None where it does not come in time."""
    ready, _, _ = select.select([stream], [], [], seconds)
    # The child writes whole lines, one at a time, and waits for none.
    return stream.readline().decode() if ready else None


def _child(folder: Path, first: int, count: int, seed: int, only: str | None) -> None:
    """Reads the cases from `first` on; tells each on a line of JSON."""
    os.environ |= {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "error"}
    import torch

    torch.set_num_threads(1)
    cases = plan(count, only)
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    for target in dict.fromkeys(target for target, _, _ in cases):
        place = folder / "whole" / target.name
        if not (place / ".made").exists():
            place.mkdir(parents=True, exist_ok=True)
            target.make(place)
            (place / ".made").touch()
    for target in dict.fromkeys(target for target, _, _ in cases):
        # What is loaded when first needed is no case's doing.
        if target.files:
            _read(folder, target, target.files[0])
    answers.write("ready\n")
    limit = MEMORY + 2**28
    resource.setrlimit(resource.RLIMIT_DATA, (_memory("VmData") + limit, resource.RLIM_INFINITY))
    for index in range(first, count):
        verdict, text = case(folder, cases[index], seed, index)
        answers.write(json.dumps({"case": index, "verdict": verdict, "text": text}) + "\n")


def case(folder: Path, what: tuple[Target, str, bool], seed: int, index: int) -> tuple[str, str]:
    """What becomes of one file, "read" and "refused" being as it should be; and what was said."""
    target, file, whole = what
    Path("/proc/self/clear_refs").write_text("5")  # the peak of memory starts anew
    clock = time.monotonic()
    data = (folder / "whole" / target.name / file).read_bytes()
    verdict, text = _read(folder, target, file, None if whole else spoil(data, file, seed, index))
    seconds, peak = time.monotonic() - clock, _memory("VmHWM")
    if Path(MARK).exists():
        Path(MARK).unlink()
        return "ran", text
    if peak > MEMORY:
        return "greedy", f"{peak / 2**20:.0f} MiB\n{text}"
    if seconds > SECONDS:
        return "hung", f"{seconds:.0f} s\n{text}"
    return verdict, text


def _read(folder: Path, target: Target, file: str, data: bytes | None = None) -> tuple[str, str]:
    """Reads a copy of the whole files in which one is replaced by `data`."""
    copy = folder / "copy"
    shutil.rmtree(copy, ignore_errors=True)  # an earlier child may have died over its own
    shutil.copytree(folder / "whole" / target.name, copy, copy_function=os.link)
    path = copy / file
    if data is not None:
        path.unlink()
        path.write_bytes(data)
    try:
        target.read(copy, path)
        return "read", ""
    except UserError as error:
        told = _is_clear(error, path, target.told.get(file, ()))
        return "refused" if told else "unclear", str(error)
    except BaseException:
        return "tracebacks", traceback.format_exc()[-3000:]
    finally:
        shutil.rmtree(copy)


def _is_clear(error: UserError, path: Path, others: tuple[str, ...]) -> bool:
    """Whether a message is short, names the file or one of the `others`, and has words of its own.

    What a library said may be in it, but is never all that a user is told.
    """
    text = str(error)
    named = path.name in text or any(name in text for name in others)
    own = text.replace(str(path), "")
    if error.__context__ is not None and not isinstance(error.__context__, UserError):
        own = own.replace(str(error.__context__), "")
    return named and text.count("\n") < LINES and len(WORD.findall(own)) >= OWN_WORDS


def _memory(field: str) -> int:
    """Bytes of this process, from /proc."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(line for line in lines if line.startswith(field)).split()[1])


def _arguments() -> Any:
    parser = argparse.ArgumentParser(description="Reads spoilt files.")
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", choices=[target.name for target in TARGETS])
    parser.add_argument("--case", type=int, help="this case alone, with its traceback")
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--from", type=int, default=0, dest="first", help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    given = _arguments()
    if given.child:
        _child(given.child, given.first, given.count, given.seed, given.only)
        return
    if given.case is None:
        print(json.dumps(run(given.count, given.seed, given.only)))
        return
    with tempfile.TemporaryDirectory(prefix="fuzz-") as name:
        os.chdir(name)
        what = plan(given.count, given.only)[given.case]
        what[0].make(_made(Path(name), what[0]))
        print(*case(Path(name), what, given.seed, given.case), sep="\n")


def _made(folder: Path, target: Target) -> Path:
    place = folder / "whole" / target.name
    place.mkdir(parents=True)
    return place


if __name__ == "__main__":
    main()
