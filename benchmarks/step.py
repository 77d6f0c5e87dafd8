"""What a training step takes, and how much of it is the networks' own work.

    python benchmarks/step.py                                        the toybox, three methods
    python benchmarks/step.py --peer DIFFUSERS/examples              beside the diffusers scripts
    python benchmarks/step.py --models sd15-size --batch 1,4,8 --sides 2048 --steps 20 --rounds 1
                                                                     on a GPU, in minutes

Each training is a process of its own and runs pseudoword's `train` command. With --peer, the folder
of the examples in a checkout of diffusers, its scripts run the same training in the same
environment, in turns (A B A B): the same model, photos, batch, precision and number of steps, a
crop at the centre and no class pictures. Figures are medians over all rounds' steps; the ratios are
ours over theirs. "outside" is the share of a step that is neither the denoiser's forward, the text
encoder's where the method needs it each step, nor the backward. MFU is what a step's operations
(counted by torch) come to in a second, over what one large matrix product and one large convolution
reach here and now. Memory is the process's peak, of the GPU's allocator on a GPU.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from measure import machine, report
from models import NAMES, model_folder, place
from pictures import photo_folder
from trainings import SCRIPTS, Case, Trained, compare, figures, ratios

from pseudoword.compute import effective
from pseudoword.console import silence_libraries
from pseudoword.device import pick_device
from pseudoword.methods import METHODS
from pseudoword.settings import ComputeSettings

OWN = {
    "method": "method",
    "model": "model",
    "side": "photos px",
    "batch": "batch",
    "step_seconds": "s/step",
    "step_cpu_seconds": "cpu s",
    "samples_per_second": "samples/s",
    "peak_gb": "peak GB",
    "first_step_seconds": "first step s",
    "outside": "outside",
    "gflops": "GFLOP/s",
    "mfu_matmul": "of matmul",
    "mfu_conv": "of conv",
}
PEER = {
    "script_step_seconds": "script s/step",
    "step_seconds_ratio": "ratio",
    "step_cpu_seconds_ratio": "cpu ratio",
    "peak_bytes_ratio": "memory ratio",
    "first_step_seconds_ratio": "start ratio",
}


def row(
    case: Case, found: dict[str, float], theirs: dict[str, float] | None, best: dict[str, Any]
) -> dict[str, Any]:
    """One training's figures, with the script's beside them."""
    rate = found["flops"] / found["step_seconds"]
    result = {
        **found,
        "peak_gb": found["peak_bytes"] / 1e9,
        "outside": f"{100 * found['outside_share']:.1f} %",
        "gflops": rate / 1e9,
        "mfu_matmul": rate / best["matmul_flops"],
        "mfu_conv": rate / best["conv_flops"],
    }
    if theirs is not None:
        result |= {f"script_{name}": value for name, value in theirs.items()}
        result |= ratios(found, theirs)
    return result


def tell(case: Case, side: int, ours: Sequence[Trained], theirs: Sequence[Trained]) -> None:
    """A line on standard error for each training, since all of them take long."""
    found = figures(ours, case)["step_seconds"]
    beside = ""
    if theirs:
        beside = f", {found / figures(theirs, case)['step_seconds']:.2f} of the script's"
    where = f"{case.method}, {case.model.name}, {side} px, batch {case.batch}"
    print(f"{where}: {found:.3g} s a step{beside}", file=sys.stderr, flush=True)


def main() -> None:
    arguments = parse()
    silence_libraries()
    device = pick_device(arguments.device)
    compute = effective(ComputeSettings(precision=arguments.precision), device)
    about = machine(device, compute.precision)
    rows = []
    standin = False
    with place(None) as work, place(arguments.models_folder) as kept:
        for name in arguments.models:
            model = model_folder(name, kept)
            for side in arguments.sides:
                photos = photo_folder(arguments.photos, side, work)
                for batch in arguments.batch:
                    for method in arguments.methods:
                        case = Case(
                            method,
                            model,
                            photos,
                            batch,
                            arguments.steps,
                            compute.precision,
                            device.type,
                            arguments.threads,
                            arguments.compile,
                        )
                        ours, theirs = compare(case, arguments.peer, arguments.rounds, work)
                        tell(case, side, ours, theirs)
                        standin |= any(one.record["standin"] for one in theirs)
                        rows.append(
                            {"method": method, "model": name, "side": side, "batch": batch}
                            | row(
                                case,
                                figures(ours, case),
                                figures(theirs, case) if theirs else None,
                                about,
                            )
                        )
    if standin:
        print("torchvision cannot be imported here: the scripts ran with a stand-in for it.\n")
    about |= {"steps": arguments.steps, "rounds": arguments.rounds, "standin": standin}
    about["compile"] = arguments.compile
    report(OWN | (PEER if arguments.peer else {}), rows, {"benchmark": "step", **about})


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )

    def names(text: str) -> list[str]:
        return text.split(",")

    def numbers(text: str) -> list[int]:
        return [int(part) for part in text.split(",")]

    parser.add_argument("--methods", type=names, default=list(SCRIPTS), help=", ".join(METHODS))
    parser.add_argument(
        "--models", type=names, default=["toybox"], help=f"{', '.join(NAMES)}, or folders"
    )
    parser.add_argument("--sides", type=numbers, default=[64, 2048], help="of the photos, in px")
    parser.add_argument("--photos", type=Path, nargs="*", default=[], help="own, to be scaled")
    parser.add_argument("--batch", type=numbers, default=[4], help="photos a step")
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--rounds", type=int, default=2, help="of each training, in turns")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", default="auto", choices=["auto", "fp32", "bf16", "fp16"])
    parser.add_argument("--peer", type=Path, help="the folder of diffusers' examples")
    parser.add_argument("--threads", type=int, default=0, help="of torch on a CPU; 0: its choice")
    parser.add_argument("--compile", action="store_true", help="ours, with torch.compile")
    parser.add_argument("--models-folder", type=Path, help="where models of chance weights stay")
    arguments = parser.parse_args()
    if arguments.peer is not None:
        arguments.peer = arguments.peer.resolve()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    return arguments


if __name__ == "__main__":
    main()
