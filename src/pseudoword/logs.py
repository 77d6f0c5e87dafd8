"""What a training wrote down of its steps, in log.jsonl."""

import json
import math
from pathlib import Path

from pseudoword.errors import UserError
from pseudoword.runs import file_sha256, read_json

LOG = "log.jsonl"
LOG_SHA256 = "log_sha256"
"""The entry of run.json with the checksum of the log."""
REMEDY = "remove it to go on without its losses, or its whole folder to train the run again."


def read_losses(run: Path) -> tuple[tuple[int, float], ...]:
    """Logged steps with the loss there; none where the training in `run` kept no log.

    Raises UserError where the log is not readable, or not the one that run.json knows.
    """
    file = run / LOG
    if not file.is_file():
        return ()
    record = run / "run.json"
    known = read_json(record).get(LOG_SHA256) if record.is_file() else None
    if known not in (None, file_sha256(file)):
        raise UserError(f"{file} was changed or damaged since it was written:\n{REMEDY}")
    try:
        rows = [json.loads(line) for line in file.read_text().splitlines() if line.strip()]
        shown = [(row["step"], row["loss"]) for row in rows if row["loss"] is not None]
        losses = tuple((int(step), float(loss)) for step, loss in shown)
        if not all(math.isfinite(loss) for _, loss in losses):
            raise ValueError("a loss is no finite number")
        return losses
    except (
        ValueError,
        TypeError,
        KeyError,
        AttributeError,
        OverflowError,
        RecursionError,
    ) as error:
        raise UserError(f"{file} is not readable ({error}):\n{REMEDY}") from None
