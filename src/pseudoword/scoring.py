"""The pictures of a study made into scores.parquet and results.json."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from pseudoword.concept import Concept
from pseudoword.evaluate import (
    Judges,
    direction_scores,
    photo_ceiling,
    photo_images,
    photos_clip_t,
    picture_files,
    score_pictures,
    within_scores,
)
from pseudoword.foreign.given import Given
from pseudoword.forgetting import measure_drift
from pseudoword.logs import read_losses
from pseudoword.metrics import Role
from pseudoword.metrics.design import ANY_SEED, BASE, Evidence, MethodInfo, SetFeatures
from pseudoword.metrics.design import Prompt as ScoredPrompt
from pseudoword.metrics.distances import cosine_matrix
from pseudoword.metrics.given import given_rows
from pseudoword.metrics.lazily import choose
from pseudoword.metrics.memorisation import copy_limit, nearest_pairs
from pseudoword.metrics.summary import summarise
from pseudoword.metrics.tables import write_table
from pseudoword.progress import Reporter
from pseudoword.prompts import DriftPrompt, Prompt, fill
from pseudoword.runs import picture_path, read_json
from pseudoword.toybox.oracle import WIDTH, content
from pseudoword.truth import ORACLE_NAME, TRUTH, Truth

if TYPE_CHECKING:
    import pandas as pd

LAST_LOSSES = 5


@dataclass(frozen=True, eq=False)
class Scored:
    """What a study drew: run folders by method and training seed, and the untouched model's.

    `identity` is a hash of what the study is. `given` are the artefacts that others trained, by
    name, with the folders of their pictures. `drift` are the prompts without the concept that were
    drawn with `drift_seeds`, if any were.
    """

    out: Path
    identity: str
    concept: Concept
    prompts: tuple[Prompt, ...]
    image_seeds: tuple[int, ...]
    titles: Mapping[str, str]
    runs: Mapping[tuple[str, int], Path]
    base: Path
    truth: Truth | None = None
    given: Mapping[str, tuple[Given, Path]] = field(default_factory=dict)
    drift: tuple[DriftPrompt, ...] = ()
    drift_seeds: tuple[int, ...] = ()

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
    pictures: Sequence[Image.Image]
    scores: dict[str, np.ndarray]
    within: "pd.DataFrame"
    known: np.ndarray | None


def score_folder(
    study: Scored, judges: Judges, method: str, seed: int, folder: Path
) -> ScoredFolder:
    """Scores the pictures of one run."""
    rows, pictures = _pictures(study, method, seed, folder)
    # First, for one pass gives DINO's vectors, which all else asks for, and what is where.
    within = _within(rows, *judges.look(pictures))
    texts = [fill(template, study.concept.class_noun) for template in rows["prompt"]]
    scores = score_pictures(judges, pictures, texts, study.concept)
    if study.truth is None:
        return ScoredFolder(rows, pictures, scores, within, None)
    vectors = study.truth.embed(pictures)
    scores |= study.truth.score(vectors, list(rows["prompt_id"]))
    return ScoredFolder(rows, pictures, scores, within, vectors)


def score_study(study: Scored, judges: Judges, reporter: Reporter) -> dict[str, Any]:
    """Embeds and scores every picture, writes scores.parquet; returns results.json's content.

    Given artefacts stand apart, under "given": the comparison of methods is as it is without them.
    """
    evidence = measure(study, judges, reporter)
    frame = evidence.scores
    methods = replace(evidence, scores=frame[~frame["method"].isin([*study.given])])
    rows = given_rows(evidence, study.known()) if study.given else []
    return {"identity": study.identity, **summarise(methods), "given": rows}


def measure(study: Scored, judges: Judges, reporter: Reporter) -> Evidence:
    """Embeds and scores every picture, and writes scores.parquet."""
    import pandas as pd

    frames, within, arms = [], [], Arms()
    folders = study.folders()
    for done, ((method, seed), folder) in enumerate(folders.items(), start=1):
        scored = score_folder(study, judges, method, seed, folder)
        rows = scored.rows
        frames += [rows.assign(metric=name, value=v) for name, v in scored.scores.items()]
        frames.append(_directions(study, judges, scored))
        within.append(scored.within)
        arms.add(method, rows, judges, scored)
        reporter.update("scores", done, len(folders))
    frame = pd.concat(frames, ignore_index=True)
    write_table(frame, study.out / "scores.parquet", study.identity)
    inside = pd.concat(within, ignore_index=True)
    return _evidence(study, judges, frame, inside if len(inside) else None, arms)


class Arms:
    """The features of all pictures by encoder's role ("oracle" too) and method, row by row."""

    def __init__(self) -> None:
        self._parts: dict[str, dict[str, list[tuple[pd.DataFrame, np.ndarray]]]] = {}

    def add(self, method: str, rows: "pd.DataFrame", judges: Judges, scored: ScoredFolder) -> None:
        place = rows[["seed", "prompt_id", "image_seed", "file"]]
        found: dict[str, np.ndarray] = {
            str(role): judges.embed(role, scored.pictures) for role in judges.encoders
        }
        if scored.known is not None:
            found["oracle"] = scored.known
        for role, vectors in found.items():
            self._parts.setdefault(role, {}).setdefault(method, []).append((place, vectors))

    def of(self, role: str) -> "dict[str, tuple[pd.DataFrame, np.ndarray]]":
        """By method, what its pictures are and their vectors, in one."""
        import pandas as pd

        return {
            method: (
                pd.concat([place for place, _ in parts], ignore_index=True),
                np.concatenate([vectors for _, vectors in parts]),
            )
            for method, parts in self._parts.get(role, {}).items()
        }


