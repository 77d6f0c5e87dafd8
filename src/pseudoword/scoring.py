"""The pictures of a study made into scores.parquet and results.json."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from pseudoword.concept import Concept
from pseudoword.evaluate import Judges, open_picture, photo_ceiling, photos_clip_t, score_pictures
from pseudoword.foreign.given import Given
from pseudoword.metrics.design import BASE, Evidence, MethodInfo, SetFeatures
from pseudoword.metrics.design import Prompt as ScoredPrompt
from pseudoword.metrics.given import given_rows
from pseudoword.metrics.summary import summarise
from pseudoword.progress import Reporter
from pseudoword.prompts import Prompt, fill
from pseudoword.runs import atomic_path, picture_path, read_json
from pseudoword.toybox.oracle import WIDTH, content
from pseudoword.truth import ORACLE_NAME, Truth

if TYPE_CHECKING:
    import pandas as pd

LAST_LOSSES = 5


@dataclass(frozen=True, eq=False)
class Scored:
    """What a study drew: run folders by method and training seed, and the untouched model's.

    `given` are the artefacts that others trained, by name, with the folders of their pictures.
    """

    out: Path
    concept: Concept
    prompts: tuple[Prompt, ...]
    image_seeds: tuple[int, ...]
    titles: Mapping[str, str]
    runs: Mapping[tuple[str, int], Path]
    base: Path
    truth: Truth | None = None
    given: Mapping[str, tuple[Given, Path]] = field(default_factory=dict)

    def folders(self) -> dict[tuple[str, int], Path]:
        """All run folders; the untouched model and given artefacts have the training seed -1."""
        given = {(name, -1): folder for name, (_, folder) in self.given.items()}
        return {(BASE, -1): self.base, **self.runs, **given}

    def known(self) -> dict[str, dict[str, Any]]:
        """What results.json keeps of each given artefact beside its scores."""
        return {
            name: {
                "title": given.title,
                "file": str(given.path),
                "phrase": given.phrase,
                "strength": given.strength,
                "sha256": given.sha256,
                "bytes": given.bytes,
            }
            for name, (given, _) in self.given.items()
        }


@dataclass(frozen=True, eq=False)
class ScoredFolder:
    """A run's pictures: row by row what they are, every metric as (n,), and the oracle's vectors.

    Rows go prompt by prompt, within a prompt by image seed.
    """

    rows: "pd.DataFrame"
    pictures: list[Image.Image]
    scores: dict[str, np.ndarray]
    known: np.ndarray | None


def score_folder(
    study: Scored, judges: Judges, method: str, seed: int, folder: Path
) -> ScoredFolder:
    """Scores the pictures of one run."""
    rows, pictures = _pictures(study, method, seed, folder)
    texts = [fill(template, study.concept.class_noun) for template in rows["prompt"]]
    scores = score_pictures(judges, pictures, texts, study.concept)
    if study.truth is None:
        return ScoredFolder(rows, pictures, scores, None)
    vectors = study.truth.embed(pictures)
    scores |= study.truth.score(vectors, list(rows["prompt_id"]))
    return ScoredFolder(rows, pictures, scores, vectors)


def score_study(study: Scored, judges: Judges, reporter: Reporter) -> dict[str, Any]:
    """Embeds and scores every picture, writes scores.parquet; returns results.json's content.

    Given artefacts stand apart, under "given": the comparison of methods is as it is without them.
    """
    evidence = measure(study, judges, reporter)
    frame = evidence.scores
    methods = replace(evidence, scores=frame[~frame["method"].isin([*study.given])])
    rows = given_rows(evidence, study.known()) if study.given else []
    return {**summarise(methods), "given": rows}


def measure(study: Scored, judges: Judges, reporter: Reporter) -> Evidence:
    """Embeds and scores every picture, and writes scores.parquet."""
    import pandas as pd

    frames = []
    features: dict[str, list[tuple[pd.DataFrame, np.ndarray]]] = {}
    known: dict[str, list[tuple[pd.DataFrame, np.ndarray]]] = {}
    folders = study.folders()
    for done, ((method, seed), folder) in enumerate(folders.items(), start=1):
        scored = score_folder(study, judges, method, seed, folder)
        rows, place = scored.rows, scored.rows[["seed", "prompt_id", "image_seed"]]
        if scored.known is not None:
            known.setdefault(method, []).append((place, scored.known))
        frames += [rows.assign(metric=name, value=v) for name, v in scored.scores.items()]
        vectors = judges.embed("inception", scored.pictures)
        features.setdefault(method, []).append((place, vectors))
        reporter.update("scores", done, len(folders))
    frame = pd.concat(frames, ignore_index=True)
    with atomic_path(study.out / "scores.parquet") as path:
        frame.to_parquet(path, index=False)
    return _evidence(study, judges, frame, _joined(features), _joined(known))


def _joined(
    features: "Mapping[str, list[tuple[pd.DataFrame, np.ndarray]]]",
) -> "dict[str, tuple[pd.DataFrame, np.ndarray]]":
    """The parts of each method (places and vectors, row by row) in one."""
    import pandas as pd

    return {
        method: (
            pd.concat([place for place, _ in parts], ignore_index=True),
            np.concatenate([vectors for _, vectors in parts]),
        )
        for method, parts in features.items()
    }


def _pictures(
    study: Scored, method: str, seed: int, folder: Path
) -> "tuple[pd.DataFrame, list[Image.Image]]":
    """A run's pictures and, row by row, what they are."""
    import pandas as pd

    rows, pictures = [], []
    for prompt in study.prompts:
        for image_seed in study.image_seeds:
            path = picture_path(folder, prompt.id, image_seed)
            pictures.append(open_picture(path))
            rows.append(
                {
                    "method": method,
                    "seed": seed,
                    "prompt_id": prompt.id,
                    "prompt": prompt.template,
                    "kind": prompt.kind,
                    "image_seed": image_seed,
                    "file": str(path.relative_to(study.out)),
                }
            )
    return pd.DataFrame(rows), pictures


