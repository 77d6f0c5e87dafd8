"""What a training wrote down of its steps, in log.jsonl."""

import json
import math
from pathlib import Path

from pseudoword.errors import UserError

LOG = "log.jsonl"


def read_losses(run: Path) -> tuple[tuple[int, float], ...]:
    """Logged steps with the loss there; none where the training in `run` kept no log.

    Raises UserError where the log is not readable.
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
        return losses
    except (
        ValueError,
        TypeError,
        KeyError,
        AttributeError,
        OverflowError,
        RecursionError,
    ) as error:
        raise UserError(
            f"{file} is not readable ({error}):\n"
            "remove it to go on without its losses, or its whole folder to train the run again."
        ) from None
