"""What a study holds, as plain typed views. Nothing is measured here."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from pseudoword.report.by_picture import PictureScores
from pseudoword.runs import given_folder, picture_path, run_folder

BASE = "base_model"
BASE_TITLE = "Untouched model"
KIND_ORDER = ("basic", "setting", "property", "accessory", "neighbour", "style")

LEVEL = 0.05
"""p after Holm below which two methods are separated."""


@dataclass(frozen=True)
class Estimate:
    """A score with its 95 % interval; None where it is not defined or not known.

    A distance of sets also has the size of the other set and the rank of the covariance.
    """

    value: float | None
    low: float | None = None
    high: float | None = None
    n: int | None = None
    warning: str | None = None
    n_reference: int | None = None
    covariance_rank: int | None = None

    @property
    def sign(self) -> int:
        """1 or -1 where the whole interval lies above or below zero, otherwise 0."""
        if self.low is None or self.high is None:
            return 0
        return 1 if self.low > 0 else -1 if self.high < 0 else 0


@dataclass(frozen=True)
class Metric:
    """What is said about one metric in results.json."""

    name: str
    title: str
    about: str
    higher_is_better: bool
    unit: str
    smallest_n: int
    explanation: str
    encoder: str
    source: str


@dataclass(frozen=True)
class Prompt:
    """One prompt: `{}` in the template stands for the noun phrase."""

    id: str
    template: str
    kind: str


@dataclass(frozen=True)
class Run:
    """One training run and its mean scores."""

    seed: int
    dino: float
    clip_t: float


@dataclass(frozen=True)
class Flag:
    """Something that went wrong with a method, and what to do about it."""

    kind: str
    title: str
    text: str
    remedy: str


@dataclass(frozen=True)
class Failure:
    """A training that diverged; `takes_part` tells whether its method is compared all the same."""

    method: str
    title: str
    seed: int
    takes_part: bool
    text: str
    remedy: str


@dataclass(frozen=True)
class Arm:
    """One thing that draws: a method, or the untouched model (`index` None)."""

    name: str
    title: str
    index: int | None
    scores: Mapping[str, Estimate]
    by_kind: Mapping[str, Mapping[str, Estimate]]
    cost: Mapping[str, float | None]
    runs: tuple[Run, ...]
    settings: Mapping[str, Any]
    flags: tuple[Flag, ...]


@dataclass(frozen=True)
class Given(Arm):
    """An artefact that somebody else trained: what draws, but no method that is compared.

    `against` are its differences from the other arms, by their names and metric.
    """

    file: str
    phrase: str
    bytes: int
    against: Mapping[str, Mapping[str, Estimate]]


def direction(estimate: Estimate, p_holm: float | None) -> int:
    """1 or -1 where a difference is separated from zero, otherwise 0.

    By p after Holm, where there is one: an interval knows nothing of the number of pairs.
    """
    if p_holm is None or estimate.value is None:
        return estimate.sign
    return 0 if p_holm >= LEVEL else 1 if estimate.value > 0 else -1


@dataclass(frozen=True)
class Difference:
    """Arm `a` minus arm `b` in one metric; `p_holm` counts all pairs of methods."""

    metric: str
    a: str
    b: str
    estimate: Estimate
    p: float | None
    p_holm: float | None


@dataclass(frozen=True)
class Comparison:
    """Method `a`, which is ahead, minus `b` in the overall score.

    `p_improvement` is the chance that a training of `a` beats one of `b` on an edit prompt.
    """

    a: str
    b: str
    estimate: Estimate
    p: float | None
    p_holm: float | None
    p_improvement: float | None


@dataclass(frozen=True)
class Place:
    """Whether no method beats this one in both fidelity and adherence, and how sure that is."""

    front: bool
    p_front: float | None


@dataclass(frozen=True)
class Discrimination:
    """Whether the likeness tells this concept from others of its class: an AUC, 0 to 1."""

    area: Estimate
    n_photos: int
    n_pictures: int
    tells: bool | None
    text: str


@dataclass(frozen=True)
class Power:
    """How many seeds, or prompts, would separate two methods; None where none in reach would.

    With `same` they would show that the two are equal. `together` are seeds and prompts.
    """

    a: str
    b: str
    same: bool
    seeds: int | None
    prompts: int | None
    together: tuple[int, int] | None


@dataclass(frozen=True)
class Candidate:
    """A checkpoint at a strength, on the floor-ceiling scale of the validation prompts."""

    step: int
    strength: float
    fidelity: Estimate
    adherence: Estimate
    overall: Estimate
    chosen: bool


@dataclass(frozen=True)
class LossChange:
    """The loss at a step over the untouched model's, on the held-out and on the training photos."""

    step: int
    held_out: Estimate | None
    training: Estimate | None


