"""A whole quick study of three methods from photos to the report, and the same by hand.

    python benchmarks/study.py [--peer DIFFUSERS/examples] [--steps 20]
    python benchmarks/study.py --model sd15-size --steps 50 --class-pictures 8       on a GPU

Ours is one `pseudoword study --effort quick --seeds 1`. By hand, with --peer, it is the three
diffusers scripts one after the other, a script that draws picture by picture with diffusers'
pipelines, and one call an encoder and picture for CLIP-I, CLIP-T and DINO. Steps, batch, class
pictures, the final pictures (those of the untouched model too), sampler and guidance are the same.
Ours does more in its time: it chooses checkpoints on validation prompts, draws pictures without the
concept, scores all its metrics against the truth too, and writes the report.

--no-select leaves the choice of checkpoints out.

Without --steps every method trains as long as it does in a quick study. With it all train that
many, to compare in less time; drawing and scoring then weigh more, and more so with few
--class-pictures. Prompts and encoders are the toybox's for any model.
"""

import argparse
import json
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from measure import machine, middle, report
from models import NAMES, model_folder, place
from pictures import class_noun, photo_folder
from trainings import LAUNCH, RANK, SCRIPTS, WORD, Case, resolution, script_command, surroundings

from pseudoword.compute import effective
from pseudoword.console import silence_libraries
from pseudoword.device import pick_device
from pseudoword.families import model_row
from pseudoword.methods import make_method
from pseudoword.prompts import load_suite
from pseudoword.settings import EFFORTS, ComputeSettings, GenerateSettings

BY_HAND = LAUNCH.parent / "by_hand.py"
TOYBOX = "toybox"


@dataclass(frozen=True)
class Task:
    """What both sides do; `steps` and `class_pictures` are the methods' own where they are 0.

    `model` is what pseudoword calls it, `folder` where it is.
    """

    model: str
    folder: Path
    photos: Path
    steps: int
    class_pictures: int
    device: str
    precision: str

    def options(self, name: str) -> dict[str, Any]:
        """What both sides are told of a method: the settings that suit the model's size."""
        settings = make_method(name, model_row(self.model).preset).settings
        found: dict[str, Any] = {
            "learning_rate": settings.learning_rate,
            "steps": self.steps or settings.steps,
            "batch_size": settings.batch_size,
        }
        if settings.prior_weight > 0:
            found["prior_pictures"] = self.class_pictures or settings.prior_pictures
        return found | ({"rank": RANK, "alpha": RANK} if name == "lora" else {})


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


def own(task: Task, select: bool, work: Path) -> dict[str, float]:
    """Seconds of the study; by hand nothing is chosen, as without `select`."""
    out = work / "study"
    config = work / "study.yaml"
    encoders = {f"{role}_encoder": name for role, name in model_row(TOYBOX).encoders.items()}
    options = {name: task.options(name) for name in SCRIPTS}
    config.write_text(yaml.safe_dump({"options": options, "suite": TOYBOX, **encoders}))
    call = "import sys; from pseudoword.cli import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", call, "study", str(task.photos), f"--config={config}"]
    command += [f"--class-noun={class_noun()}", "--effort=quick", "--seeds=1", f"--out={out}"]
    command += [f"--model={task.model}", f"--device={task.device}", f"--precision={task.precision}"]
    command += [] if select else ["--no-select"]
    seconds = run(command, work / "study.txt", task.device)
    shutil.rmtree(out)
    return {"whole": seconds}


def script(task: Task, method: str, examples: Path, out: Path, work: Path) -> float:
    """Seconds of the diffusers script of a method, which leaves what it learnt in `out`."""
    options = task.options(method)
    case = Case(
        method,
        task.folder,
        task.photos,
        options["batch_size"],
        options["steps"],
        task.precision,
        task.device,
    )
    given = script_command(case, examples, out)
    given.append(f"--learning_rate={options['learning_rate']}")
    if "prior_pictures" in options:
        given += ["--with_prior_preservation", f"--class_prompt=a photo of a {class_noun()}"]
        given += [f"--class_data_dir={work / 'class'}"]
        given += [f"--num_class_images={options['prior_pictures']}"]
    # The scripts run as they are; the launcher stands in for torchvision where that is missing.
    command = [sys.executable, str(LAUNCH), "1", str(work / "record.json"), *given]
    return run(command, work / f"{method}.txt", task.device)


def by_hand(task: Task, examples: Path, work: Path) -> dict[str, float]:
    """Seconds of each part, and of the whole."""
    noun = class_noun()
    runs = {method: work / f"script-{method}" for method in SCRIPTS}
    found = {method: script(task, method, examples, runs[method], work) for method in SCRIPTS}
    about = {
        "model": str(task.folder),
        "encoders_of": TOYBOX,
        "device": task.device,
        "precision": task.precision,
        "runs": {"base-model": None, **{method: str(out) for method, out in runs.items()}},
        "phrases": {
            "base-model": noun,
            "textual-inversion": WORD,
            "dreambooth": f"sks {noun}",
            "lora": f"sks {noun}",
        },
        "prompts": [prompt.template for prompt in load_suite(TOYBOX, noun)],
        "count": EFFORTS["quick"].pictures,
        "photos": str(task.photos),
        "noun": noun,
        "sampling_steps": GenerateSettings().sampling_steps,
        "guidance_scale": GenerateSettings().guidance_scale,
        "out": str(work / "drawn"),
    }
    file = work / "task.json"
    file.write_text(json.dumps(about))
    command = [sys.executable, str(BY_HAND), str(file)]
    found["drawing and scoring"] = run(command, work / "by-hand.txt", task.device)
    for left in (*runs.values(), work / "drawn", work / "class"):
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
    with place(None) as work, place(arguments.models_folder) as kept:
        folder = model_folder(arguments.model, kept).resolve()
        task = Task(
            TOYBOX if arguments.model == TOYBOX else str(folder),
            folder,
            photo_folder(arguments.photos, arguments.side, work),
            arguments.steps,
            arguments.class_pictures,
            device.type,
            precision,
        )
        for _ in range(arguments.rounds):
            ours.append(own(task, not arguments.no_select, work))
            if arguments.peer is not None:
                theirs.append(by_hand(task, arguments.peer.resolve(), work))
        about |= {"model": arguments.model, "resolution": resolution(folder)}
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
    parser.add_argument(
        "--model",
        default=TOYBOX,
        help=f"{', '.join(NAMES)}, or a folder",
    )
    parser.add_argument("--steps", type=int, default=0, help="of every method; 0: its own")
    parser.add_argument("--class-pictures", type=int, default=0, help="of DreamBooth; 0: its own")
    parser.add_argument("--side", type=int, default=2048, help="of the photos, in px")
    parser.add_argument("--photos", type=Path, nargs="*", default=[], help="own, to be scaled")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--no-select", action="store_true", help="ours chooses no checkpoints")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", default="auto", choices=["auto", "fp32", "bf16", "fp16"])
    parser.add_argument("--peer", type=Path, help="the folder of diffusers' examples")
    parser.add_argument("--models-folder", type=Path, help="where models of chance weights stay")
    return parser.parse_args()


if __name__ == "__main__":
    main()
