"""A small share of `make torture`: what is killed at random ends as what was left alone.

A training killed after its second checkpoint goes on from there.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_killed_commands_go_on_and_end_as_ones_that_were_left_alone() -> None:
    script = str(ROOT / "experiments" / "torture" / "kills.py")
    # On several threads sums are rounded in an order that may differ from run to run.
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, script, "--kills", "1", "--others", "1", "--quick"],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found.pop("resumed") >= 1
    assert found == {"kills": 2, "identical": 2, "tracebacks": 0}
