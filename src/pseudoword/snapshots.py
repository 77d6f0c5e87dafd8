"""What a training keeps: its artefact, and the same at steps on the way."""

from collections.abc import Sequence
from pathlib import Path

from pseudoword.checksum import save_sealed
from pseudoword.errors import UserError
from pseudoword.families.model import Model
from pseudoword.methods.base import Method

ARTEFACT = "artefact.safetensors"


def snapshot_steps(steps: int, count: int) -> list[int]:
    """`count` evenly spaced steps, the last of them `steps`."""
    return sorted({round(steps * (i + 1) / count) for i in range(count)} - {0})


def snapshot_path(folder: Path, step: int) -> Path:
    """Where a training keeps what it had learnt by a step."""
    return folder / "snapshots" / f"{step:06d}.safetensors"


def tidy_snapshots(folder: Path, keep: Sequence[int], step: int) -> None:
    """Removes what another training left, or steps beyond the checkpoint, which are made again.

    Raises UserError where one lacks that training is past.
    """
    wanted = {snapshot_path(folder, kept) for kept in keep if kept <= step}
    for path in (folder / "snapshots").glob("*.safetensors"):
        if path not in wanted:
            path.unlink()
    lacking = [path for path in sorted(wanted) if not path.exists()]
    if lacking:
        raise UserError(
            f"{lacking[0]} is gone, and the training is past it:\n"
            f"remove {folder} and run the same command again."
        )


def save_artefact(path: Path, method: Method, model: Model) -> None:
    """What a method learnt, with its settings and what model it learnt from, as safetensors."""
    from safetensors.torch import save_file

    tensors = method.state(model)
    cpu = {key: value.detach().cpu().contiguous() for key, value in tensors.items()}
    about = {
        "method": method.name,
        "settings": method.settings.model_dump(),
        "model": model.fingerprint,
    }
    save_sealed(path, cpu, about, save_file)
