"""What studies of many toys are to do. Importing this is cheap: the command line reads it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pseudoword.evaluate import Judges
    from pseudoword.metrics import Role
    from pseudoword.settings import StudySettings

CONCEPTS = tuple(range(100, 110))
"""The toys of the study, of ten classes. Settings were chosen on others."""
MEASURED_AT: dict[str, dict[str, Any]] = {"dreambooth": {"steps": 400}}
"""What docs/study.md was measured with, where the toybox settings have changed since."""
ENCODERS = {"clip": "toybox-clip", "dino": "toybox-dino", "inception": "toybox-inception"}


@dataclass(frozen=True)
class ToyPlan:
    """The same study of each of several toys, by the toybox's model or one trained like it."""

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
        """The methods' settings for the toybox, without an effort's factor on their steps.

        All is named, lest a folder of weights be treated as a model of photos.
        """
        from pseudoword.methods import find_method
        from pseudoword.settings import StudySettings
        from pseudoword.toybox.world.concepts import concept_toy

        methods = StudySettings.model_fields["methods"].default
        options = {
            name: {**find_method(name).presets["toybox"], **MEASURED_AT.get(name, {})}
            for name in methods
        }
        usual = {
            "class_noun": concept_toy(toy).class_noun,
            "model": self.model,
            "device": self.device,
            "seeds": self.seeds,
            "effort": "quick",
            "pictures": self.pictures,
            # Whole trainings are compared here, as in the original study.
            "select": False,
            "suite": "auto" if "prompts" in self.changes else "toybox",
            "options": options,
            **{f"{role}_encoder": name for role, name in ENCODERS.items()},
        }
        return StudySettings.model_validate(usual | dict(self.changes))

    def judges(self, toy: int, roles: "Sequence[Role]" = ("clip", "dino", "inception")) -> "Judges":
        """The encoders of the toy's study, with its cache."""
        from pseudoword.device import pick_device
        from pseudoword.evaluate import Judges

        cache = self.folder(toy) / "cache" / "embeddings"
        return Judges.load(ENCODERS, str(pick_device(self.device)), cache, roles)
