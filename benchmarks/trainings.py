"""One training as a process of its own: pseudoword's, or that of a diffusers example script."""

import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from measure import middle
from pictures import class_noun

import pseudoword
from pseudoword.runs import read_json

LAUNCH = Path(__file__).parent / "peer" / "launch.py"
WORD = "<concept>"
RANK = 4
SCRIPTS = {
    "textual-inversion": "textual_inversion/textual_inversion.py",
    "dreambooth": "dreambooth/train_dreambooth.py",
    "lora": "dreambooth/train_dreambooth_lora.py",
}
"""The methods that have a script, by its place among the diffusers examples."""
WARMING = 3
"""Steps at the start that count as getting going, where there are enough others."""
LOOK_EVERY = 0.05


@dataclass(frozen=True)
class Case:
    """The same training for whoever does it: no class pictures, one crop at the centre.

    `threads` are those of torch on a CPU; 0 for as many as it takes. `compiled` is for ours alone.
    """

    method: str
    model: Path
    photos: Path
    batch: int
    steps: int
    precision: str
    device: str
    threads: int = 0
    compiled: bool = False


@dataclass(frozen=True)
class Trained:
    """Seconds of each step once running, wall and processor; from start to the first step's end.

    `peak` is the most memory in bytes, of the whole process or of the GPU's allocator.
    """

    steps: list[float]
    cpu: list[float]
    first: float
    whole: float
    peak: int
    record: dict[str, Any]


def own_command(case: Case, out: Path, extra: int = 1) -> list[str]:
    """pseudoword's command; `extra` steps are counted and not timed."""
    options = {"steps": case.steps + extra, "batch_size": case.batch, "prior_weight": 0}
    if case.method == "lora":
        options |= {"rank": RANK, "alpha": RANK}
    given = [f"--option={name}={value}" for name, value in options.items()]
    given += [f"--model={case.model}", f"--method={case.method}", f"--class-noun={class_noun()}"]
    given += [f"--device={case.device}", f"--precision={case.precision}", f"--out={out}"]
    given += ["--compile"] if case.compiled else []
    return ["pseudoword", "train", str(case.photos), "--no-hold-out", "--snapshots=0", *given]


def script_command(case: Case, examples: Path, out: Path) -> list[str]:
    """The script of the method with the same settings, else with its own."""
    given = [str(examples / SCRIPTS[case.method]), f"--pretrained_model_name_or_path={case.model}"]
    given += [f"--resolution={resolution(case.model)}", "--center_crop", f"--output_dir={out}"]
    given += [f"--train_batch_size={case.batch}", f"--max_train_steps={case.steps}"]
    given += ["--lr_scheduler=constant", "--lr_warmup_steps=0", "--seed=0"]
    if case.precision != "fp32":
        given.append(f"--mixed_precision={case.precision}")
    if case.device.startswith("cuda"):
        given.append("--allow_tf32")
    if case.method == "textual-inversion":
        given += [f"--train_data_dir={case.photos}", f"--placeholder_token={WORD}"]
        return [*given, f"--initializer_token={class_noun()}"]
    given += [f"--instance_data_dir={case.photos}"]
    given += [f"--instance_prompt=a photo of sks {class_noun()}"]
    return [*given, f"--rank={RANK}"] if case.method == "lora" else given


def resolution(model: Path) -> int:
    """The side in pixels of a model's pictures."""
    side = read_json(model / "unet" / "config.json")["sample_size"]
    levels = len(read_json(model / "vae" / "config.json")["block_out_channels"])
    return int(side * 2 ** (levels - 1))


def surroundings(device: str) -> dict[str, str]:
    """The environment of a process that is measured: this pseudoword, nothing downloaded."""
    source = str(Path(pseudoword.__file__).resolve().parents[1])
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "PYTHONPATH": source}
    if device == "cpu":
        environment["CUDA_VISIBLE_DEVICES"] = ""
    return environment


