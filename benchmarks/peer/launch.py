"""Runs a training in this process and writes down when each of its steps ended.

    python launch.py RECORD.json SCRIPT.py ARGUMENT ...
    python launch.py RECORD.json pseudoword ARGUMENT ...

Nothing of what runs is changed: torch calls a hook after every optimizer step. RECORD.json gets
"steps", the ends of the steps in seconds of the system's monotonic clock, which the starting
process reads too; "resident", the process's peak in bytes by the last step; "standin", whether
torchvision had to be stood in for; and on a GPU "allocated", the allocator's peak by then. There
the ends are the GPU's own, so that it need not be waited for.
"""

import importlib.util
import json
import runpy
import sys
import time
from pathlib import Path

import torch
from torch.optim.optimizer import register_optimizer_step_post_hook


def resident_bytes() -> int:
    """The peak of this process so far."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise OSError("/proc/self/status has no VmHWM: this needs Linux")


class Steps:
    """The ends of a training's steps."""

    def __init__(self) -> None:
        self.on_gpu = torch.cuda.is_available()
        self.ends: list[float] = []
        self.events: list[torch.cuda.Event] = []
        self.resident = 0

    def __call__(self, *_: object) -> None:
        if self.on_gpu:
            event = torch.cuda.Event(enable_timing=True)
            event.record()
            self.events.append(event)
            if len(self.events) == 1:
                event.synchronize()
        self.ends.append(time.monotonic())
        self.resident = resident_bytes()

    def record(self) -> dict[str, object]:
        found: dict[str, object] = {"steps": self.ends, "resident": self.resident}
        if self.on_gpu and self.events:
            torch.cuda.synchronize()
            first = self.events[0]
            found["steps"] = [
                self.ends[0] + first.elapsed_time(event) / 1000 for event in self.events
            ]
            found["allocated"] = torch.cuda.max_memory_allocated()
        return found


def stand_in() -> bool:
    """Lets scripts import torchvision where it is not; libraries must not see it."""
    if importlib.util.find_spec("torchvision") is not None:
        return False
    # They look once, and remember.
    import diffusers
    from transformers.utils import is_torchvision_available

    is_torchvision_available()
    assert diffusers.__version__
    sys.path.append(str(Path(__file__).parent / "standin"))
    return True


def main() -> None:
    record, program = Path(sys.argv[1]), sys.argv[2]
    steps = Steps()
    register_optimizer_step_post_hook(steps)
    standin = False
    sys.argv = sys.argv[2:]
    try:
        if program == "pseudoword":
            from pseudoword.cli import main as command

            status = command(sys.argv[1:])
            if status:
                sys.exit(status)
        else:
            standin = stand_in()
            runpy.run_path(program, run_name="__main__")
    finally:
        record.write_text(json.dumps({**steps.record(), "standin": standin}))


if __name__ == "__main__":
    main()
