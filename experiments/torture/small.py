"""The small study that is tortured, and what of it must come out the same."""

import hashlib
import json
from pathlib import Path
from typing import Any

import child

CONFIG = {
    "class_noun": "duck",
    "seeds": 1,
    "effort": "quick",
    "pictures": 1,
    "prompts": ["basic: a photo of a {}", "setting: a {} in the snow"],
    "generate": {"sampling_steps": 2},
    "checkpoints": {"checkpoint_steps": 2},
}
OPTIONS = {
    "lora": {"steps": 6, "batch_size": 1},
    "dreambooth": {"steps": 6, "batch_size": 1, "prior_pictures": 2},
}
TIMED = {"cost", "seconds", "sha256"}
"""What may differ in JSON: how long things took, and checksums over that."""


class Small:
    """A folder with photos and settings, in which the same study is made over and over.

    `quick` is smaller still: one method, and nothing is chosen.
    """

    def __init__(self, place: Path, quick: bool = False) -> None:
        self.place = place
        methods = ["lora"] if quick else ["lora", "dreambooth"]
        options = {name: OPTIONS[name] for name in methods}
        settings = {**CONFIG, "methods": methods, "options": options, "select": not quick}
        # JSON is YAML as well.
        (place / "study.yaml").write_text(json.dumps(settings))
        child.call(self._render, place / "logs" / "photos.txt")

    def _render(self) -> int:
        from pseudoword.toybox.photos import render_photo_set

        render_photo_set(1, self.place / "photos", count=4)
        return 0

    def arguments(self, out: Path) -> list[str]:
        config = ["--config", str(self.place / "study.yaml")]
        return ["study", str(self.place / "photos"), *config, "--out", str(out)]

    def log(self, name: str) -> Path:
        return self.place / "logs" / f"{name}.txt"

    def whole(self, out: Path) -> child.Outcome:
        """The study without interruption. Raises RuntimeError where it fails."""
        outcome = child.command(self.arguments(out), self.log(out.name))
        if outcome.status != 0:
            raise RuntimeError(f"a study fails by itself:\n{outcome.text}")
        return outcome


def content(out: Path) -> dict[str, str]:
    """A hash of every file whose bytes may not differ between two runs of one study.

    Pages, records with dates and caches count by their names alone; in JSON, times do not count.
    """
    found = {}
    for path in sorted(p for p in out.rglob("*") if p.is_file()):
        name = str(path.relative_to(out))
        found[name] = "there"
        if path.suffix in (".png", ".parquet") or (
            path.suffix == ".safetensors" and not name.startswith("cache/")
        ):
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
        elif path.suffix in (".json", ".jsonl") and path.name != "study.json":
            lines = path.read_text().splitlines() if path.suffix == ".jsonl" else [path.read_text()]
            found[name] = json.dumps([_untimed(json.loads(line)) for line in lines])
    return found


def _untimed(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _untimed(inner) for key, inner in value.items() if key not in TIMED}
    if isinstance(value, list):
        return [_untimed(inner) for inner in value]
    return value


def differences(found: dict[str, str], wanted: dict[str, str]) -> list[str]:
    """The names of files that lack, are too many or differ."""
    names = sorted({*found, *wanted})
    return [name for name in names if found.get(name) != wanted.get(name)]