def _directions(study: Scored, judges: Judges, scored: ScoredFolder) -> "pd.DataFrame":
    """Rows of directional CLIP for edit prompts; none where the study has no plain prompt.

    A picture is held against the same training's picture of the plain prompt from the same noise.
    The untouched model's would bring the subject's own looks into the direction.
    """
    rows = scored.rows
    plain = next((prompt for prompt in study.prompts if prompt.kind == "basic"), None)
    edits = np.flatnonzero((rows["kind"] != "basic").to_numpy())
    if plain is None or not len(edits):
        return rows.iloc[:0].assign(metric="clip_dir", value=0.0)
    start = study.prompts.index(plain) * len(study.image_seeds)
    references = start + edits % len(study.image_seeds)
    noun = study.concept.class_noun
    values = direction_scores(
        judges,
        choose(scored.pictures, edits),
        choose(scored.pictures, references),
        [fill(template, noun) for template in rows["prompt"].iloc[edits]],
        fill(plain.template, noun),
    )
    return rows.iloc[edits].assign(metric="clip_dir", value=values)


def _within(rows: "pd.DataFrame", vectors: np.ndarray, places: np.ndarray) -> "pd.DataFrame":
    """Rows of what pictures of one prompt are among themselves."""
    import pandas as pd

    rows = rows.reset_index(drop=True)
    found = []
    for prompt_id, group in rows.groupby("prompt_id", sort=False):
        values = within_scores(vectors[group.index], places[group.index])
        place = {"method": rows["method"][0], "seed": rows["seed"][0], "prompt_id": prompt_id}
        found += [
            {**place, "image_seed": ANY_SEED, "metric": name, "value": value}
            for name, value in values.items()
        ]
    return pd.DataFrame(found)


def _pictures(
    study: Scored, method: str, seed: int, folder: Path
) -> "tuple[pd.DataFrame, Sequence[Image.Image]]":
    """A run's pictures and, row by row, what they are."""
    import pandas as pd

    rows, paths = [], []
    for prompt in study.prompts:
        for image_seed in study.image_seeds:
            path = picture_path(folder, prompt.id, image_seed)
            paths.append(path)
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
    return pd.DataFrame(rows), picture_files(paths)


def _evidence(
    study: Scored,
    judges: Judges,
    frame: "pd.DataFrame",
    within: "pd.DataFrame | None",
    arms: Arms,
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
        features={role: _set_features(study, judges, role, arms) for role in judges.encoders},
        truth=_truth_features(truth, arms) if truth else None,
        within=within,
        drift=measure_drift(study.drift, study.drift_seeds, study.folders(), concept, judges),
        copying=_copying(study, judges, arms),
        held_out=concept.held_out is not None,
    )


def _copying(study: Scored, judges: Judges, arms: Arms) -> dict[str, Any]:
    """What results.json says of copying: for each arm the limit, and its nearest pairs."""
    training = [i for i, photo in enumerate(study.concept.photos) if not photo.held_out]
    known = judges.embed("dino", photo_images(study.concept, held_out=False))
    limit = copy_limit(known)
    found = {}
    for method, (place, vectors) in arms.of("dino").items():
        if method in study.given:
            continue
        cosines = cosine_matrix(vectors, known)
        pairs = [
            {
                "seed": int(place["seed"][row]),
                "prompt_id": place["prompt_id"][row],
                "image_seed": int(place["image_seed"][row]),
                "photo": f"photos/{training[photo]:02d}.png",
                "value": float(cosines[row, photo]),
            }
            for row, photo in nearest_pairs(cosines)
        ]
        found[method] = {"limit": limit, "pairs": pairs}
    return found


def _truth_features(truth: Truth, arms: Arms) -> SetFeatures:
    """All prompts against their true renders, as the oracle sees both."""
    return SetFeatures(
        images={m: (place, content(vectors)) for m, (place, vectors) in arms.of("oracle").items()},
        photos=np.empty((0, WIDTH)),
        edit={prompt_id: content(vectors) for prompt_id, vectors in truth.renders.items()},
        edit_source="truth",
    )


def _set_features(study: Scored, judges: Judges, role: Role, arms: Arms) -> SetFeatures:
    """References: all photos, and true renders or else the untouched model's pictures."""
    photos = [Image.fromarray(photo.pixels) for photo in study.concept.photos]
    edits = [prompt for prompt in study.prompts if prompt.kind != "basic"]
    truth = {p.id: sorted((study.out / TRUTH).glob(f"{p.id}-*.png")) for p in edits}
    whole = all(truth.values()) and bool(edits)
    features = arms.of(role)
    place, vectors = features[BASE]
    edit = {
        p.id: judges.embed(role, picture_files(truth[p.id]))
        if whole
        else vectors[(place["prompt_id"] == p.id).to_numpy()]
        for p in edits
    }
    return SetFeatures(
        images=features,
        photos=judges.embed(role, photos),
        edit=edit,
        edit_source="truth" if whole else "base_model",
    )


def _last_loss(run: Path, record: Mapping[str, Any]) -> float | None:
    """None of a training that diverged before it logged anything."""
    last = [loss for _, loss in read_losses(run, record)[-LAST_LOSSES:]]
    return float(np.mean(last)) if last else None


def _method_info(study: Scored, name: str) -> MethodInfo:
    """Costs of one training (the mean over seeds, the greatest peak), and last losses."""
    costs, losses = [], {}
    for (method, seed), folder in study.runs.items():
        if method == name:
            record = read_json(folder / "run.json")
            costs.append(record["cost"])
            losses[seed] = _last_loss(folder, record)
    cost = {key: float(np.mean([c[key] for c in costs])) for key in costs[0]}
    cost["peak_memory_bytes"] = max(c["peak_memory_bytes"] for c in costs)
    return MethodInfo(study.titles[name], cost, losses)
