"""The summary of several concepts' studies: every measure by concept, and what holds over them."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from pseudoword.errors import UserError
from pseudoword.metrics.across import across, primary_across
from pseudoword.metrics.across_verdict import verdict_across
from pseudoword.metrics.design import BASE
from pseudoword.metrics.means import PromptMeans, prompt_means
from pseudoword.metrics.stats import Array
from pseudoword.metrics.tables import read_identity
from pseudoword.metrics.verdict import Verdict, normalise, undecidable
from pseudoword.runs import read_json

PRIMARY = "overall"
PARTS: dict[str, tuple[str, str, str]] = {
    PRIMARY: (
        "Overall",
        "fidelity times adherence",
        "What decides: a method must draw this very concept and heed the prompt.",
    ),
    "fidelity": (
        "Fidelity",
        "likeness to the concept",
        "DINO on the scale where the untouched model has 0 % and the photos' own likeness to each "
        "other is 100 %.",
    ),
    "adherence": (
        "Adherence",
        "obedience to the prompt",
        "CLIP-T of the edit prompts on the scale where the untouched model has 100 % and a photo "
        "that ignores its prompt 0 %.",
    ),
}
"""Title, subject and explanation of the normalised scores, which every concept has alike."""
WANTED = {
    "study.json": {"identity", "class_noun", "photos", "prompts"},
    "results.json": {"methods", "base_model", "metrics", "normalised", "verdict", "discrimination"},
}
"""What must be in the files of a study that are read here."""
KEPT = WANTED["study.json"] | WANTED["results.json"]
KEPT |= {"held_out", "failures", "ceiling", "photos_clip_t"}
"""What of the two is kept in memory until all studies are read."""
BY_KIND = ("dino", "clip_t", "right_toy", "right_scene")


@dataclass(frozen=True)
class _Study:
    """One concept's study as it lies on the disk."""

    record: Mapping[str, Any]
    results: Mapping[str, Any]
    means: PromptMeans

    @property
    def prompts(self) -> list[tuple[str, str]]:
        return [(prompt["template"], prompt["kind"]) for prompt in self.record["prompts"]]

    @property
    def left_out(self) -> str | None:
        """Why it has no place in the primary measure, or None."""
        lost = [row["title"] for row in self.results["failures"] if not row["takes_part"]]
        if lost:
            return f"No pictures were drawn of a method whose training diverged, {lost[0]}."
        rows = self.results["normalised"].values()
        if any(row[part]["value"] is None for row in rows for part in PARTS):
            return str(self.results["verdict"]["text"])
        told = self.results["discrimination"]
        return None if told["tells"] else str(told["text"])


def summarise_concepts(studies: Mapping[str, Path]) -> dict[str, Any]:
    """What summary.json holds, from the finished studies by concept.

    {"concepts": {name: {"class_noun", "photos", "held_out", "verdict" of its study, "left_out":
     why it is not in the primary measure, or null}},
     "methods": {method: {"title", "cost": means over concepts, "flags": {kind: {"title", "in":
     [concept]}}}}, "same_prompts": bool,
     "measures": {"overall" | "fidelity" | "adherence" | metric: {"title", "about", "explanation",
     "higher_is_better", "of": [concept], "by_concept": {method: {concept: value}}, "best_in":
     {method: concepts in which it is the best}, "base_model": interval or null, and all that
     `across.across` gives, with "by_concept" in its ranks}},
     "verdict": as in results.json,
     "by_kind": {metric: {kind: {"of": [concept], "means": {method or "base_model": interval}}}}}

    A measure that no concept has is absent, and so is a method that no concept has pictures of.
    """
    read = {name: _read(folder) for name, folder in studies.items()}
    first = next(iter(read.values()))
    titles = {
        m: str(row["title"]) for s in read.values() for m, row in s.results["methods"].items()
    }
    methods = list(titles)
    scaled = {name: study for name, study in read.items() if study.left_out is None}
    same = all(study.prompts == first.prompts for study in read.values())
    measures = _primary(scaled, methods, same) if scaled else {}
    for metric, row in first.results["metrics"].items():
        told = {key: row[key] for key in ("title", "about", "explanation", "higher_is_better")}
        found = _metric(metric, told, read, methods, same)
        if found is not None:
            measures[metric] = found
    return {
        "concepts": {name: _concept(study) for name, study in read.items()},
        "methods": {m: _method(m, read) for m in methods},
        "same_prompts": same,
        "measures": measures,
        "by_kind": _by_kind(read, methods),
        "verdict": asdict(_verdict(measures, titles)),
    }


