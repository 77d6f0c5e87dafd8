"""How fast the toybox is here: python benchmarks/toybox.py

Prints the time of rendering a picture, of a training sample of the denoiser (forward and backward)
in 32 and 16 bits, and of drawing a picture. The best of several rounds counts.
"""

import time
from collections.abc import Callable

import torch
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


def best(work: Callable[[], object], count: int, rounds: int = 5) -> float:
    """Milliseconds a piece where `work` does `count` pieces, after one round that is not timed."""
    work()
    times = []
    for _ in range(rounds):
        clock = time.perf_counter()
        work()
        times.append(time.perf_counter() - clock)
    return 1000 * min(times) / count


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
    print(f"threads: {torch.get_num_threads()}")
    print(
        f"rendering: {best(lambda: render_many(scenes, FINE.size), len(scenes)):.1f} ms a picture"
    )
    for bits in (32, 16):
        print(f"denoiser, {bits} bits: {best(training(bits), BATCH):.1f} ms a training sample")
    model = load_model("toybox", torch.device("cpu"))
    requests = [Request("a photo of a red mug in the snow", seed) for seed in range(BATCH)]
    drawing = best(lambda: generate(model, requests, GenerateSettings()), BATCH, rounds=2)
    print(f"drawing, {GenerateSettings().sampling_steps} steps: {drawing:.0f} ms a picture")


if __name__ == "__main__":
    main()
