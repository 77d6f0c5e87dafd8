"""Tables of scores on disk."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pseudoword.errors import UserError

if TYPE_CHECKING:
    import pandas as pd

Places = NDArray[np.int64]

ROWS = 2**17
"""Rows of a table that are in memory at once."""
TEXTS = ("method", "prompt_id", "metric")
WHOLE = ("seed", "image_seed")


@dataclass(frozen=True)
class Scores:
    """Some rows of a study's scores.parquet, (n,) each: one row is one score of one picture.

    `method`, `prompt_id` and `metric` are places in the axes that were asked for, -1 for none.
    """

    method: Places
    prompt_id: Places
    metric: Places
    seed: Places
    image_seed: Places
    value: NDArray[np.float64]


def read_scores(file: Path, axes: Mapping[str, Sequence[str]]) -> Iterator[Scores]:
    """The rows of scores.parquet, `ROWS` at a time, so that memory knows no number of pictures.

    `axes` has the names of methods ("method"), prompts ("prompt_id") and metrics ("metric") that
    are wanted. Raises UserError where the file is damaged.
    """
    import pyarrow
    import pyarrow.parquet as pq

    places = {
        name: {word: index for index, word in enumerate(words)} for name, words in axes.items()
    }
    try:
        with pq.ParquetFile(file, read_dictionary=list(TEXTS)) as table:
            for batch in table.iter_batches(ROWS, columns=[*TEXTS, *WHOLE, "value"]):
                yield Scores(
                    **{name: _coded(batch.column(name), places[name]) for name in TEXTS},
                    **{name: _whole(batch.column(name)) for name in WHOLE},
                    value=batch.column("value")
                    .cast(pyarrow.float64())
                    .to_numpy(zero_copy_only=False),
                )
    # A file that says nonsense of its own columns is told in all of these ways.
    except (OSError, ValueError, TypeError, LookupError, pyarrow.ArrowException) as error:
        raise _unreadable(file, error) from None


def _coded(column: Any, places: Mapping[str, int]) -> Places:
    """A column of texts as places; texts that repeat are looked up once."""
    import pyarrow

    if not isinstance(column, pyarrow.DictionaryArray):
        column = column.dictionary_encode()
    words = [places.get(word, -1) for word in column.dictionary.to_pylist()]
    # The last one is for rows that are empty.
    found: Places = np.array([*words, -1])[column.indices.fill_null(-1).to_numpy()]
    return found


def _whole(column: Any) -> Places:
    import pyarrow

    if column.null_count:
        raise ValueError("a seed is missing")
    found: Places = column.cast(pyarrow.int64()).to_numpy()
    return found


def read_table(file: Path) -> "pd.DataFrame":
    """A study's scores.parquet. Raises UserError where it is damaged."""
    import pandas as pd
    import pyarrow

    try:
        frame = pd.read_parquet(file)
        frame["value"] = frame["value"].astype(float)
        return frame
    except (OSError, ValueError, TypeError, LookupError, pyarrow.ArrowException) as error:
        raise _unreadable(file, error) from None


def _unreadable(file: Path, error: Exception) -> UserError:
    reason = (str(error).splitlines() or [type(error).__name__])[0][:150]
    return UserError(
        f"{file} is not readable ({reason}):\nremove it and run `pseudoword study` again."
    )
