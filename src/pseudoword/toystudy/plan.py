"""What studies of many toys are to do. Importing this is cheap: the command line reads it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pseudoword.settings import StudySettings

CONCEPTS = tuple(range(100, 110))
"""The toys of the study, of ten classes. Settings were chosen on others."""


@dataclass(frozen=True)
class Plan:
    """The same study of each of several toys."""

    out: Path
    toys: Sequence[int] = CONCEPTS
    seeds: int = 3
    pictures: int = 5
    model: str = "toybox"
    device: str = "auto"
    changes: Mapping[str, Any] = field(default_factory=dict)
    """Settings of the studies that are to differ from the usual ones."""

    def folder(self, toy: int) -> Path:
        return self.out / f"toy-{toy:03d}"

    def photos(self, toy: int) -> Path:
        return self.out / "photos" / f"toy-{toy:03d}"

    def settings(self, toy: int) -> "StudySettings":
        """The methods' own settings, without an effort's factor on their steps."""
        from pseudoword.settings import StudySettings
        from pseudoword.toybox.world.concepts import concept_toy

        usual = {
            "class_noun": concept_toy(toy).class_noun,
            "model": self.model,
            "device": self.device,
            "seeds": self.seeds,
            "effort": "quick",
            "pictures": self.pictures,
        }
        return StudySettings.model_validate(usual | dict(self.changes))
