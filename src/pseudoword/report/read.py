"""A study folder read into the views of `data`."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pseudoword.errors import UserError
from pseudoword.metrics.tables import read_identity
from pseudoword.report.by_picture import read_picture_scores
from pseudoword.report.data import (
    BASE,
    BASE_TITLE,
    Arm,
    Candidate,
    Comparison,
    Copies,
    Copy,
    Difference,
    Discrimination,
    DriftPrompt,
    Estimate,
    Failure,
    Flag,
    Given,
    LossChange,
    Metric,
    Place,
    Power,
    Prompt,
    Run,
    Selection,
    Study,
)
from pseudoword.runs import read_json


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
            f"{folder / 'study.json'} or results.json lacks the entry {error}, so another "
            "version of pseudoword wrote it:\nrun the same `pseudoword study` command again."
        ) from None
    except (TypeError, ValueError, AttributeError, LookupError) as error:
        raise UserError(
            f"{folder / 'study.json'} and results.json are not as pseudoword writes them ({error}):"
            "\nrun the same `pseudoword study` command again."
        ) from None


def _study(folder: Path, record: dict[str, Any], results: dict[str, Any]) -> Study:
    settings = {method["name"]: method["settings"] for method in record["methods"]}
    base, drift, untrained = results["base_model"], results["drift"], (-1,)
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
                row["unit"],
                row["smallest_n"],
                row["explanation"],
                row["encoder"],
                row["source"],
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
            flags=(),
        ),
        methods=tuple(
            Arm(
                name,
                row["title"],
                index,
                _estimates(row["scores"]),
                {kind: _estimates(rows) for kind, rows in row["by_kind"].items()},
                row["cost"],
                tuple(Run(run["seed"], run["dino"], run["clip_t"]) for run in row["runs"]),
                settings.get(name, {}),
                tuple(Flag(**flag) for flag in row["flags"]),
            )
            for index, (name, row) in enumerate(results["methods"].items())
        ),
        given=tuple(
            _given(row, len(results["methods"]) + index)
            for index, row in enumerate(results["given"])
        ),
        ceiling=_estimates(results["ceiling"]),
        differences=_differences(results["differences"]),
        differences_by_kind={
            kind: _differences(rows) for kind, rows in results["differences_by_kind"].items()
        },
        normalised={name: _estimates(rows) for name, rows in results["normalised"].items()},
        image_scores=read_picture_scores(
            folder / "scores.parquet",
            read_identity(folder, record, results),
            {BASE: untrained}
            | {name: record["seeds"] for name in results["methods"]}
            | {row["name"]: untrained for row in results["given"]},
            [row["id"] for row in record["prompts"]],
            record["image_seeds"],
            list(results["metrics"]),
        ),
        comparisons=tuple(
            Comparison(
                row["a"], row["b"], _estimate(row), row["p"], row["p_holm"], row["p_improvement"]
            )
            for row in results["comparisons"]
        ),
        pareto={
            name: Place(row["front"], row["p_front"]) for name, row in results["pareto"].items()
        },
        discrimination=_discrimination(results["discrimination"]),
        power=_power(results["power"]),
        selection={name: _selection(row) for name, row in results["selection"].items()},
        copying={
            name: Copies(row["limit"], tuple(Copy(**pair) for pair in row["pairs"]))
            for name, row in results["copying"].items()
        },
        drift_prompts=tuple(
            DriftPrompt(row["id"], row["text"], row["kind"]) for row in drift["prompts"]
        ),
        drift_seeds=tuple(drift["image_seeds"]),
        failures=tuple(
            Failure(
                *(row[key] for key in ("method", "title", "seed", "takes_part", "text", "remedy"))
            )
            for row in results["failures"]
        ),
    )


def _differences(rows: Sequence[Mapping[str, Any]]) -> tuple[Difference, ...]:
    return tuple(
        Difference(row["metric"], row["a"], row["b"], _estimate(row), row["p"], row["p_holm"])
        for row in rows
    )


def _discrimination(row: Mapping[str, Any]) -> Discrimination:
    area = Estimate(row["value"], row["low"], row["high"])
    return Discrimination(area, row["n_photos"], row["n_pictures"], row["tells"], row["text"])


def _power(row: Mapping[str, Any] | None) -> Power | None:
    if row is None:
        return None
    both = row["together"]
    together = (both["seeds"], both["prompts"]) if both else None
    return Power(row["a"], row["b"], row["same"], row["seeds"], row["prompts"], together)


def _selection(row: Mapping[str, Any]) -> Selection:
    return Selection(
        row["checkpoint"],
        row["strength"],
        tuple(row["prompts"]),
        tuple(row["image_seeds"]),
        tuple(
            Candidate(
                found["step"],
                found["strength"],
                _estimate(found["fidelity"]),
                _estimate(found["adherence"]),
                _estimate(found["overall"]),
                found["chosen"],
            )
            for found in row["candidates"]
        ),
        tuple(
            LossChange(
                found["step"],
                *(found[kind] and _estimate(found[kind]) for kind in ("held_out", "training")),
            )
            for found in row["losses"]
        ),
        row["problem"],
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
        flags=(),
        file=row["file"],
        phrase=row["phrase"],
        bytes=row["bytes"],
        against=against,
    )


def _estimate(row: Mapping[str, Any]) -> Estimate:
    return Estimate(
        row["value"],
        row["low"],
        row["high"],
        row.get("n"),
        row.get("warning"),
        row.get("n_reference"),
        row.get("covariance_rank"),
    )


def _estimates(rows: Mapping[str, Mapping[str, Any]]) -> dict[str, Estimate]:
    return {name: _estimate(row) for name, row in rows.items()}
