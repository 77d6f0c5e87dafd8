"""How fast the toybox is here: python benchmarks/toybox.py

Prints the time of rendering a picture, of a training sample of the denoiser (forward and backward)
in 32 and 16 bits, and of drawing a picture. The best of several rounds counts.
"""

from collections.abc import Callable

import torch
from measure import machine, report, seconds
from torch.nn.functional import mse_loss

from pseudoword.families import load_model
from pseudoword.generate import Request, generate
from pseudoword.settings import GenerateSettings
from pseudoword.toybox.recipe.denoiser import build_unet
from pseudoword.toybox.recipe.layout import FINE
from pseudoword.toybox.recipe.pair import TEXT_WIDTH
from pseudoword.toybox.recipe.tokenizer import MAX_LENGTH
from pseudoword.toybox.world import sample_scene
from pseudoword.toybox.world.render import render_many

BATCH = 32


def training(bits: int) -> Callable[[], object]:
    """One forward and backward pass of a batch."""
    torch.manual_seed(0)
    unet = build_unet(FINE)
    latents = torch.randn(BATCH, FINE.latent_channels, FINE.grid, FINE.grid)
    states = torch.randn(BATCH, MAX_LENGTH, TEXT_WIDTH)
    timesteps = torch.arange(BATCH) * 30

    def step() -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=bits == 16):
            prediction = unet(latents, timesteps, states).sample
        mse_loss(prediction.float(), latents).backward()
        unet.zero_grad()

    return step


def main() -> None:
    scenes = [sample_scene(seed) for seed in range(200)]
    model = load_model("toybox", torch.device("cpu"))
    requests = [Request("a photo of a red mug in the snow", seed) for seed in range(BATCH)]
    steps = GenerateSettings().sampling_steps
    works: dict[str, tuple[Callable[[], object], int, int]] = {
        "rendering a picture": (lambda: render_many(scenes, FINE.size), len(scenes), 5),
        "denoiser, 32 bits, a training sample": (training(32), BATCH, 5),
        "denoiser, 16 bits, a training sample": (training(16), BATCH, 5),
        f"drawing a picture, {steps} steps": (
            lambda: generate(model, requests, GenerateSettings()),
            BATCH,
            2,
        ),
    }
    rows = [
        {"what": what, "milliseconds": 1000 * min(seconds(work, rounds)) / count}
        for what, (work, count, rounds) in works.items()
    ]
    about = {"benchmark": "toybox", **machine(torch.device("cpu"), "fp32")}
    report({"what": "what", "milliseconds": "ms"}, rows, about)


if __name__ == "__main__":
    main()
