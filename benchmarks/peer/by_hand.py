"""What follows the diffusers scripts in scripts of one's own: drawing and scoring, one by one.

    python by_hand.py TASK.json

TASK.json: "model", its folder; "device", "precision"; "runs", by method the folder that the script
left, and none for the untouched model; "phrases", how each words the concept; "prompts" with {};
"count" pictures of each; "photos"; "noun"; "sampling_steps", "guidance_scale"; "out".
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import DPMSolverMultistepScheduler, StableDiffusionPipeline
from PIL import Image

from pseudoword.compute import PRECISIONS
from pseudoword.families import model_row
from pseudoword.metrics.distances import cosine_matrix
from pseudoword.metrics.encoders import Encoder, load_encoder


def load(task: dict[str, Any], method: str, folder: str | None) -> Any:
    """The pipeline with what the script learnt."""
    source = folder if method == "dreambooth" else task["model"]
    dtype = PRECISIONS[task["precision"]]
    pipeline = StableDiffusionPipeline.from_pretrained(source, torch_dtype=dtype)
    if method == "textual-inversion":
        pipeline.load_textual_inversion(folder)
    if method == "lora":
        pipeline.load_lora_weights(folder)
    pipeline.scheduler = DPMSolverMultistepScheduler.from_config(pipeline.scheduler.config)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline.to(task["device"])


def draw(task: dict[str, Any], method: str, pipeline: Any) -> dict[Path, str]:
    """Every prompt from every seed, a picture a call; the files and what they ask for."""
    files = {}
    folder = Path(task["out"]) / method
    folder.mkdir(parents=True)
    for number, prompt in enumerate(task["prompts"]):
        for seed in range(task["count"]):
            (picture,) = pipeline(
                prompt.replace("{}", task["phrases"][method]),
                num_inference_steps=task["sampling_steps"],
                guidance_scale=task["guidance_scale"],
                generator=torch.Generator().manual_seed(seed),
            ).images
            path = folder / f"{number}-{seed}.png"
            picture.save(path)
            files[path] = prompt.replace("{}", task["noun"])
    return files


def score(
    files: dict[Path, str], photos: Sequence[Image.Image], clip: Encoder, dino: Encoder
) -> Any:
    """Mean CLIP-I, DINO and CLIP-T."""
    known = [np.concatenate([e.embed_images([photo]) for photo in photos]) for e in (clip, dino)]
    rows = []
    for path, prompt in files.items():
        with Image.open(path) as picture:
            seen, felt = clip.embed_images([picture]), dino.embed_images([picture])
        rows.append(
            [
                cosine_matrix(seen, known[0]).mean(),
                cosine_matrix(felt, known[1]).mean(),
                cosine_matrix(seen, clip.embed_texts([prompt])).mean(),
            ]
        )
    means: list[float] = np.mean(rows, axis=0).tolist()
    return means


def main() -> None:
    task = json.loads(Path(sys.argv[1]).read_text())
    encoders = model_row(task["encoders_of"]).encoders
    photos = [Image.open(path) for path in sorted(Path(task["photos"]).iterdir())]
    found = {}
    files = {}
    for method, folder in task["runs"].items():
        pipeline = load(task, method, folder)
        files[method] = draw(task, method, pipeline)
        del pipeline
    clip, dino = (load_encoder(encoders[role], task["device"]) for role in ("clip", "dino"))
    for method, drawn in files.items():
        found[method] = score(drawn, photos, clip, dino)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
