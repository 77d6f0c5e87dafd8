"""Runs a training, ours or a script, and notes when each optimizer step ended.

    STARTED=<time> python benchmarks/peer/stamped.py OUT.json SCRIPT.py ARGUMENTS...
    STARTED=<time> python benchmarks/peer/stamped.py OUT.json pseudoword ARGUMENTS...

Both are watched alike: AdamW's step is wrapped, and a thread looks at the resident memory (on a GPU
the allocator's peak counts). OUT.json gets {"first", "steps", "memory"}: seconds from STARTED to
the end of the first step, seconds of each later one, and bytes.
"""

import importlib.util
import json
import os
import runpy
import sys
import threading
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

EVERY = 0.05
SHIM = Path(__file__).parent / "shim"


def resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


class Watch:
    def __init__(self) -> None:
        self.stamps: list[float] = []
        self.memory = 0
        threading.Thread(target=self._look, daemon=True).start()

    def _look(self) -> None:
        while True:
            self.memory = max(self.memory, resident_bytes())
            time.sleep(EVERY)

    def wrap(self, optimizer: Any, synchronise: Any) -> None:
        inner = optimizer.step

        def step(*arguments: Any, **options: Any) -> Any:
            outcome = inner(*arguments, **options)
            synchronise()
            self.stamps.append(time.time())
            return outcome

        optimizer.step = step


def prepare_script() -> None:
    """Lets scripts import transforms where there is no torchvision.

    The libraries look for torchvision as they are imported, and must not find the stand-in.
    """
    import diffusers  # noqa: F401
    from diffusers import StableDiffusionPipeline  # noqa: F401
    from transformers import CLIPTextModel, CLIPTokenizer  # noqa: F401

    if importlib.util.find_spec("torchvision") is None:
        sys.path.insert(0, str(SHIM))


def main() -> None:
    out, what, *arguments = sys.argv[1:]
    watch = Watch()
    import torch

    on_gpu = torch.cuda.is_available()
    watch.wrap(torch.optim.AdamW, torch.cuda.synchronize if on_gpu else lambda: None)
    sys.argv = [what, *arguments]
    if what == "pseudoword":
        from pseudoword.cli import main as command

        code = command(arguments)
        if code:
            sys.exit(code)
    else:
        prepare_script()
        runpy.run_path(what, run_name="__main__")
    stamps = watch.stamps
    note = {
        "first": stamps[0] - float(os.environ["STARTED"]),
        "steps": [later - earlier for earlier, later in pairwise(stamps)],
        "memory": torch.cuda.max_memory_allocated() if on_gpu else watch.memory,
    }
    Path(out).write_text(json.dumps(note))


if __name__ == "__main__":
    main()
