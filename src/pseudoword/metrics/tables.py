"""Tables of scores on disk, with a checksum of themselves: parquet finds no flipped bit.

Under it is also what they are of: the hash of the study's identity, which study.json and
results.json have as "identity".
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pseudoword.checksum import NOTE, UNSEALED, DamagedError, check_bytes, seal
from pseudoword.disk import read_from
from pseudoword.errors import UserError
from pseudoword.runs import atomic_path

if TYPE_CHECKING:
    import pandas as pd

Places = NDArray[np.int64]

ROWS = 2**17
"""Rows of a table that are in memory at once."""
TEXTS = ("method", "prompt_id", "metric")
WHOLE = ("seed", "image_seed")
OF = b"pseudoword-of"
"""The entry of the metadata that holds it."""
REMEDY = "remove it and run the same command again."


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


def read_identity(folder: Path, record: Mapping[str, Any], results: Mapping[str, Any]) -> str:
    """What the scores of the study in `folder` must be of, by its study.json and results.json.

    Raises UserError where these are of two studies.
    """
    identity = str(record["identity"])
    if results.get("identity") != identity:
        file = folder / "results.json"
        raise UserError(f"{file} belongs to another study than study.json beside it:\n{REMEDY}")
    return identity


def read_scores(file: Path, of: str, axes: Mapping[str, Sequence[str]]) -> Iterator[Scores]:
    """The rows of scores.parquet, `ROWS` at a time: in memory is no more than the file beside them.

    `axes` has the names of methods ("method"), prompts ("prompt_id") and metrics ("metric") that
    are wanted. Raises UserError where the file is damaged, or `of` anything else.
    """
    import pyarrow
    import pyarrow.parquet as pq

    places = {
        name: {word: index for index, word in enumerate(words)} for name, words in axes.items()
    }
    try:
        whole = pyarrow.BufferReader(_checked(file))
        with pq.ParquetFile(whole, read_dictionary=list(TEXTS)) as table:
            _require(file, of, table.schema_arrow.metadata)
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


def write_table(frame: "pd.DataFrame", file: Path, of: str) -> None:
    """Writes a study's scores.parquet, whole or not at all."""
    import pyarrow
    import pyarrow.parquet as pq

    table = pyarrow.Table.from_pandas(frame, preserve_index=False)
    table = table.replace_schema_metadata({**table.schema.metadata, OF: of, NOTE: UNSEALED})
    with atomic_path(file) as temporary:
        pq.write_table(table, temporary)
        seal(temporary)


def read_table(file: Path, of: str) -> "pd.DataFrame":
    """A study's scores.parquet. Raises UserError where it is damaged, or `of` anything else."""
    import pandas as pd
    import pyarrow
    import pyarrow.parquet as pq

    try:
        data = _checked(file)
        _require(file, of, pq.read_schema(BytesIO(data)).metadata)
        frame = pd.read_parquet(BytesIO(data))
        frame["value"] = frame["value"].astype(float)
        return frame
    except (OSError, ValueError, TypeError, LookupError, pyarrow.ArrowException) as error:
        raise _unreadable(file, error) from None


def _checked(file: Path) -> bytes:
    """The content of a file that is as it was written."""
    with read_from(file):
        data = file.read_bytes()
    try:
        check_bytes(file, data)
    except DamagedError as error:
        raise UserError(f"{file} {error.reason}:\n{REMEDY}") from None
    return data


def _require(file: Path, of: str, metadata: Mapping[bytes, bytes] | None) -> None:
    if (metadata or {}).get(OF) != of.encode():
        raise UserError(f"{file} belongs to another study:\n{REMEDY}")


def _unreadable(file: Path, error: Exception) -> UserError:
    reason = (str(error).splitlines() or [type(error).__name__])[0][:150]
    return UserError(f"{file} is not readable ({reason}):\n{REMEDY}")
