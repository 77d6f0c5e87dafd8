"""Distances and diversity of a method's pictures as whole sets, with jackknife intervals.

Never a bootstrap's: a picture drawn twice biases all of them. The references stay as they are, but
leaving out an edit prompt leaves out what it is compared with as well.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any, Literal

import numpy as np

from pseudoword.errors import UserError
from pseudoword.metrics.design import BASE, Design, Evidence, SetFeatures
from pseudoword.metrics.distances import cmmd, covariance_rank, fid, kid, scd
from pseudoword.metrics.diversity import vendi
from pseudoword.metrics.metric import Role
from pseudoword.metrics.of_sets import SETS
from pseudoword.metrics.stats import Array, Interval

FID_NEEDS = 2048
Group = Literal["basic", "edit", "truth"]
Distance = Callable[[np.ndarray, np.ndarray], float]
DISTANCES: dict[Role, dict[str, Distance]] = {
    "inception": {"fid": fid, "kid": kid},
    "dino": {"fd_dino": fid, "scd": scd},
    "clip": {"cmmd": cmmd},
}
BIASED: tuple[Distance, ...] = (fid,)
"""Biased by the number of pictures, so taken of one training at a time, as the mean over trainings:
the untouched model, which has one training, gets as many pictures as every method."""
TRUTH_DISTANCES: dict[str, Distance] = {"kid": kid}


def set_scores(method: str, evidence: Evidence, design: Design) -> dict[str, Any]:
    """All distances of one method's pictures, and the Vendi score, as far as there are features.

    Pictures of the basic prompt are held against the photos, those of the others against what the
    prompts ask for, and all of them against the truth. Where one encoder has both roles, FID would
    be FD in DINO's features over again, and is left out.
    """
    features, truth = evidence.features, evidence.truth
    same = evidence.encoders["inception"] == evidence.encoders["dino"]
    found: dict[str, Any] = {}
    for role, distances in DISTANCES.items():
        told = {name: d for name, d in distances.items() if not (same and name == "fid")}
        if role in features:
            for group in ("basic", "edit"):
                found |= _distances(method, group, told, features[role], design)
    if truth is not None:
        found |= _distances(method, "truth", TRUTH_DISTANCES, truth, design)
    if "dino" in features and method in features["dino"].images:
        found["vendi"] = _vendi(method, features["dino"], design)
    return {name: found[name] for name in (*SETS, "kid_truth") if name in found}


def _distances(
    method: str,
    group: Group,
    distances: Mapping[str, Distance],
    features: SetFeatures,
    design: Design,
) -> dict[str, Any]:
    """The `distances` of one method's pictures of the basic, of all other, or of all prompts."""
    if method not in features.images:
        return {}
    every = np.ones_like(design.basic)
    chosen = {"basic": design.basic, "edit": ~design.basic, "truth": every}[group]
    vectors, references = _vectors(method, chosen, features, design), _references(group, features)
    itself = group == "edit" and features.edit_source == BASE and method == BASE
    n_reference = sum(len(part) for part in references.values())
    found = {}
    for name, distance in distances.items():
        n = (1 if distance in BIASED else len(vectors)) * int(chosen.sum()) * vectors.shape[2]
        problem = _problem(n, n_reference, itself)
        if problem is None:
            values = _jackknifed(distance, vectors, chosen, references, design)
            estimate = _estimate(method, values, chosen, n, design)
            warning = _bias_warning(name, n, n_reference) if distance in BIASED else None
        else:
            estimate = {"value": None, "low": None, "high": None, "n": n}
            warning = problem
        rank = covariance_rank(min(n, n_reference), vectors.shape[-1])
        extra = {"n_reference": n_reference, "covariance_rank": rank, "warning": warning}
        found[f"{name}_{group}"] = {**estimate, **extra}
    return found


def _problem(n: int, n_reference: int, itself: bool) -> str | None:
    """Why there is no distance, or None; `itself` says that a set would be held against itself."""
    if n < 2 or n_reference < 2:
        return f"Not defined for {n} pictures against {n_reference}."
    if itself:
        return "Not defined: these pictures are the reference themselves."
    return None


def _bias_warning(name: str, n: int, n_reference: int) -> str | None:
    if min(n, n_reference) >= FID_NEEDS:
        return None
    title, other = ("FID", "KID") if name == "fid" else ("FD", "SCD")
    return (
        f"{title} is biased below {FID_NEEDS} pictures a side, and here are {n} and {n_reference}: "
        f"prefer the {other}. The interval leaves that bias out."
    )