def run(command: Sequence[str], case: Case, place: Path) -> Trained:
    """Runs it to its end. Raises CalledProcessError with its last lines where it fails."""
    record = place / "record.json"
    log = place / "log.txt"
    environment = surroundings(case.device)
    if case.threads:
        environment["OMP_NUM_THREADS"] = str(case.threads)
    start = time.monotonic()
    with log.open("w") as told:
        process = subprocess.Popen(
            [sys.executable, str(LAUNCH), str(case.steps), str(record), *command],
            stdout=told,
            stderr=subprocess.STDOUT,
            env=environment,
            cwd=place,
        )
        watch = Watch(process.pid)
        watch.start()
        status = process.wait()
    whole = time.monotonic() - start
    watch.join()
    if status:
        tail = "\n".join(log.read_text().splitlines()[-15:])
        raise RuntimeError(f"{' '.join(command)}\nended with {status}:\n{tail}")
    found = read_json(record)
    skip = WARMING if case.steps > 2 * WARMING else 0
    return Trained(
        steps=_differences(found["ends"])[skip:],
        cpu=_differences(found["cpu"])[skip:],
        first=found["ends"][0] - start,
        whole=whole,
        peak=found.get("allocated", max(watch.peak, found["resident"])),
        record=found,
    )


def _differences(ends: Sequence[float]) -> list[float]:
    return [after - before for before, after in pairwise(ends)]


class Watch(threading.Thread):
    """The most memory of a process, looked at from outside: it may reset its own count."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self._status = Path(f"/proc/{pid}/status")
        self.peak = 0

    def run(self) -> None:
        while True:
            try:
                lines = self._status.read_text().splitlines()
            except OSError:
                return
            found = [line for line in lines if line.startswith("VmHWM:")]
            if not found:
                # It has ended and not been waited for.
                return
            self.peak = max(self.peak, int(found[0].split()[1]) * 1024)
            time.sleep(LOOK_EVERY)


def compare(
    case: Case, examples: Path | None, rounds: int, place: Path
) -> tuple[list[Trained], list[Trained]]:
    """Ours and the script's, A B A B; ours only without `examples` or a script for the method.

    The scripts are those for models of one text encoder.
    """
    peer = examples is not None and case.method in SCRIPTS
    peer = peer and not (case.model / "text_encoder_2").exists()
    ours: list[Trained] = []
    theirs: list[Trained] = []
    for _ in range(rounds):
        out = place / "own"
        ours.append(run(own_command(case, out), case, place))
        shutil.rmtree(out, ignore_errors=True)
        if peer and examples is not None:
            out = place / "script"
            theirs.append(run(script_command(case, examples, out), case, place))
            shutil.rmtree(out, ignore_errors=True)
    return ours, theirs


def figures(trained: Sequence[Trained], case: Case) -> dict[str, float]:
    """The medians of several rounds: of all steps, and of what there is one of a round."""
    step = middle([seconds for one in trained for seconds in one.steps])
    found = {
        "step_seconds": step,
        "step_cpu_seconds": middle([seconds for one in trained for seconds in one.cpu]),
        "samples_per_second": case.batch / step,
        "first_step_seconds": middle([one.first for one in trained]),
        "whole_seconds": middle([one.whole for one in trained]),
        "peak_bytes": float(max(one.peak for one in trained)),
    }
    inside = [one.record["inside"] for one in trained if "inside" in one.record]
    if inside:
        # Step by step, since a busy moment takes both longer.
        shares = [
            1 - within / whole
            for one in trained
            for within, whole in zip(
                one.record["inside"][1:], _differences(one.record["ends"]), strict=True
            )
        ]
        found["outside_share"] = middle(shares)
        found["flops"] = float(trained[0].record["flops"])
    return found


def ratios(ours: dict[str, float], theirs: dict[str, float]) -> dict[str, float]:
    names = ("step_seconds", "step_cpu_seconds", "peak_bytes", "first_step_seconds")
    return {f"{name}_ratio": ours[name] / theirs[name] for name in names}
