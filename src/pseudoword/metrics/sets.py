"""FID and KID of a method's pictures as whole sets, with jackknife intervals.

Never a bootstrap's: a picture drawn twice biases both distances upwards. The references stay as
they are, but leaving out an edit prompt leaves out what it is compared with as well.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any, Literal

import numpy as np

from pseudoword.errors import UserError
from pseudoword.metrics.design import BASE, Design, SetFeatures
from pseudoword.metrics.distances import covariance_rank, fid, kid
from pseudoword.metrics.stats import Array, Interval

FID_NEEDS = 2048
Group = Literal["basic", "edit", "truth"]
DISTANCES: dict[Group, dict[str, Callable[[np.ndarray, np.ndarray], float]]] = {
    "basic": {"fid": fid, "kid": kid},
    "edit": {"fid": fid, "kid": kid},
    "truth": {"kid": kid},
}


def set_scores(method: str, group: Group, features: SetFeatures, design: Design) -> dict[str, Any]:
    """FID and KID of one method's pictures of the basic, of all other, or ("truth") of all prompts.

    The basic ones are held against the photos, the others against what the prompts ask for.
    """
    if method not in features.images:
        return {}
    every = np.ones_like(design.basic)
    chosen = {"basic": design.basic, "edit": ~design.basic, "truth": every}[group]
    vectors, references = _vectors(method, chosen, features, design), _references(group, features)
    n = vectors.shape[0] * int(chosen.sum()) * vectors.shape[2]
    n_reference = sum(len(part) for part in references.values())
    dimension = vectors.shape[-1]
    problem = None
    if n < 2 or n_reference < 2:
        problem = f"Not defined for {n} pictures against {n_reference}."
    elif group == "edit" and features.edit_source == BASE and method == BASE:
        problem = "Not defined: these pictures are the reference themselves."
    extra = {
        "n_reference": n_reference,
        "covariance_rank": covariance_rank(min(n, n_reference), dimension),
    }
    undefined = {"value": None, "low": None, "high": None, "n": n, **extra, "warning": problem}
    if problem is not None:
        return {f"{name}_{group}": undefined for name in DISTANCES[group]}
    biased = (
        f"FID is biased below {FID_NEEDS} pictures a side, and here are {n} and {n_reference}: "
        "prefer the KID. The interval leaves that bias out."
        if min(n, n_reference) < FID_NEEDS
        else None
    )
    found = {}
    for name, distance in DISTANCES[group].items():
        values = _jackknifed(distance, vectors, chosen, references, design)
        estimate = (
            Interval(float(values[0]), None, None, n)
            if np.isnan(values).any()
            else design.interval(method, values, chosen, n)
        )
        warning = biased if name == "fid" else None
        found[f"{name}_{group}"] = {**asdict(estimate), **extra, "warning": warning}
    return found


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
    distance: Callable[[np.ndarray, np.ndarray], float],
    vectors: np.ndarray,
    chosen: np.ndarray,
    references: Mapping[str | None, np.ndarray],
    design: Design,
) -> Array:
    """A distance of sets in the jackknife's resamples; NaN where a set would shrink below two."""
    sampled = design.sampled
    values: list[float] = []
    for row in range(sampled.jackknife_rows):
        seeds = sampled.seeds[row] > 0 if len(vectors) > 1 else np.ones(1, dtype=bool)
        prompts = chosen & (sampled.prompts[row] > 0)
        kept = {None, *(p.id for p, use in zip(design.prompts, prompts, strict=True) if use)}
        pictures = vectors[seeds][:, prompts].reshape(-1, vectors.shape[-1])
        parts = [part for prompt_id, part in references.items() if prompt_id in kept]
        reference = np.concatenate(parts) if parts else np.empty((0, vectors.shape[-1]))
        if len(pictures) < 2 or len(reference) < 2:
            values.append(float("nan"))
        else:
            values.append(distance(pictures, reference))
    return np.array(values)
