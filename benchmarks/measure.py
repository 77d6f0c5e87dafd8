"""What all benchmarks share: the machine, its peaks, clocks and how results are printed."""

import json
import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from pseudoword.console import table


def synchronise(device: torch.device) -> None:
    """Waits until the accelerator has done what it was told."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def seconds(work: Callable[[], object], device: torch.device, rounds: int = 10) -> float:
    """The median of `rounds`, after two that are not counted."""
    times = []
    for index in range(rounds + 2):
        synchronise(device)
        clock = time.perf_counter()
        work()
        synchronise(device)
        if index >= 2:
            times.append(time.perf_counter() - clock)
    return statistics.median(times)


def peak_flops(device: torch.device, dtype: torch.dtype) -> dict[str, float]:
    """FLOP/s that one large matrix product and one large convolution reach here."""
    side = 8192 if device.type == "cuda" else 2048
    a, b = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))
    x = torch.randn(8, 320, 64, 64, device=device, dtype=dtype)
    w = torch.randn(320, 320, 3, 3, device=device, dtype=dtype)
    with torch.no_grad():
        product = seconds(lambda: a @ b, device)
        convolution = seconds(lambda: torch.conv2d(x, w, padding=1), device)
    return {
        "product": 2 * side**3 / product,
        "convolution": 2 * x.numel() * 320 * 9 / convolution,
    }


def machine(device: torch.device) -> dict[str, Any]:
    """What figures depend on."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else _processor()
    return {"device": name, "threads": torch.get_num_threads(), "torch": torch.__version__}


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def show(rows: Sequence[Sequence[str]], record: Mapping[str, Any]) -> None:
    """The table, and last the JSON line."""
    print(table([list(row) for row in rows]))
    print(json.dumps(record))
