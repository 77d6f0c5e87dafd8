"""The small commands that are tortured, on a small concept."""

import json
from pathlib import Path

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


def problem(what: str, outcome: child.Outcome, *more: str) -> str:
    """What went wrong, of which command, and what it said."""
    return "\n".join([", ".join([f"{what}: exit {outcome.status}", *more]), outcome.text])