def _evidence(
    study: Scored,
    judges: Judges,
    frame: "pd.DataFrame",
    features: "Mapping[str, tuple[pd.DataFrame, np.ndarray]]",
    known: "Mapping[str, tuple[pd.DataFrame, np.ndarray]]",
) -> Evidence:
    concept, truth = study.concept, study.truth
    return Evidence(
        scores=frame,
        prompts=[ScoredPrompt(p.id, p.template, p.kind) for p in study.prompts],
        class_noun=concept.class_noun,
        methods={name: _method_info(study, name) for name in study.titles},
        encoders={role: encoder.name for role, encoder in judges.encoders.items()}
        | {"oracle": ORACLE_NAME},
        ceiling=photo_ceiling(judges, concept) | (truth.ceiling() if truth else {}),
        photos_clip_t=photos_clip_t(judges, concept, study.prompts),
        features=_set_features(study, judges, features),
        truth=_truth_features(truth, known) if truth else None,
    )


def _truth_features(
    truth: Truth, known: "Mapping[str, tuple[pd.DataFrame, np.ndarray]]"
) -> SetFeatures:
    """All prompts against their true renders, as the oracle sees both."""
    return SetFeatures(
        images={method: (place, content(vectors)) for method, (place, vectors) in known.items()},
        photos=np.empty((0, WIDTH)),
        edit={prompt_id: content(vectors) for prompt_id, vectors in truth.renders.items()},
        edit_source="truth",
    )


def _set_features(
    study: Scored,
    judges: Judges,
    features: "Mapping[str, tuple[pd.DataFrame, np.ndarray]]",
) -> SetFeatures:
    """References: all photos, and true renders or else the untouched model's pictures."""
    photos = [Image.fromarray(photo.pixels) for photo in study.concept.photos]
    edits = [prompt for prompt in study.prompts if prompt.kind != "basic"]
    truth = {p.id: sorted((study.out / "truth").glob(f"{p.id}-*.png")) for p in edits}
    whole = all(truth.values()) and bool(edits)
    place, vectors = features[BASE]
    edit = {
        p.id: judges.embed("inception", [open_picture(path) for path in truth[p.id]])
        if whole
        else vectors[(place["prompt_id"] == p.id).to_numpy()]
        for p in edits
    }
    return SetFeatures(
        images=features,
        photos=judges.embed("inception", photos),
        edit=edit,
        edit_source="truth" if whole else "base_model",
    )


def _method_info(study: Scored, name: str) -> MethodInfo:
    """Costs of one training (the mean over seeds, the greatest peak), and last losses."""
    costs, losses = [], {}
    for (method, seed), folder in study.runs.items():
        if method == name:
            costs.append(read_json(folder / "run.json")["cost"])
            lines = (folder / "log.jsonl").read_text().splitlines()[-LAST_LOSSES:]
            losses[seed] = float(np.mean([json.loads(line)["loss"] for line in lines]))
    cost = {key: float(np.mean([c[key] for c in costs])) for key in costs[0]}
    cost["peak_memory_bytes"] = max(c["peak_memory_bytes"] for c in costs)
    return MethodInfo(study.titles[name], cost, losses)
