"""What a training step is spent on, and how near it comes to what the machine can do.

    python benchmarks/shares.py [--models toybox,sd15] [--methods lora] [--batch 4]

One training a row, in this process: seconds in the denoiser's forward, in the backward pass, in the
text encoders (while a word learns) and in the rest; FLOP/s of forward and backward together, and
their share of what one large matrix product and one large convolution reach in the same run.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from measure import machine, peak_flops, show, synchronise
from random_models import model_source
from step import make_photos
from torch.utils.flop_counter import FlopCounterMode

from pseudoword import train as loop
from pseudoword.compute import PRECISIONS, Stepper, effective
from pseudoword.concept import load_concept
from pseudoword.console import silence_libraries
from pseudoword.device import keep_memory, pick_device
from pseudoword.families import load_model, model_row
from pseudoword.families.model import Model
from pseudoword.methods import METHODS, make_method
from pseudoword.settings import ComputeSettings

MAIN = "textual-inversion,dreambooth,lora"
COUNTED = 2
"""The step whose operations are counted; it is slow and counts for nothing else."""
SETTLED = 4
PARTS: dict[str, tuple[type, str]] = {
    "forward": (Model, "predict"),
    "text": (Model, "encode_prompts"),
}
PARTS |= {"backward": (Stepper, "backward")}


class Clocks:
    """Seconds by part, with the accelerator's work waited for."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.spent = dict.fromkeys(PARTS, 0.0)

    def wrap(self, part: str) -> None:
        owner, name = PARTS[part]
        inner = getattr(owner, name)

        def timed(*arguments: Any, **options: Any) -> Any:
            synchronise(self.device)
            clock = time.perf_counter()
            outcome = inner(*arguments, **options)
            synchronise(self.device)
            self.spent[part] += time.perf_counter() - clock
            return outcome

        setattr(owner, name, timed)


class Steps:
    """Wraps the gradients of a step, which come first in it, to tell the steps apart."""

    def __init__(self, clocks: Clocks) -> None:
        self.clocks = clocks
        self.starts: list[dict[str, float]] = []
        self.flops = 0
        self._inner = loop._gradients

    def __call__(self, *arguments: Any) -> Any:
        synchronise(self.clocks.device)
        self.starts.append({"step": time.perf_counter(), **self.clocks.spent})
        if len(self.starts) != COUNTED:
            return self._inner(*arguments)
        with FlopCounterMode(display=False) as counter:
            outcome = self._inner(*arguments)
        self.flops = counter.get_total_flops()
        return outcome

    def medians(self) -> dict[str, float]:
        pairs = list(zip(self.starts, self.starts[1:], strict=False))[SETTLED:]
        return {
            key: statistics.median(after[key] - before[key] for before, after in pairs)
            for key in self.starts[0]
        }


def measure(name: str, method_name: str, setup: argparse.Namespace) -> dict[str, Any]:
    """One training of random or toybox weights."""
    device = pick_device("auto")
    source = model_source(name, setup.cache)
    preset = "toybox" if name == "toybox" else model_row(source).preset
    changes = {"steps": setup.steps, "batch_size": setup.batch, "prior_weight": 0.0}
    method = make_method(method_name, preset, changes)
    compute = ComputeSettings(precision=setup.precision)
    model = load_model(source, device, None, compute, "weights" in method.learns)
    steps = Steps(setup.clocks)
    setattr(loop, "_gradients", steps)  # noqa: B010
    with tempfile.TemporaryDirectory() as place:
        photos = make_photos(model.resolution, Path(place) / "photos")
        concept = load_concept([photos], "mug", model.resolution)
        loop.train(model, method, "mug", concept.training, Path(place) / "run", seed=0)
    setattr(loop, "_gradients", steps._inner)  # noqa: B010
    found = steps.medians()
    busy = found["forward"] + found["backward"]
    rest = found["step"] - busy - (found["text"] if method.trains_text else 0.0)
    return {
        "model": name,
        "method": method_name,
        **found,
        "outside": rest / found["step"],
        "flops_per_second": steps.flops / busy,
        "of_product": steps.flops / busy / setup.peaks["product"],
        "of_convolution": steps.flops / busy / setup.peaks["convolution"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="What a training step is spent on.")
    parser.add_argument("--models", default="toybox")
    parser.add_argument("--methods", default=MAIN, help=f"of {', '.join(METHODS)}")
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--steps", type=int, default=24)
    parser.add_argument("--precision", default="auto", choices=["auto", *PRECISIONS])
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "random-models")
    setup = parser.parse_args()
    silence_libraries()
    keep_memory()
    device = pick_device("auto")
    computed = effective(ComputeSettings(precision=setup.precision), device).precision
    setup.peaks = peak_flops(device, PRECISIONS[computed])
    setup.clocks = Clocks(device)
    for part in PARTS:
        setup.clocks.wrap(part)
    rows = [
        measure(name, method, setup)
        for name in setup.models.split(",")
        for method in setup.methods.split(",")
    ]
    head = ["model", "method", "ms/step", "forward", "backward", "text", "outside", "GFLOP/s"]
    table = [[*head, "of a product", "of a convolution"]]
    for row in rows:
        times = [f"{1000 * row[key]:.1f}" for key in ("step", "forward", "backward", "text")]
        shares = [f"{row[key]:.0%}" for key in ("of_product", "of_convolution")]
        rates = [f"{row['outside']:.1%}", f"{row['flops_per_second'] / 1e9:.0f}"]
        table.append([row["model"], row["method"], *times, *rates, *shares])
    record = {**machine(device), "precision": computed, "batch": setup.batch}
    show(table, {**record, "peaks": setup.peaks, "rows": rows})


if __name__ == "__main__":
    main()
