"""Foreign files to tensors: nothing in them runs, and no header makes us take what is not there."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pseudoword.errors import UserError

MOST_HEADER = 32 * 2**20
"""Bytes; SDXL's fullest LoRAs, with their training's whole history of tags, need a tenth."""
MOST_PICKLE = 64 * 2**20
"""Bytes; an embedding has kilobytes."""
PICKLES = (".pt", ".bin")


@dataclass(frozen=True, eq=False)
class Tensors:
    """What a file holds: tensors by key, as they are stored, and its metadata (all strings)."""

    path: Path
    tensors: Mapping[str, Tensor]
    metadata: Mapping[str, str]


def read_safetensors(path: Path) -> Tensors:
    """Raises UserError where the file is no whole .safetensors file."""
    from safetensors import SafetensorError, safe_open

    try:
        with path.open("rb") as file:
            header = int.from_bytes(file.read(8), "little")
        if header > min(MOST_HEADER, path.stat().st_size):
            raise UserError(f"{path} claims a header of {header} bytes: it is damaged or no LoRA.")
        with safe_open(path, "pt", device="cpu") as opened:
            tensors = {key: opened.get_tensor(key) for key in opened.keys()}
            metadata = opened.metadata() or {}
    # A tensor without values may claim sides that torch cannot count.
    except (OSError, SafetensorError, TypeError, RuntimeError) as error:
        raise UserError(f"{path} cannot be read ({_reason(error)}): fetch it again.") from None
    if not tensors:
        raise UserError(f"{path} holds no tensors: fetch it again.")
    return Tensors(path, tensors, metadata)


def read_pickle(path: Path) -> Any:
    """What an embedding's pickle holds, by torch's weights-only reader, which runs no code."""
    import pickle
    import struct
    import zipfile

    # What torch's reader raises on damaged files, of its old format and of zips.
    errors: tuple[type[Exception], ...] = (pickle.UnpicklingError, struct.error, OSError, EOFError)
    errors += (RuntimeError, ValueError, LookupError, TypeError, AttributeError)
    # A pickle of the old format may say that a text is as long as the memory.
    errors += (ArithmeticError, AssertionError, MemoryError)
    if path.stat().st_size > MOST_PICKLE:
        raise UserError(f"{path} is too large for an embedding: give a .safetensors file.")
    if zipfile.is_zipfile(path):
        _refuse_bomb(path)
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except errors as error:
        raise UserError(
            f"{path} cannot be read as plain tensors ({_reason(error)}):\n"
            "convert it to .safetensors where you trust it; nothing in it is run here."
        ) from None


def _reason(error: Exception) -> str:
    """What a library said, in a line."""
    return (str(error).splitlines() or [type(error).__name__])[0][:100]


def _refuse_bomb(path: Path) -> None:
    """Raises UserError where a zip unpacks to more than its own size: torch packs nothing."""
    import zipfile

    try:
        with zipfile.ZipFile(path) as file:
            unpacked = sum(entry.file_size for entry in file.infolist())
    except (OSError, ValueError, zipfile.BadZipFile, NotImplementedError):
        return  # torch's reader says what is wrong with it
    if unpacked > MOST_PICKLE:
        raise UserError(f"{path} unpacks to {unpacked} bytes, which no embedding has: remove it.")


def adapter_settings(file: Tensors) -> dict[str, Any]:
    """What diffusers notes of the adapters in a LoRA: "unet.r", "unet.lora_alpha" and the like."""
    text = file.metadata.get("lora_adapter_metadata")
    if text is None:
        return {}
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{file.path} has damaged metadata ({error}): fetch it again.") from None
    if not isinstance(values, dict):
        raise UserError(f"{file.path} has damaged metadata: fetch it again.")
    return values
