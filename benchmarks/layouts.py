"""Layouts of a toybox model of 128 px and what they cost: python benchmarks/layouts.py

For each layout: a training sample of the denoiser in milliseconds (forward and backward, batch 16,
16 bits), its parameters, and the PSNR of the best linear code with as many numbers (principal
components of patches of held-out renders), from which the autoencoder's training starts.
"""

import numpy as np
import torch
from measure import machine, report, seconds

from pseudoword.toybox.recipe.data import HELD_OUT_SEED
from pseudoword.toybox.recipe.denoiser import build_unet
from pseudoword.toybox.recipe.layout import COARSE, FINE, Layout, Level
from pseudoword.toybox.recipe.pair import TEXT_WIDTH
from pseudoword.toybox.recipe.tokenizer import MAX_LENGTH
from pseudoword.toybox.world import sample_scene
from pseudoword.toybox.world.render import render_many

BATCH = 16
ROUNDS = 7
RENDERS = 500
DEEP = (16, 32, 64, 128, 192)
TWO = (Level(128, 4), Level(192, 6))

LAYOUTS = {
    "64 px, 8x, 8x8x32, coarse": COARSE,
    "128 px, 16x, 8x8x32": Layout(128, DEEP, 32, TWO),
    "128 px, 16x, 8x8x64": Layout(128, DEEP, 64, TWO),
    "128 px, 16x, 8x8x64, wider": Layout(128, DEEP, 64, (Level(160, 5), Level(224, 7))),
    "128 px, 8x, 16x16x16, two levels": Layout(128, COARSE.widths, 16, TWO),
    "128 px, 8x, 16x16x16, three levels": Layout(128, COARSE.widths, 16, FINE.levels),
    "128 px, 8x, 16x16x24, three levels, fine": FINE,
}


def cost(layout: Layout) -> tuple[float, float]:
    """(milliseconds a training sample, millions of parameters) of the denoiser."""
    torch.manual_seed(0)
    unet = build_unet(layout)
    latents = torch.randn(BATCH, layout.latent_channels, layout.grid, layout.grid)
    states = torch.randn(BATCH, MAX_LENGTH, TEXT_WIDTH)
    timesteps = torch.arange(BATCH) * 60

    def step() -> None:
        with torch.autocast("cpu", torch.bfloat16):
            prediction = unet(latents, timesteps, states).sample
        prediction.float().square().mean().backward()

    fastest = min(seconds(step, ROUNDS))
    return 1000 * fastest / BATCH, sum(p.numel() for p in unet.parameters()) / 1e6


def linear_psnr(layout: Layout, pixels: np.ndarray) -> float:
    """Peak signal-to-noise ratio in dB of the leading principal components of patches."""
    x = torch.from_numpy(pixels).permute(0, 3, 1, 2).double() / 255
    patches = torch.nn.functional.pixel_unshuffle(x, layout.patch).permute(0, 2, 3, 1).flatten(0, 2)
    spectrum = torch.linalg.eigvalsh(torch.cov(patches.T))
    error = spectrum[: -layout.latent_channels].sum() / len(spectrum)
    return float(-10 * torch.log10(error))


def main() -> None:
    scenes = [sample_scene(HELD_OUT_SEED + i) for i in range(RENDERS)]
    renders = {size: render_many(scenes, size) for size in (64, 128)}
    rows = []
    for name, layout in LAYOUTS.items():
        milliseconds, millions = cost(layout)
        psnr = linear_psnr(layout, renders[layout.size])
        rows.append(
            {"layout": name, "milliseconds": milliseconds, "millions": millions, "psnr": psnr}
        )
    columns = {"layout": "layout", "milliseconds": "ms", "millions": "M", "psnr": "dB"}
    report(columns, rows, {"benchmark": "layouts", **machine(torch.device("cpu"), "bf16")})


if __name__ == "__main__":
    main()
