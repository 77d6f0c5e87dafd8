"""What precisions and packed matrices cost the toybox's predictions, and save in memory.

    python benchmarks/compute.py

needs the extra `quantised`. Bytes are those of the denoiser's weights with their scales.
"""

from typing import Any

import torch
from measure import machine, report
from torch import Tensor, nn

from pseudoword.console import silence_libraries
from pseudoword.families import load_model
from pseudoword.families.model import Model
from pseudoword.settings import ComputeSettings, Precision, Quantise

CPU = torch.device("cpu")
ROWS: tuple[tuple[Precision, Quantise], ...] = (
    ("fp32", "none"),
    ("bf16", "none"),
    ("fp16", "none"),
    ("fp32", "int8"),
    ("bf16", "int8"),
    ("fp32", "nf4"),
    ("bf16", "nf4"),
)


@torch.no_grad()
def predictions(model: Model) -> Tensor:
    """Of four fixed noisy latents (4, c, h, w)."""
    noise = torch.randn(4, *model.latent_shape, generator=torch.Generator().manual_seed(1))
    text = model.encode_prompts(["a photo of a mug", "a red cube"] * 2)
    return model.predict(noise, torch.tensor([100, 400, 600, 900]), text)


def stored_bytes(part: nn.Module) -> int:
    total = 0
    for weight in part.parameters():
        state = getattr(weight, "quant_state", None)
        if state is not None:
            tensors = [weight.data, state.absmax, state.state2.absmax]
        else:
            names = [name for name in ("qdata", "scale") if hasattr(weight, name)]
            tensors = [getattr(weight, name) for name in names] or [weight]
        total += sum(tensor.nbytes for tensor in tensors)
    return total


def main() -> None:
    silence_libraries()
    truth = predictions(load_model("toybox", CPU))
    rows: list[dict[str, Any]] = []
    for precision, quantise in ROWS:
        compute = ComputeSettings(precision=precision, quantise=quantise)
        model = load_model("toybox", CPU, None, compute)
        error = (predictions(model) - truth).square().mean().sqrt() / truth.square().mean().sqrt()
        size = stored_bytes(model.denoiser) / 1e6
        how = {"precision": precision, "quantise": quantise}
        rows.append({**how, "relative_error": float(error), "megabytes": size})
    titles = ("precision", "quantise", "relative error", "MB")
    columns = dict(
        zip(("precision", "quantise", "relative_error", "megabytes"), titles, strict=True)
    )
    report(columns, rows, {"benchmark": "compute", **machine(CPU, "fp32")})


if __name__ == "__main__":
    main()