def _primary(scaled: Mapping[str, _Study], methods: Sequence[str], same: bool) -> dict[str, Any]:
    """The normalised scores over the concepts that have a scale."""
    values = {
        part: {
            m: np.array([s.results["normalised"][m][part]["value"] for s in scaled.values()])
            for m in methods
        }
        for part in PARTS
    }
    if same and len(scaled) > 1:
        found = _crossed(list(scaled.values()), methods)
    else:
        # A single concept's prompts tell nothing of other concepts.
        found = {part: across(values[part]) for part in PARTS}
    return {
        part: _measure(
            {"title": title, "about": about, "explanation": explanation, "higher_is_better": True},
            list(scaled),
            values[part],
            found[part],
        )
        for part, (title, about, explanation) in PARTS.items()
    }


def _crossed(studies: Sequence[_Study], methods: Sequence[str]) -> dict[str, dict[str, Any]]:
    """The normalised scores over concepts crossed with the prompts that all of them share."""
    prompts = studies[0].record["prompts"]
    ids = [prompt["id"] for prompt in prompts]
    basic = np.array([prompt["kind"] == "basic" for prompt in prompts])
    tables = [_scaled(study, methods, ids, basic) for study in studies]
    fidelity, adherence = (
        {m: np.stack([table[part][m] for table in tables]) for m in methods} for part in (0, 1)
    )
    return primary_across(fidelity, adherence, basic)


def _scaled(
    study: _Study, methods: Sequence[str], ids: Sequence[str], basic: NDArray[np.bool_]
) -> tuple[dict[str, Array], dict[str, Array]]:
    """Fidelity and adherence (P,) of each method on the study's own scale.

    Their means, of adherence over the edit prompts, are those of the study. As in
    `comparisons.primary_cells`, a prompt's adherence starts from what the photos score on it.
    """
    dino, clip_t = (
        {arm: study.means.of(metric, arm, ids) for arm in (*methods, BASE)}
        for metric in ("dino", "clip_t")
    )
    floor = dino[BASE].mean()
    ceiling = study.results["ceiling"]["dino"]["value"]
    zero = np.array([study.results["photos_clip_t"][prompt] for prompt in ids])
    length = (clip_t[BASE] - zero)[~basic].mean()
    return (
        {m: normalise(dino[m], floor, ceiling) for m in methods},
        {m: (clip_t[m] - zero) / length for m in methods},
    )


def _verdict(measures: Mapping[str, Any], titles: Mapping[str, str]) -> Verdict:
    if PRIMARY not in measures:
        return undecidable(
            titles,
            "For none of these concepts can the measure tell, so no method can be called best.",
            "See why in each concept's report; photos in which little else is to be seen help.",
        )
    overall, fidelity, adherence = (measures[part] for part in PARTS)
    return verdict_across(overall, fidelity, adherence, titles)


def _read(folder: Path) -> _Study:
    found = {name: read_json(folder / name) for name in WANTED}
    for name, keys in WANTED.items():
        if not isinstance(found[name], dict) or not keys <= set(found[name]):
            raise UserError(
                f"{folder / name} is not that of a study by this version:\n"
                "remove it and run the same command again."
            )
    record, results = found.values()
    means = prompt_means(
        folder / "scores.parquet",
        read_identity(folder, record, results),
        list(results["metrics"]),
        [*results["methods"], BASE],
        sorted(prompt["id"] for prompt in record["prompts"]),
    )
    return _Study(_kept(record), _kept(results), means)


def _kept(found: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in found.items() if key in KEPT}


def _concept(study: _Study) -> dict[str, Any]:
    return {
        "class_noun": study.record["class_noun"],
        "photos": len(study.record["photos"]),
        "held_out": study.record["held_out"],
        "verdict": study.results["verdict"],
        "left_out": study.left_out,
    }


def _method(method: str, read: Mapping[str, _Study]) -> dict[str, Any]:
    rows = {
        name: study.results["methods"][method]
        for name, study in read.items()
        if method in study.results["methods"]
    }
    first = next(iter(rows.values()))
    cost = {}
    for key in first["cost"]:
        known = [row["cost"][key] for row in rows.values() if row["cost"][key] is not None]
        cost[key] = float(np.mean(known)) if known else None
    flags: dict[str, dict[str, Any]] = {}
    for name, row in rows.items():
        for flag in row.get("flags", ()):
            flags.setdefault(flag["kind"], {"title": flag["title"], "in": []})["in"].append(name)
    failed = [
        name
        for name, study in read.items()
        if any(row["method"] == method for row in study.results["failures"])
    ]
    if failed:
        flags["diverged"] = {"title": "A training diverged", "in": failed}
    return {"title": first["title"], "cost": cost, "flags": flags}


