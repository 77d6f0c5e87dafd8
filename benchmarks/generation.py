"""Pictures a second, beside diffusers' own pipeline called picture by picture.

    python benchmarks/generation.py
    python benchmarks/generation.py --models sd15-size --batch 1,4,8 --count 8       on a GPU

Both draw the same prompts from the same number of seeds with the same model, sampler, number of
steps and guidance, in turns (A B A B). Ours are drawn `--batch` at a time, prompts and seeds mixed;
the pipeline is called as people's own scripts call it: one prompt, one picture. It computes in the
same precision.
"""

import argparse
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from measure import alternate, machine, middle, report
from models import NAMES, model_folder, place
from pictures import class_noun

from pseudoword.compute import PRECISIONS, effective
from pseudoword.console import silence_libraries
from pseudoword.device import pick_device
from pseudoword.families import load_model
from pseudoword.generate import Request, generate, make_sampler
from pseudoword.prompts import fill, load_suite
from pseudoword.settings import ComputeSettings, GenerateSettings


def requests_of(count: int) -> list[Request]:
    """`count` pictures of the toybox's prompts, in turns."""
    prompts = [fill(prompt.template, class_noun()) for prompt in load_suite("toybox", class_noun())]
    return [Request(prompts[index % len(prompts)], index) for index in range(count)]


def load_pipeline(folder: Path, device: torch.device, precision: str, scheduler: Any) -> Any:
    from diffusers import DiffusionPipeline

    pipeline = DiffusionPipeline.from_pretrained(folder, torch_dtype=PRECISIONS[precision])
    pipeline.scheduler = scheduler
    pipeline.set_progress_bar_config(disable=True)
    return pipeline.to(device)


def one_by_one(pipeline: Any, requests: list[Request], settings: GenerateSettings) -> None:
    for request in requests:
        pipeline(
            request.prompt,
            num_inference_steps=settings.sampling_steps,
            guidance_scale=settings.guidance_scale,
            generator=torch.Generator().manual_seed(request.seed),
        )


def main() -> None:
    arguments = parse()
    silence_libraries()
    device = pick_device(arguments.device)
    compute = effective(ComputeSettings(precision=arguments.precision), device)
    about = machine(device, compute.precision)
    requests = requests_of(arguments.count)
    rows = []
    with place(arguments.models_folder) as kept:
        for name in arguments.models:
            folder = model_folder(name, kept)
            model = load_model(str(folder), device, None, compute)
            usual = GenerateSettings(sampling_steps=arguments.sampling_steps)
            sampler = make_sampler(model, usual)
            pipeline = load_pipeline(folder, device, compute.precision, sampler)
            by_batch = {
                batch: usual.model_copy(update={"batch_size": batch}) for batch in arguments.batch
            }
            works: dict[str, Callable[[], object]] = {
                str(batch): partial(generate, model, requests, settings)
                for batch, settings in by_batch.items()
            }
            works["pipeline"] = partial(one_by_one, pipeline, requests, usual)
            for work in works.values():
                # Once for kernels to be chosen and caches to be filled.
                work()
            times = alternate(works, arguments.rounds)
            theirs = middle(times["pipeline"])
            for batch in arguments.batch:
                ours = middle(times[str(batch)])
                rows.append(
                    {
                        "model": name,
                        "batch": batch,
                        "pictures_per_second": arguments.count / ours,
                        "pipeline_pictures_per_second": arguments.count / theirs,
                        "ratio": ours / theirs,
                    }
                )
            del model, pipeline, works
    columns = {
        "model": "model",
        "batch": "batch",
        "pictures_per_second": "pictures/s",
        "pipeline_pictures_per_second": "pipeline pictures/s",
        "ratio": "ratio of times",
    }
    about |= {"sampling_steps": arguments.sampling_steps, "rounds": arguments.rounds}
    report(columns, rows, {"benchmark": "generation", **about})


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--models", type=lambda t: t.split(","), default=["toybox"], help=", ".join(NAMES)
    )
    parser.add_argument(
        "--batch", type=lambda t: [int(part) for part in t.split(",")], default=[1, 8, 32]
    )
    parser.add_argument("--count", type=int, default=32, help="pictures a round")
    parser.add_argument("--sampling-steps", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", default="auto", choices=["auto", "fp32", "bf16", "fp16"])
    parser.add_argument("--models-folder", type=Path, help="where models of chance weights stay")
    return parser.parse_args()


if __name__ == "__main__":
    main()
