"""Runs a training in this process and writes down when each of its steps ended.

    python launch.py STEPS RECORD.json SCRIPT.py ARGUMENT ...
    python launch.py STEPS RECORD.json pseudoword ARGUMENT ...

Nothing of what runs is changed: torch calls a hook after every optimizer step. RECORD.json gets of
the first STEPS steps "ends", in seconds of the system's monotonic clock, which the starting process
reads too; "cpu", the processor's seconds by then; "resident", the process's peak in bytes by the
last of them; "standin", whether torchvision had to be stood in for; and on a GPU "allocated", the
allocator's peak. There the ends are the GPU's own, so that it need not be waited for. What
`inside.Inside` finds out of pseudoword's steps is there too.
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
    """The peak of this process, since it was last reset."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise OSError("/proc/self/status has no VmHWM: this needs Linux")


class Steps:
    """The ends of a training's steps."""

    def __init__(self, steps: int) -> None:
        self.steps = steps
        self.ends: list[float] = []
        self.cpu: list[float] = []
        self.events: list[torch.cuda.Event] = []
        self.found: dict[str, object] = {}

    def step_ended(self) -> None:
        if len(self.ends) == self.steps:
            return
        if torch.cuda.is_available():
            event = torch.cuda.Event(enable_timing=True)
            event.record()
            self.events.append(event)
            if len(self.events) in (1, self.steps):
                event.synchronize()
        self.ends.append(time.monotonic())
        self.cpu.append(time.process_time())
        if len(self.ends) == self.steps:
            self.found["resident"] = resident_bytes()
            if torch.cuda.is_available():
                self.found["allocated"] = torch.cuda.max_memory_allocated()

    def record(self) -> dict[str, object]:
        ends = self.ends
        if self.events:
            torch.cuda.synchronize()
            first = self.events[0]
            ends = [ends[0] + first.elapsed_time(event) / 1000 for event in self.events]
        return {**self.found, "ends": ends, "cpu": self.cpu}


def stand_in() -> bool:
    """Lets a script import torchvision where it is not; libraries must not see it."""
    if importlib.util.find_spec("torchvision") is not None:
        return False
    # They look once, and remember.
    import diffusers
    from transformers.utils import is_torchvision_available

    is_torchvision_available()
    assert diffusers.__version__
    sys.path.append(str(Path(__file__).parent / "standin"))
    return True


def run_own(arguments: list[str], steps: int, record: Path) -> None:
    """pseudoword's command, with a look inside its steps."""
    from inside import Inside

    from pseudoword.cli import main as command

    outside, within = Steps(steps), Inside(steps)

    def hook(*_: object) -> None:
        outside.step_ended()
        within.step_ended()

    register_optimizer_step_post_hook(hook)
    status = command(arguments)
    record.write_text(json.dumps({**outside.record(), **within.record(), "standin": False}))
    sys.exit(status)


def run_script(program: str, steps: int, record: Path) -> None:
    outside = Steps(steps)
    register_optimizer_step_post_hook(lambda *_: outside.step_ended())
    standin = stand_in()
    runpy.run_path(program, run_name="__main__")
    record.write_text(json.dumps({**outside.record(), "standin": standin}))


def main() -> None:
    steps, record, program = int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
    sys.argv = sys.argv[3:]
    if program == "pseudoword":
        run_own(sys.argv[1:], steps, record)
    else:
        run_script(program, steps, record)


if __name__ == "__main__":
    main()
