"""What every benchmark shares: medians, what the machine can do at best, a table and a JSON line.

A figure is worth what its machine was worth at the time: every JSON line has the load average,
the threads and the rates that one large matrix product and one large convolution reached.
"""

import json
import math
import os
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import Any

import torch
from torch import Tensor

from pseudoword.compute import PRECISIONS
from pseudoword.console import table

Row = Mapping[str, Any]


def synchronise() -> None:
    """Waits for a GPU, where there is one."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def seconds(work: Callable[[], object], rounds: int = 5) -> list[float]:
    """Of each round, after one that is not timed."""
    work()
    times = []
    for _ in range(rounds):
        synchronise()
        clock = time.perf_counter()
        work()
        synchronise()
        times.append(time.perf_counter() - clock)
    return times


def alternate(works: Mapping[str, Callable[[], object]], rounds: int = 3) -> dict[str, list[float]]:
    """Seconds of each work, A B A B, so that a busy moment meets all of them."""
    times: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            synchronise()
            clock = time.perf_counter()
            work()
            synchronise()
            times[name].append(time.perf_counter() - clock)
    return times


@torch.no_grad()
def best_rates(device: torch.device, precision: str) -> dict[str, float]:
    """FLOP/s of one large matrix product and one large convolution: the best of several."""
    dtype = PRECISIONS[precision]
    large = device.type == "cuda"
    side, batch, grid = (8192, 8, 64) if large else (2048, 2, 32)
    channels = 640 if large else 320
    a, b = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))
    picture = torch.randn(batch, channels, grid, grid, device=device, dtype=dtype)
    kernel = torch.randn(channels, channels, 3, 3, device=device, dtype=dtype)
    if large:
        # As GPUs like it.
        picture = picture.contiguous(memory_format=torch.channels_last)
        kernel = kernel.contiguous(memory_format=torch.channels_last)

    def convolve() -> Tensor:
        return torch.nn.functional.conv2d(picture, kernel, padding=1)

    work = {
        "matmul": (lambda: a @ b, 2 * side**3),
        "conv": (convolve, 2 * batch * grid**2 * channels**2 * 9),
    }
    return {name: flops / min(seconds(call)) for name, (call, flops) in work.items()}


def machine(device: torch.device, precision: str) -> dict[str, Any]:
    """What the figures were measured on, at this moment."""
    found: dict[str, Any] = {
        "device": str(device),
        "name": torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine(),
        "threads": torch.get_num_threads(),
        "cores": len(os.sched_getaffinity(0)),
        "load": [round(load, 1) for load in os.getloadavg()],
        "torch": torch.__version__,
        "precision": precision,
    }
    return found | {f"{name}_flops": rate for name, rate in best_rates(device, precision).items()}


def middle(values: Sequence[float]) -> float:
    """The median; NaN of nothing."""
    return float(median(values)) if values else float("nan")


def cell(value: object) -> str:
    """A table's cell: three significant digits, "-" for what there is not."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "-"
    if isinstance(value, float):
        return f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"
    return str(value)


def report(columns: Mapping[str, str], rows: Sequence[Row], about: Mapping[str, Any]) -> None:
    """Prints a table of `columns` (key: title), and as the last line all of it as JSON."""
    titles = list(columns.values())
    print(table([titles, *([cell(row.get(key)) for key in columns] for row in rows)]))
    print(json.dumps({**about, "rows": [_plain(row) for row in rows]}))


def _plain(row: Row) -> dict[str, Any]:
    """JSON has no NaN."""
    return {
        key: None if isinstance(value, float) and math.isnan(value) else value
        for key, value in row.items()
    }
