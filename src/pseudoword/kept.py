"""Latents in a cache, with what they took: made once, for every method and seed that uses them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from pseudoword import __version__
from pseudoword.checksum import DamagedError, check_seal, save_sealed
from pseudoword.compute import library_versions
from pseudoword.families.model import Model
from pseudoword.progress import Reporter


@dataclass(frozen=True, eq=False)
class Kept:
    """Latents, and the seconds that making them took, whenever that was."""

    latents: Tensor
    seconds: float


def made_by(model: Model) -> list[Any]:
    """What all that a model makes depends on: its weights, the kind of device, all versions."""
    return [
        model.fingerprint,
        model.device.type,
        {"pseudoword": __version__, **library_versions(model.compute)},
    ]


def save_kept(path: Path, key: str, kept: Kept) -> None:
    """Writes them as those of `key`: all that they depend on, hashed."""
    from safetensors.torch import save_file

    about = {"of": key, "seconds": kept.seconds}
    save_sealed(path, {"latents": kept.latents.cpu().contiguous()}, about, save_file)


def read_kept(path: Path, key: str, remedy: str, reporter: Reporter) -> Kept | None:
    """What was kept under `key`, on the CPU.

    None where it is missing, or damaged or that of another key; the latter are told, with the
    `remedy`.
    """
    from safetensors.torch import load_file

    if not path.exists():
        return None
    try:
        seconds = check_seal(path, ["seconds"], ["latents"], key)["seconds"]
    except DamagedError as error:
        reporter.note(f"{path} {error.reason}: {remedy}")
        return None
    return Kept(load_file(path)["latents"], seconds)
