"""A whole quick study of three methods from photos to the report, and the same by hand.

    python benchmarks/study.py [--peer DIFFUSERS/examples] [--steps 20]

Ours is one `pseudoword study --effort quick --seeds 1`. By hand, with --peer, it is the three
diffusers scripts one after the other, a script that draws picture by picture with diffusers'
pipelines, and one call an encoder and picture for CLIP-I, CLIP-T and DINO. Steps, batch, class
pictures, the final pictures (those of the untouched model too), sampler and guidance are the same.
Ours does more in its time: it chooses checkpoints on validation prompts, draws pictures without the
concept, scores all its metrics against the truth too, and writes the report.

--no-select leaves the choice of checkpoints out.

Without --steps every method trains as long as it does in a quick study. With it all train that
many, to compare in less time; drawing and scoring then weigh more.
"""

import argparse
import json
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import yaml
from measure import machine, middle, report
from models import model_folder, place
from pictures import class_noun, photo_folder
from trainings import LAUNCH, RANK, SCRIPTS, WORD, Case, resolution, script_command, surroundings

from pseudoword.compute import effective
from pseudoword.console import silence_libraries
from pseudoword.device import pick_device
from pseudoword.methods import make_method
from pseudoword.prompts import load_suite
from pseudoword.settings import EFFORTS, ComputeSettings, GenerateSettings

BY_HAND = LAUNCH.parent / "by_hand.py"
TOYBOX = "toybox"


def method_options(name: str, steps: int) -> dict[str, Any]:
    """What both sides are told of a method: the toybox's settings, at the script's rank."""
    settings = make_method(name, TOYBOX).settings
    options: dict[str, Any] = {"steps": steps or settings.steps, "batch_size": settings.batch_size}
    return options | ({"rank": RANK, "alpha": RANK} if name == "lora" else {})


def run(command: list[str], log: Path, device: str) -> float:
    """Seconds of a process. Raises RuntimeError with its last lines where it fails."""
    environment = surroundings(device)
    clock = time.monotonic()
    with log.open("w") as told:
        status = subprocess.run(
            command, stdout=told, stderr=subprocess.STDOUT, env=environment, cwd=log.parent
        ).returncode
    if status:
        tail = "\n".join(log.read_text().splitlines()[-15:])
        raise RuntimeError(f"{' '.join(command)}\nended with {status}:\n{tail}")
    return time.monotonic() - clock


def own(
    photos: Path, steps: int, device: str, precision: str, select: bool, work: Path
) -> dict[str, float]:
    """Seconds of the study; by hand nothing is chosen, as without `select`."""
    out = work / "study"
    config = work / "study.yaml"
    options = {name: method_options(name, steps) for name in SCRIPTS}
    config.write_text(yaml.safe_dump({"options": options}))
    call = "import sys; from pseudoword.cli import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", call, "study", str(photos), f"--config={config}"]
    command += [f"--class-noun={class_noun()}", "--effort=quick", "--seeds=1", f"--out={out}"]
    command += [f"--device={device}", f"--precision={precision}"]
    command += [] if select else ["--no-select"]
    seconds = run(command, work / "study.txt", device)
    shutil.rmtree(out)
    return {"whole": seconds}


def by_hand(
    photos: Path, steps: int, device: str, precision: str, examples: Path, work: Path
) -> dict[str, float]:
    """Seconds of each part, and of the whole."""
    model = model_folder(TOYBOX, work)
    noun = class_noun()
    found: dict[str, float] = {}
    runs: dict[str, str] = {}
    for method in SCRIPTS:
        out = work / f"script-{method}"
        options = method_options(method, steps)
        case = Case(
            method, model, photos, options["batch_size"], options["steps"], precision, device
        )
        given = script_command(case, examples, out)
        settings = make_method(method, TOYBOX).settings
        given.append(f"--learning_rate={settings.learning_rate}")
        if settings.prior_weight > 0:
            given += ["--with_prior_preservation", f"--class_prompt=a photo of a {noun}"]
            given += [f"--class_data_dir={work / 'class'}"]
            given += [f"--num_class_images={settings.prior_pictures}"]
        # The scripts run as they are; the launcher stands in for torchvision where that is missing.
        command = [sys.executable, str(LAUNCH), "1", str(work / "record.json"), *given]
        found[method] = run(command, work / f"{method}.txt", device)
        runs[method] = str(out)
    task = {
        "model": str(model),
        "encoders_of": TOYBOX,
        "device": device,
        "precision": precision,
        "runs": {"base-model": None, **runs},
        "phrases": {
            "base-model": noun,
            "textual-inversion": WORD,
            "dreambooth": f"sks {noun}",
            "lora": f"sks {noun}",
        },
        "prompts": [prompt.template for prompt in load_suite("toybox", noun)],
        "count": EFFORTS["quick"].pictures,
        "photos": str(photos),
        "noun": noun,
        "sampling_steps": GenerateSettings().sampling_steps,
        "guidance_scale": GenerateSettings().guidance_scale,
        "out": str(work / "drawn"),
    }
    file = work / "task.json"
    file.write_text(json.dumps(task))
    command = [sys.executable, str(BY_HAND), str(file)]
    found["drawing and scoring"] = run(command, work / "by-hand.txt", device)
    for left in (*map(Path, runs.values()), work / "drawn", work / "class"):
        shutil.rmtree(left, ignore_errors=True)
    return {**found, "whole": sum(found.values())}


def main() -> None:
    arguments = parse()
    silence_libraries()
    device = pick_device(arguments.device)
    precision = effective(ComputeSettings(precision=arguments.precision), device).precision
    about = machine(device, precision)
    ours: list[dict[str, float]] = []
    theirs: list[dict[str, float]] = []
    with place(None) as work:
        photos = photo_folder(arguments.photos, arguments.side, work)
        how = (photos, arguments.steps, device.type, precision)
        for _ in range(arguments.rounds):
            ours.append(own(*how, not arguments.no_select, work))
            if arguments.peer is not None:
                theirs.append(by_hand(*how, arguments.peer.resolve(), work))
        about["resolution"] = resolution(model_folder(TOYBOX, work))
    study = middle([found["whole"] for found in ours])
    rows: list[dict[str, Any]] = [{"what": "pseudoword study", "seconds": study}]
    for part in theirs[0] if theirs else ():
        seconds = middle([found[part] for found in theirs])
        rows.append({"what": f"by hand: {part}", "seconds": seconds})
    if theirs:
        rows[-1]["ratio"] = study / rows[-1]["seconds"]
    columns = {"what": "what", "seconds": "seconds", "ratio": "ours / by hand"}
    about |= {"steps": arguments.steps, "side": arguments.side, "rounds": arguments.rounds}
    about["select"] = not arguments.no_select
    report(columns, rows, {"benchmark": "study", **about})


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=0, help="of every method; 0: its own")
    parser.add_argument("--side", type=int, default=2048, help="of the photos, in px")
    parser.add_argument("--photos", type=Path, nargs="*", default=[], help="own, to be scaled")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--no-select", action="store_true", help="ours chooses no checkpoints")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", default="auto", choices=["auto", "fp32", "bf16", "fp16"])
    parser.add_argument("--peer", type=Path, help="the folder of diffusers' examples")
    return parser.parse_args()


if __name__ == "__main__":
    main()