@dataclass(frozen=True)
class Selection:
    """What a method's pictures are drawn with, and what that was chosen from.

    `problem` says why there was nothing to choose by, if so; the only candidate is then the end.
    """

    checkpoint: int
    strength: float
    prompts: tuple[str, ...]
    image_seeds: tuple[int, ...]
    candidates: tuple[Candidate, ...]
    losses: tuple[LossChange, ...]
    problem: str | None


@dataclass(frozen=True)
class Copy:
    """A picture and the training photo that it is nearest to, `value` their cosine."""

    seed: int
    prompt_id: str
    image_seed: int
    photo: str
    value: float


@dataclass(frozen=True)
class Copies:
    """The nearest pairs of an arm; above `limit` a picture counts as a copy."""

    limit: float | None
    pairs: tuple[Copy, ...]


@dataclass(frozen=True)
class DriftPrompt:
    """A prompt without the concept; its kind is "class" or "other"."""

    id: str
    text: str
    kind: str


@dataclass(frozen=True)
class Study:
    """All that the report shows. `record` is study.json, `verdict` that of results.json.

    What a study did not look into is empty or None, and its section is left out.
    """

    folder: Path
    record: Mapping[str, Any]
    verdict: Mapping[str, Any]
    prompts: tuple[Prompt, ...]
    image_seeds: tuple[int, ...]
    seeds: tuple[int, ...]
    metrics: Mapping[str, Metric]
    base: Arm
    methods: tuple[Arm, ...]
    given: tuple[Given, ...]
    ceiling: Mapping[str, Estimate]
    differences: tuple[Difference, ...]
    differences_by_kind: Mapping[str, tuple[Difference, ...]]
    normalised: Mapping[str, Mapping[str, Estimate]]
    image_scores: PictureScores
    comparisons: tuple[Comparison, ...]
    pareto: Mapping[str, Place]
    discrimination: Discrimination
    power: Power | None
    selection: Mapping[str, Selection]
    copying: Mapping[str, Copies]
    drift_prompts: tuple[DriftPrompt, ...]
    drift_seeds: tuple[int, ...]
    failures: tuple[Failure, ...]

    @cached_property
    def pairs(self) -> Mapping[tuple[str, str, str], Difference]:
        """The differences by metric, `a` and `b`, as results.json has them."""
        return {(row.metric, row.a, row.b): row for row in self.differences}

    @property
    def arms(self) -> tuple[Arm, ...]:
        """The untouched model, then the methods."""
        return (self.base, *self.methods)

    @property
    def has_truth(self) -> bool:
        return (self.folder / "truth").is_dir()

    def arm(self, name: str) -> Arm:
        """The method or the untouched model of that name."""
        return next(arm for arm in self.arms if arm.name == name)

    def kinds(self) -> list[str]:
        """The kinds of prompt that occur, in a fixed order, unknown ones last."""
        present = list(dict.fromkeys(prompt.kind for prompt in self.prompts))
        known = [kind for kind in KIND_ORDER if kind in present]
        return known + [kind for kind in present if kind not in known]

    def run_folder(self, arm: Arm, seed: int) -> Path:
        if isinstance(arm, Given):
            return given_folder(self.folder, arm.name)
        return run_folder(self.folder, None if arm.index is None else arm.name, seed)

    def picture_file(self, arm: Arm, seed: int, prompt_id: str, image_seed: int) -> Path:
        return picture_path(self.run_folder(arm, seed), prompt_id, image_seed)

    def truth_file(self, prompt: Prompt, image_seed: int) -> Path:
        return self.folder / "truth" / f"{prompt.id}-{image_seed}.png"