def _vendi(method: str, features: SetFeatures, design: Design) -> dict[str, Any]:
    """The Vendi score of all pictures of one training, as the mean over trainings.

    `n` is the number of one training's pictures, which no score can exceed.
    """
    every = np.ones_like(design.basic)
    vectors = _vectors(method, every, features, design)
    n = vectors.shape[1] * vectors.shape[2]
    if n < 2:
        warning = "Not defined for a single picture."
        return {"value": None, "low": None, "high": None, "n": n, "warning": warning}
    values = []
    for row in range(design.sampled.jackknife_rows):
        seeds, prompts = _kept(row, every, len(vectors), design)
        part = vectors[seeds][:, prompts]
        enough = part.shape[1] * part.shape[2] >= 1
        each = [vendi(one.reshape(-1, one.shape[-1])) for one in part] if enough else [np.nan]
        values.append(float(np.mean(each)))
    return _estimate(method, np.array(values), every, n, design) | {"warning": None}


def _estimate(
    method: str, values: Array, chosen: np.ndarray, n: int, design: Design
) -> dict[str, Any]:
    """The interval of jackknifed values; none where one of them is not defined."""
    if np.isnan(values).any():
        return asdict(Interval(float(values[0]), None, None, n))
    return asdict(design.interval(method, values, chosen, n))


def _kept(
    row: int, chosen: np.ndarray, n_seeds: int, design: Design
) -> tuple[np.ndarray, np.ndarray]:
    """The seeds and, of the `chosen`, the prompts that a row of the jackknife keeps."""
    sampled = design.sampled
    seeds = sampled.seeds[row] > 0 if n_seeds > 1 else np.ones(1, dtype=bool)
    return seeds, chosen & (sampled.prompts[row] > 0)


def _vectors(method: str, chosen: np.ndarray, features: SetFeatures, design: Design) -> np.ndarray:
    """The features of one method's pictures: (S, P, I, d), zero for prompts that are not chosen."""
    frame, vectors = features.images[method]
    keys = zip(frame["seed"], frame["prompt_id"], frame["image_seed"], strict=True)
    position = {key: row for row, key in enumerate(keys)}
    seeds = design.seeds_of(method)
    shape = (len(seeds), len(design.prompts), len(design.image_seeds), vectors.shape[1])
    cube = np.zeros(shape)
    for s, seed in enumerate(seeds):
        for p in np.flatnonzero(chosen).tolist():
            for i, image_seed in enumerate(design.image_seeds):
                key = (seed, design.prompts[p].id, image_seed)
                if key not in position:
                    raise UserError(
                        f"{method} has no picture of prompt {key[1]} for seed {seed}.\n"
                        "Run the same study again: it adds what is not there."
                    )
                cube[s, p, i] = vectors[position[key]]
    return cube


def _references(group: Group, features: SetFeatures) -> dict[str | None, np.ndarray]:
    """The reference vectors, by the prompt that they belong to (None: to all)."""
    if group == "basic":
        return {None: features.photos}
    return {prompt_id: vectors for prompt_id, vectors in features.edit.items()}


def _jackknifed(
    distance: Distance,
    vectors: np.ndarray,
    chosen: np.ndarray,
    references: Mapping[str | None, np.ndarray],
    design: Design,
) -> Array:
    """A distance of sets in the jackknife's resamples; NaN where a set would shrink below two.

    The pictures of all trainings are one set, but for the `BIASED` those of each are one by itself.
    """
    values: list[float] = []
    for row in range(design.sampled.jackknife_rows):
        seeds, prompts = _kept(row, chosen, len(vectors), design)
        kept = {None, *(p.id for p, use in zip(design.prompts, prompts, strict=True) if use)}
        kept_vectors = vectors[seeds][:, prompts]
        n_sets = len(kept_vectors) if distance in BIASED else 1
        sets = kept_vectors.reshape(n_sets, -1, vectors.shape[-1])
        parts = [part for prompt_id, part in references.items() if prompt_id in kept]
        reference = np.concatenate(parts) if parts else np.empty((0, vectors.shape[-1]))
        if sets.shape[1] < 2 or len(reference) < 2:
            values.append(float("nan"))
        else:
            values.append(float(np.mean([distance(one, reference) for one in sets])))
    return np.array(values)
