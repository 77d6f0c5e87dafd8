"""A study folder, read into plain typed views. Nothing is measured here."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pseudoword.errors import UserError
from pseudoword.runs import given_folder, picture_path, read_json, run_folder

BASE = "base_model"
BASE_TITLE = "Untouched model"
KIND_ORDER = ("basic", "setting", "property", "accessory", "neighbour", "style")

# (arm, training seed, prompt id, image seed); the untouched model has the training seed -1.
PictureKey = tuple[str, int, str, int]


@dataclass(frozen=True)
class Estimate:
    """A score with its 95 % interval; None where it is not defined or not known."""

    value: float | None
    low: float | None = None
    high: float | None = None
    n: int | None = None
    warning: str | None = None

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
    explanation: str
    encoder: str


@dataclass(frozen=True)
class Prompt:
    """One prompt: `{}` in the template stands for the noun phrase."""

    id: str
    template: str
    kind: str


@dataclass(frozen=True)
class Run:
    """One training run: its mean scores and its loss by step, empty where no log was kept."""

    seed: int
    dino: float | None
    clip_t: float | None
    noun_phrase: str | None
    snapshots: tuple[int, ...]
    losses: tuple[tuple[int, float], ...]


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


@dataclass(frozen=True)
class Given(Arm):
    """An artefact that somebody else trained: what draws, but no method that is compared.

    `against` are its differences from the other arms, by their names and metric.
    """

    file: str
    phrase: str
    bytes: int
    against: Mapping[str, Mapping[str, Estimate]]


@dataclass(frozen=True)
class Difference:
    """Arm `a` minus arm `b` in one metric."""

    metric: str
    a: str
    b: str
    estimate: Estimate


@dataclass(frozen=True)
class Study:
    """All that the report shows. `record` is study.json, `verdict` that of results.json."""

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
    normalised: Mapping[str, Mapping[str, Estimate]]
    image_scores: Mapping[PictureKey, Mapping[str, float]]

    @property
    def arms(self) -> tuple[Arm, ...]:
        """The untouched model, then the methods."""
        return (self.base, *self.methods)

    @property
    def has_truth(self) -> bool:
        return (self.folder / "truth").is_dir()

    def kinds(self) -> list[str]:
        """The kinds of prompt that occur, in a fixed order, unknown ones last."""
        present = list(dict.fromkeys(prompt.kind for prompt in self.prompts))
        known = [kind for kind in KIND_ORDER if kind in present]
        return known + [kind for kind in present if kind not in known]

    def picture_file(self, arm: Arm, seed: int, prompt: Prompt, image_seed: int) -> Path:
        if isinstance(arm, Given):
            run = given_folder(self.folder, arm.name)
        else:
            run = run_folder(self.folder, None if arm.index is None else arm.name, seed)
        return picture_path(run, prompt.id, image_seed)

    def truth_file(self, prompt: Prompt, image_seed: int) -> Path:
        return self.folder / "truth" / f"{prompt.id}-{image_seed}.png"


def read_study(folder: Path) -> Study:
    """The study in `folder`. Raises UserError where it is not finished or not whole."""
    for name in ("study.json", "results.json", "scores.parquet"):
        if not (folder / name).is_file():
            raise UserError(
                f"{folder / name} does not exist, so there is nothing to report on yet:\n"
                "run the same `pseudoword study` command again to finish the study."
            )
    record, results = read_json(folder / "study.json"), read_json(folder / "results.json")
    try:
        return _study(folder, record, results)
    except KeyError as error:
        raise UserError(
            f"{folder} lacks the entry {error}, so another version of pseudoword wrote it:\n"
            "run the same `pseudoword study` command again."
        ) from None


def _study(folder: Path, record: dict[str, Any], results: dict[str, Any]) -> Study:
    settings = {method["name"]: method["settings"] for method in record["methods"]}
    base = results["base_model"]
    return Study(
        folder=folder,
        record=record,
        verdict=results["verdict"],
        prompts=tuple(Prompt(row["id"], row["template"], row["kind"]) for row in record["prompts"]),
        image_seeds=tuple(record["image_seeds"]),
        seeds=tuple(record["seeds"]),
        metrics={
            name: Metric(
                name,
                row["title"],
                row["about"],
                row["higher_is_better"],
                row["explanation"],
                row["encoder"],
            )
            for name, row in results["metrics"].items()
        },
        base=Arm(
            BASE,
            BASE_TITLE,
            None,
            _estimates(base["scores"]),
            {kind: _estimates(rows) for kind, rows in base["by_kind"].items()},
            cost={},
            runs=(),
            settings={},
        ),
        methods=tuple(
            Arm(
                name,
                row["title"],
                index,
                _estimates(row["scores"]),
                {kind: _estimates(rows) for kind, rows in row["by_kind"].items()},
                row["cost"],
                tuple(_run(folder, name, run) for run in row["runs"]),
                settings.get(name, {}),
            )
            for index, (name, row) in enumerate(results["methods"].items())
        ),
        given=tuple(
            _given(row, len(results["methods"]) + index)
            for index, row in enumerate(results["given"])
        ),
        ceiling=_estimates(results["ceiling"]),
        differences=tuple(
            Difference(row["metric"], row["a"], row["b"], _estimate(row))
            for row in results["differences"]
        ),
        normalised={name: _estimates(rows) for name, rows in results["normalised"].items()},
        image_scores=_image_scores(folder / "scores.parquet"),
    )


def _given(row: Mapping[str, Any], index: int) -> Given:
    against: dict[str, dict[str, Estimate]] = {}
    for found in row["differences"]:
        against.setdefault(found["b"], {})[found["metric"]] = _estimate(found)
    return Given(
        row["name"],
        row["title"],
        index,
        _estimates(row["scores"]),
        {kind: _estimates(rows) for kind, rows in row["by_kind"].items()},
        cost={},
        runs=(),
        settings={},
        file=row["file"],
        phrase=row["phrase"],
        bytes=row["bytes"],
        against=against,
    )


def _estimate(row: Mapping[str, Any]) -> Estimate:
    return Estimate(row["value"], row["low"], row["high"], row.get("n"), row.get("warning"))


def _estimates(rows: Mapping[str, Mapping[str, Any]]) -> dict[str, Estimate]:
    return {name: _estimate(row) for name, row in rows.items()}


def _run(folder: Path, method: str, row: Mapping[str, Any]) -> Run:
    run = run_folder(folder, method, row["seed"])
    told = read_json(run / "run.json") if (run / "run.json").is_file() else {}
    return Run(
        seed=row["seed"],
        dino=row.get("dino"),
        clip_t=row.get("clip_t"),
        noun_phrase=told.get("noun_phrase"),
        snapshots=tuple(told.get("snapshots", ())),
        losses=_losses(run / "log.jsonl"),
    )


def _losses(file: Path) -> tuple[tuple[int, float], ...]:
    if not file.is_file():
        return ()
    try:
        rows = [json.loads(line) for line in file.read_text().splitlines() if line.strip()]
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise UserError(
            f"{file} is not readable ({error}):\nremove it to get a report without this curve."
        ) from None
    return tuple((row["step"], row["loss"]) for row in rows if row.get("loss") is not None)


def _image_scores(file: Path) -> dict[PictureKey, dict[str, float]]:
    import pandas as pd

    columns = ["method", "seed", "prompt_id", "image_seed", "metric", "value"]
    try:
        frame = pd.read_parquet(file, columns=columns)
    except (OSError, ValueError) as error:  # what pyarrow raises derives from one or the other
        reason = str(error).splitlines()[0]
        raise UserError(
            f"{file} is not readable ({reason}):\nremove it and run `pseudoword study` again."
        ) from None
    scores: dict[PictureKey, dict[str, float]] = {}
    for row in frame.itertuples(index=False):
        if math.isfinite(row.value):
            key = (str(row.method), int(row.seed), str(row.prompt_id), int(row.image_seed))
            scores.setdefault(key, {})[str(row.metric)] = float(row.value)
    return scores
