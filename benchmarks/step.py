"""A training step: seconds, memory, start; with --peer against the diffusers example scripts.

    python benchmarks/step.py [--models toybox,sd15] [--methods lora] [--photos 2048] [--batch 4]
                              [--peer DIR] [--rounds 2] [--precision bf16]

trains as the command line does, in a process each. --peer DIR names a checkout of diffusers'
`examples`; its scripts then train on the same photos with the same model, batch, precision and
number of steps, in turns with ours. Neither gets class pictures. A step's time is the median once
training runs; "start" is from the process's start to the end of the first step. `shares.py` tells
what a step is spent on.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from measure import machine, show
from PIL import Image
from random_models import SIZES, model_source

from pseudoword.device import pick_device
from pseudoword.toybox.photos import render_photo_set
from pseudoword.toybox.world.concepts import concept_toy

STAMPED = Path(__file__).parent / "peer" / "stamped.py"
SCRIPTS = {
    "textual-inversion": "textual_inversion/textual_inversion.py",
    "dreambooth": "dreambooth/train_dreambooth.py",
    "lora": "dreambooth/train_dreambooth_lora.py",
}
TOY = 300
RANK = 4
SETTLED = 3
"""Steps before the ones that count."""
NEVER = "1000000"
MIXED = {"fp32": "no", "bf16": "bf16", "fp16": "fp16"}
Note = dict[str, Any]


def make_photos(side: int, folder: Path) -> Path:
    """Photos of a toy of `side` pixels: PNG up to 512, beyond it JPEG as from a camera."""
    render_photo_set(TOY, folder)
    for path in sorted(folder.glob("*.png")):
        picture = Image.open(path).convert("RGB").resize((side, side), Image.Resampling.BICUBIC)
        if side <= 512:
            picture.save(path)
        else:
            path.unlink()
            picture.save(path.with_suffix(".jpg"), quality=92)
    (folder / "toy.json").unlink()
    return folder


def our_arguments(method: str, setup: argparse.Namespace, model: str, out: Path) -> list[str]:
    options = {"steps": setup.steps, "batch_size": setup.batch, "prior_weight": 0}
    if method == "lora":
        options |= {"rank": RANK, "alpha": RANK}
    return [
        *("pseudoword", "train", str(setup.folder), "--class-noun", setup.noun),
        *("--method", method, "--model", model, "--out", str(out), "--snapshots", "0"),
        *("--precision", setup.precision, "--no-hold-out"),
        *("--option", ",".join(f"{name}={value}" for name, value in options.items())),
    ]


def script_arguments(
    method: str, setup: argparse.Namespace, name: str, model: str, out: Path
) -> list[str]:
    side = SIZES[name]
    shared = {
        "pretrained_model_name_or_path": model,
        "resolution": side,
        "train_batch_size": setup.batch,
        "max_train_steps": setup.steps,
        "learning_rate": 1e-4,
        "mixed_precision": MIXED[setup.precision],
        "checkpointing_steps": NEVER,
        "output_dir": out,
        "report_to": "all",  # those trackers that are installed: none
        "seed": 0,
    }
    if method == "textual-inversion":
        own = {
            "train_data_dir": setup.folder,
            "placeholder_token": "<concept>",
            "initializer_token": setup.noun,
            "save_steps": NEVER,
            "repeats": setup.steps,
        }
    else:
        own = {
            "instance_data_dir": setup.folder,
            "instance_prompt": f"a photo of a sks {setup.noun}",
        }
        if method == "lora":
            own["rank"] = RANK
    words = [str(setup.peer / SCRIPTS[method]), "--center_crop"]
    for key, value in (shared | own).items():
        words += [f"--{key}", str(value)]
    return words


def run(arguments: list[str], place: Path) -> Note:
    """One training in a process of its own."""
    out = place / "note.json"
    environment = os.environ | {"STARTED": repr(time.time()), "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, str(STAMPED), str(out), *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=place)
    if not out.exists():
        raise SystemExit(f"{arguments[0]} failed:\n{done.stderr[-3000:]}")
    note: Note = json.loads(out.read_text())
    return note


def measure(method: str, name: str, setup: argparse.Namespace) -> Note:
    """Ours and theirs in turns; what is told is the median over all rounds."""
    notes: dict[str, list[Note]] = {"ours": [], "theirs": []}
    model = model_source(name, setup.cache)
    for _ in range(setup.rounds):
        with tempfile.TemporaryDirectory() as place:
            out = Path(place) / "out"
            notes["ours"].append(run(our_arguments(method, setup, model, out), Path(place)))
        if setup.peer is not None and method in SCRIPTS and name != "sdxl":
            with tempfile.TemporaryDirectory() as place:
                out = Path(place) / "out"
                arguments = script_arguments(method, setup, name, model, out)
                notes["theirs"].append(run(arguments, Path(place)))
    row: Note = {"model": name, "method": method}
    for who, found in notes.items():
        if found:
            row[who] = {
                "step": statistics.median(s for n in found for s in n["steps"][SETTLED:]),
                "start": statistics.median(n["first"] for n in found),
                "memory": statistics.median(n["memory"] for n in found),
            }
    if "theirs" in row:
        row["ratio"] = {key: row["ours"][key] / row["theirs"][key] for key in row["ours"]}
    return row


def cells(row: Note, batch: int) -> list[str]:
    shown = [row["model"], row["method"]]
    for key, unit, digits in (("step", 1, 3), ("start", 1, 1), ("memory", 1e9, 2)):
        shown.append(f"{row['ours'][key] / unit:.{digits}f}")
        shown.append(f"{row['theirs'][key] / unit:.{digits}f}" if "theirs" in row else "")
        shown.append(f"{row['ratio'][key]:.2f}" if "ratio" in row else "")
    return [*shown, f"{batch / row['ours']['step']:.1f}"]


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure a training step.")
    parser.add_argument("--models", default="toybox")
    parser.add_argument("--methods", default=",".join(SCRIPTS))
    parser.add_argument("--photos", type=int, default=128, help="side of the photos in pixels")
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--precision", default="fp32", choices=list(MIXED))
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--peer", type=Path, help="a checkout of diffusers' examples")
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "random-models")
    setup = parser.parse_args()
    setup.peer = setup.peer.resolve() if setup.peer else None
    setup.noun = concept_toy(TOY).class_noun
    with tempfile.TemporaryDirectory() as place:
        setup.folder = make_photos(setup.photos, Path(place) / "photos")
        rows = [
            measure(method, name, setup)
            for name in setup.models.split(",")
            for method in setup.methods.split(",")
        ]
    head = ["model", "method"]
    for what in ("s/step", "start s", "GB"):
        head += [what, "script", "ratio"]
    record = {
        **machine(pick_device("auto")),
        **{key: getattr(setup, key) for key in ("photos", "batch", "steps", "precision")},
        "rows": rows,
    }
    show([[*head, "samples/s"], *(cells(row, setup.batch) for row in rows)], record)


if __name__ == "__main__":
    main()
