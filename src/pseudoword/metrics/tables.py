"""Tables of scores on disk."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pseudoword.errors import UserError

if TYPE_CHECKING:
    import pandas as pd


def read_table(file: Path, columns: Sequence[str] | None = None) -> "pd.DataFrame":
    """A study's scores.parquet, or some columns of it. Raises UserError where it is damaged."""
    import pandas as pd
    import pyarrow

    try:
        frame = pd.read_parquet(file, columns=None if columns is None else list(columns))
        frame["value"] = frame["value"].astype(float)
        return frame
    # A file that says nonsense of its own columns is told in all of these ways.
    except (OSError, ValueError, TypeError, LookupError, pyarrow.ArrowException) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0][:150]
        raise UserError(
            f"{file} is not readable ({reason}):\nremove it and run `pseudoword study` again."
        ) from None
