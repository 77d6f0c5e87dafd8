"""A small share of `make torture`: a study killed at random ends as one that was left alone."""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_a_killed_study_ends_as_one_that_was_left_alone() -> None:
    script = str(ROOT / "experiments" / "torture" / "kills.py")
    # On several threads sums are rounded in an order that may differ from run to run.
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, script, "--kills", "2", "--quick"],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found == {"kills": 2, "identical": 2, "tracebacks": 0}
