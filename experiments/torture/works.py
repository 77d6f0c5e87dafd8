"""The commands that are killed: each makes a folder, small enough to be made over and over."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from small import Small

TRAIN = {
    "class_noun": "duck",
    "method": "lora",
    "options": {"steps": 10, "batch_size": 1, "prior_weight": 1.0, "prior_pictures": 2},
    "snapshots": 2,
    "checkpoints": {"checkpoint_steps": 2},
}
DRAW = ("--prompt", "a photo of a {}", "--count", "4", "--batch-size", "1")
STAGES = ("--stages", "coarse-autoencoder,pair", "--checkpoint-steps", "1")


@dataclass(frozen=True)
class Work:
    """A command: its name, its arguments for an output folder, and what its process does first."""

    name: str
    arguments: Callable[[Path], list[str]]
    first: Callable[[], None] = lambda: None
    interrupts: float = 0.5
    """The share of kills that are Ctrl-C."""
    trains: bool = False
    """Whether the first kill comes right after the second checkpoint."""


def study(small: Small) -> Work:
    return Work("study", small.arguments, interrupts=0.25)


def others(small: Small, run: Path) -> tuple[Work, ...]:
    """The other commands that go on after a kill, `generate` last: it draws with `run`, a training
    that has ended by then."""
    config = small.place / "train.yaml"
    config.write_text(json.dumps(TRAIN))
    photos = str(small.place / "photos")
    return (
        Work(
            "train",
            lambda out: ["train", photos, "--config", str(config), "--out", str(out)],
            trains=True,
        ),
        Work(
            "toybox train",
            lambda out: ["toybox", "train", *STAGES, "--out", str(out)],
            first=_shrink_recipe,
            trains=True,
        ),
        Work("generate", lambda out: ["generate", str(run), *DRAW, "--out", str(out)]),
    )


def _shrink_recipe() -> None:
    """Few pictures and steps."""
    from pseudoword.toybox.recipe import pair, pipeline

    pipeline.PICTURES, pipeline.HELD_OUT, pair.BATCH = 8, 2, 2
    pipeline.STEPS = dict.fromkeys(pipeline.STEPS, 4)