def _metric(
    metric: str,
    told: Mapping[str, Any],
    read: Mapping[str, _Study],
    methods: Sequence[str],
    same: bool,
) -> dict[str, Any] | None:
    """One metric over the concepts in which every method has it; None where there is none."""
    of = [
        name
        for name, study in read.items()
        if all(_score(study, m, metric) is not None for m in methods)
    ]
    if not of:
        return None
    arms = [*methods, BASE]
    with_metric = [read[name].means.known(metric) for name in of]
    strata = None
    if same and all(with_metric):
        # Some metrics are of edit prompts alone.
        everywhere = set.intersection(*map(set, with_metric))
        known = [prompt for prompt in with_metric[0] if prompt in everywhere]
        values = {
            arm: np.stack([read[name].means.of(metric, arm, known) for name in of]) for arm in arms
        }
        kinds = {prompt["id"]: prompt["kind"] for prompt in read[of[0]].record["prompts"]}
        strata = np.array([kinds[p] == "basic" for p in known]).astype(np.int64)
    else:
        scores = {arm: [_score(read[name], arm, metric) for name in of] for arm in arms}
        values = {arm: np.array(v) for arm, v in scores.items() if None not in v}
    higher = bool(told["higher_is_better"])
    compared = {m: values[m] for m in methods}
    by_concept = {m: table.reshape(len(of), -1).mean(axis=1) for m, table in compared.items()}
    row = _measure(told, of, by_concept, across(compared, strata, higher))
    if BASE in values:
        row["base_model"] = across({BASE: values[BASE]}, strata, higher)["means"][BASE]
    return row


def _score(study: _Study, arm: str, metric: str) -> float | None:
    row = study.results["base_model"] if arm == BASE else study.results["methods"].get(arm, {})
    value = row.get("scores", {}).get(metric, {}).get("value")
    return None if value is None else float(value)


def _measure(
    told: Mapping[str, Any],
    of: list[str],
    by_concept: Mapping[str, Array],
    found: dict[str, Any],
) -> dict[str, Any]:
    """A measure over the concepts `of`: by concept (C,), and what `across` found."""
    sign = -1 if told["higher_is_better"] else 1
    ranked = rankdata(sign * np.stack(list(by_concept.values())), axis=0)
    if found["ranks"] is not None:
        found["ranks"]["by_concept"] = {
            name: dict(zip(by_concept, map(float, ranked[:, i]), strict=True))
            for i, name in enumerate(of)
        }
    best = ranked == ranked.min(axis=0)
    return {
        **told,
        "of": of,
        "by_concept": {
            m: dict(zip(of, map(float, row), strict=True)) for m, row in by_concept.items()
        },
        "best_in": dict(zip(by_concept, (int(row.sum()) for row in best), strict=True)),
        "base_model": None,
        **found,
    }


def _by_kind(read: Mapping[str, _Study], methods: Sequence[str]) -> dict[str, Any]:
    """Means by kind of prompt, over the concepts that have prompts of that kind."""
    studies = list(read.values())
    arms = [*methods, BASE]
    found: dict[str, Any] = {}
    for metric in BY_KIND:
        if not all(metric in study.results["metrics"] for study in studies):
            continue
        found[metric] = {}
        for kind in dict.fromkeys(kind for study in studies for _, kind in study.prompts):
            rows = {
                name: {arm: _kind_score(study, arm, kind, metric) for arm in arms}
                for name, study in read.items()
            }
            of = [name for name, row in rows.items() if None not in row.values()]
            if of:
                values = {arm: np.array([rows[name][arm] for name in of]) for arm in arms}
                means = across(values, draws=1)["means"]
                found[metric][kind] = {"of": of, "means": means}
    return found


def _kind_score(study: _Study, arm: str, kind: str, metric: str) -> float | None:
    row = study.results["base_model"] if arm == BASE else study.results["methods"].get(arm, {})
    value = row.get("by_kind", {}).get(kind, {}).get(metric, {}).get("value")
    return None if value is None else float(value)
