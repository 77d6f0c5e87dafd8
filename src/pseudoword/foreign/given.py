"""An artefact that somebody else trained, as a user names it: what to say, and which file."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pseudoword.errors import UserError
from pseudoword.runs import file_sha256, hash_bytes, slug

MOST_STRENGTH = 4.0
READ = (".safetensors", ".json", ".pt", ".bin")
HOW = 'write PHRASE=FILE or PHRASE=FILE@STRENGTH, such as "sks mug=mylora.safetensors@0.8"'


@dataclass(frozen=True)
class Given:
    """A file, or a folder of them, and the `phrase` that words the concept with it.

    `name` is one of its own among those that are given together, and names its folder. The
    differences count `strength` times. `sha256` is that of all that is read.
    """

    name: str
    phrase: str
    path: Path
    strength: float
    sha256: str
    bytes: int

    @property
    def title(self) -> str:
        """How people read it: the file's name, and its strength where that is not 1."""
        name = self.path.name or self.path.resolve().name
        return name if self.strength == 1 else f"{name} at {self.strength:g}"


def parse_artefacts(texts: Sequence[str], quantise: str = "none") -> tuple[Given, ...]:
    """The artefacts that options name. Raises UserError for one that is not there or is twice.

    They are added to the weights, which therefore cannot be packed (`quantise`).
    """
    if texts and quantise != "none":
        raise UserError(
            "--artefact and --quantise exclude each other: an artefact is added to whole weights."
        )
    found: list[Given] = []
    for text in texts:
        given = parse_artefact(text)
        for other in found:
            if (given.phrase, given.sha256, given.strength) == (
                *(other.phrase, other.sha256),
                other.strength,
            ):
                raise UserError(f"--artefact {text} is given twice: name it once.")
        alike = sum(
            re.fullmatch(rf"{re.escape(given.name)}(-\d+)?", f.name) is not None for f in found
        )
        found.append(replace(given, name=f"{given.name}-{alike + 1}") if alike else given)
    return tuple(found)


def parse_artefact(text: str) -> Given:
    """PHRASE=FILE or PHRASE=FILE@STRENGTH; a file whose own name ends like that is found first."""
    phrase, equals, rest = text.partition("=")
    phrase, rest = " ".join(phrase.split()), rest.strip()
    if not (phrase and equals and rest):
        raise UserError(f"--artefact {text}: {HOW}.")
    if re.search(r"[{}]", phrase):
        raise UserError(f"--artefact {text}: write the phrase itself, without {{}}, before the =.")
    path, strength = Path(rest).expanduser(), 1.0
    if not path.exists() and (match := re.fullmatch(r"(.+)@([\d.]+)", rest)):
        path, strength = Path(match[1]).expanduser(), _strength(text, match[2])
    if not path.exists():
        raise UserError(f"--artefact {text}: {path} does not exist. Give its right path;\n{HOW}.")
    digest, size = _content(path)
    return Given(f"given-{slug(path.resolve().stem)}", phrase, path, strength, digest, size)


def _strength(text: str, number: str) -> float:
    try:
        strength = float(number)
    except ValueError:
        strength = -1.0
    if not 0 < strength <= MOST_STRENGTH:
        raise UserError(
            f"--artefact {text}: the strength after @ must be above 0 and at most "
            f"{MOST_STRENGTH:g}."
        )
    return strength


def _content(path: Path) -> tuple[str, int]:
    """SHA-256 and size of a file, or of all that may be read of a folder."""
    if path.is_file():
        return file_sha256(path), path.stat().st_size
    files = [f for f in sorted(path.rglob("*")) if f.is_file() and f.suffix in READ]
    parts = [(str(f.relative_to(path)).encode(), file_sha256(f).encode()) for f in files]
    return hash_bytes(*(b for part in parts for b in part)), sum(f.stat().st_size for f in files)
