"""Pictures as data URIs, few enough bytes that the report stays one file to pass on."""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from pseudoword.errors import UserError
from pseudoword.pictures import DECODE_ERRORS, check_png

BUDGET = 11 * 2**20  # characters of all data URIs, which leaves room within 15 MiB
SMALL = 128  # up to this edge in pixels a picture is shown enlarged, pixel by pixel
MAX_PIXELS = 4096 * 4096
_SAMPLE = 24


@dataclass(frozen=True)
class Encoding:
    """Large pictures become WebP of at most `edge` pixels; small ones stay PNG if `lossless`."""

    edge: int
    quality: int
    lossless: bool


LADDER = (
    Encoding(512, 84, True),
    Encoding(384, 82, True),
    Encoding(288, 80, True),
    Encoding(224, 76, False),
    Encoding(160, 70, False),
    Encoding(128, 60, False),
)


@dataclass(frozen=True)
class Embedded:
    """A picture in the page; `small` asks for enlargement without smoothing."""

    uri: str
    width: int
    height: int
    small: bool


class Album:
    """Embeds pictures by the best encoding under which all of `files` fit the budget."""

    def __init__(self, files: Sequence[Path], budget: int = BUDGET) -> None:
        self._files = [file for file in files if file.is_file()]
        self._budget = budget
        self._done: dict[Path, Embedded | None] = {}

    def embed(self, file: Path) -> Embedded | None:
        """The picture in `file`, or None where there is no such file."""
        if file not in self._done:
            self._done[file] = encode(file, self._choice[0]) if file.is_file() else None
        return self._done[file]

    @property
    def share(self) -> float:
        """How much of the pictures fits the budget, 0 to 1."""
        return self._choice[1]

    @cached_property
    def _choice(self) -> tuple[Encoding, float]:
        step = max(1, len(self._files) // _SAMPLE)
        sample = self._files[::step]
        share = 1.0
        for encoding in LADDER:
            made = {file: encode(file, encoding) for file in dict.fromkeys(sample)}
            spent = sum(len(made[file].uri) for file in sample)
            expected = spent * len(self._files) / max(1, len(sample))
            share = min(1.0, self._budget / max(1.0, expected))
            if share == 1.0:
                break
        self._done |= made
        return encoding, share


def encode(file: Path, encoding: Encoding) -> Embedded:
    """Raises UserError for a file that is no readable picture."""
    try:
        check_png(file)
        with Image.open(file, formats=("PNG",)) as opened:
            if opened.width * opened.height > MAX_PIXELS:
                raise UserError(f"{file} has more than {MAX_PIXELS:,} pixels: remove it.")
            plain = opened.mode == "RGB" and not opened.info
            picture = opened.convert("RGB")
    except (UnidentifiedImageError, Image.DecompressionBombError, *DECODE_ERRORS):
        raise UserError(
            f"{file} is not a readable PNG picture:\n"
            "remove it and run the same `pseudoword study` command again."
        ) from None
    small = max(picture.size) <= SMALL
    if not small:
        picture.thumbnail((encoding.edge, encoding.edge), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    kind = "png" if small and encoding.lossless else "webp"
    if kind == "webp":
        picture.save(buffer, format="WEBP", quality=encoding.quality, method=4)
    elif plain:
        # As drawn: packing it anew takes ten times as long as all else and saves a hundredth.
        buffer.write(file.read_bytes())
    else:
        picture.save(buffer, format="PNG", optimize=True)
    text = base64.b64encode(buffer.getvalue()).decode("ascii")
    return Embedded(f"data:image/{kind};base64,{text}", picture.width, picture.height, small)
