"""What a training wrote down of its steps, in log.jsonl."""

import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pseudoword.errors import UserError
from pseudoword.runs import hash_bytes

LOG = "log.jsonl"
CHECKSUM = "losses_sha256"
"""The entry of run.json with `losses_sha256` of the log, which holds times beside."""
REMEDY = "remove it to go on without its losses, or its whole folder to train the run again."


def read_losses(run: Path, record: Mapping[str, Any]) -> tuple[tuple[int, float], ...]:
    """Logged steps with the loss there; none where the training in `run` kept no log.

    `record` is the content of its run.json, or empty. Raises UserError where the log is not
    readable, or not the one that run.json knows.
    """
    file = run / LOG
    if not file.is_file():
        return ()
    try:
        rows = [json.loads(line) for line in file.read_text().splitlines() if line.strip()]
        shown = [(row["step"], row["loss"]) for row in rows if row["loss"] is not None]
        losses = tuple((int(step), float(loss)) for step, loss in shown)
        if not all(math.isfinite(loss) for _, loss in losses):
            raise ValueError("a loss is no finite number")
    except (
        ValueError,
        TypeError,
        KeyError,
        AttributeError,
        OverflowError,
        RecursionError,
    ) as error:
        raise UserError(f"{file} is not readable ({error}):\n{REMEDY}") from None
    if record.get(CHECKSUM) not in (None, losses_sha256(losses)):
        raise UserError(f"{file} was changed or damaged since it was written:\n{REMEDY}")
    return losses


def losses_sha256(losses: Iterable[tuple[int, float]]) -> str:
    """Of steps with the loss there."""
    return hash_bytes(repr(tuple(losses)).encode())
