"""Which settings let each method reach how much, how soon, on the toybox?

    python experiments/search_variants.py OUT [--toys 3] [--methods lora] [--best 5]

Each variant changes one thing of a method's settings, or the best of several together, and learns
the same toys from the same noise. Snapshots on the way are scored by the "worth" of `searching.py`.
The first toy meets every variant. With --best N (successive halving) each further one meets the
defaults and, of the variants that learnt every toy before it, the N with the best worth on the way:
the mean over these toys and over the steps of the defaults. OUT/variants.csv has a row a method,
variant, toy and step.

The same command goes on after an interruption, also from that file alone: what it holds is not done
again. docs/methods/variants.csv is such a file, which `settings_page.py` makes docs/settings.md of.
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
import torch
from searching import FIRST_TOY, learn, load_photos, score_step, score_untouched, truth_of
from torch import Tensor
from tried import DEFAULTS, read_tried

from pseudoword.concept import Concept
from pseudoword.console import reporting
from pseudoword.dataset import draw_batch
from pseudoword.device import pick_device
from pseudoword.encoded import encode_photos
from pseudoword.families import load_model
from pseudoword.families.model import Model
from pseudoword.methods import make_method
from pseudoword.methods.base import Group, Method
from pseudoword.methods.textual_inversion import TextualInversion
from pseudoword.objective import squared_errors
from pseudoword.progress import Reporter
from pseudoword.runs import read_json, write_atomic
from pseudoword.settings import ObjectiveSettings
from pseudoword.train import photo_examples, train

SNAPSHOTS = 6
GRADIENT_BATCHES = 16
NEAREST = 3
FIRST_SEEDS = (1, 2, 3, 4)
FIRST_STEPS = 20

Start = Callable[[Concept, dict[str, Any]], Method]
"""Makes Textual Inversion with these options and an initial embedding found from the photos."""


@dataclass(frozen=True)
class Variant:
    """One change of a method's toybox settings, or of the objective.

    Variants of one `axis` are drawn together. `start` finds the initial embedding, which costs as
    much as `extra` steps; they count as steps of the variant.
    """

    axis: str
    options: dict[str, Any] = field(default_factory=dict)
    objective: dict[str, Any] = field(default_factory=dict)
    start: Start | None = None
    extra: int = 0


def embedding_gradient(model: Model, concept: Concept) -> Tensor:
    """The mean gradient of the loss in the new word's embedding, where it is the class noun's."""
    method = make_method("textual-inversion", "toybox")
    (group,) = method.attach(model, concept.class_noun, 0)
    (rows,) = group.parameters
    phrase = method.noun_phrase(concept.class_noun)
    encoded = encode_photos(model, concept.training)
    kinds = [photo_examples(concept.training, encoded, method.templates, phrase)]
    for step in range(GRADIENT_BATCHES):
        for batch in draw_batch(kinds, 4, model.objective, 5_000_000, step):
            noisy = model.objective.add_noise(batch.latents, batch.noise, batch.timesteps)
            target = model.objective.target(batch.latents, batch.noise, batch.timesteps)
            text = model.encode_prompts(list(batch.prompts))
            squared_errors(
                model.predict(noisy, batch.timesteps, text, batch.sizes), target
            ).mean().backward()
    assert rows.grad is not None
    return rows.grad[0]


def gradient_words(concept: Concept, options: dict[str, Any]) -> Method:
    """From the noun and the words that a small step towards lowers the loss most, a unit of way."""
    model = load_model("toybox", pick_device("auto"))
    tokenizer = model.tokenizers[0]
    table = model.text_encoders[0].get_input_embeddings().weight.detach().clone()
    (noun,) = tokenizer(concept.class_noun, add_special_tokens=False).input_ids[:1]
    gradient = embedding_gradient(model, concept)
    way = table - table[noun]
    gain = -(way @ gradient) / way.norm(dim=1).clamp(min=1e-6)
    whole = {
        index: word.removesuffix("</w>")
        for word, index in tokenizer.get_vocab().items()
        if word.endswith("</w>") and word.removesuffix("</w>").isalpha() and index < len(table)
    }
    best = sorted(whole, key=lambda index: -float(gain[index]))[:NEAREST]
    words = " ".join([concept.class_noun, *(whole[index] for index in best)])
    return make_method("textual-inversion", "toybox", options | {"initial_words": words})


class StartedWord(TextualInversion):
    """Textual Inversion from `embedding` (vectors, width)."""

    embedding: Tensor

    def attach(self, model: Model, class_noun: str, seed: int) -> list[Group]:
        groups = super().attach(model, class_noun, seed)
        ((rows,),) = (group.parameters for group in groups)
        with torch.no_grad():
            rows.copy_(self.embedding)
        return groups


def mean_of_first_steps(concept: Concept, options: dict[str, Any]) -> Method:
    """From the mean of what a few trainings with other noise have after their first steps."""
    ends = []
    for seed in FIRST_SEEDS:
        model = load_model("toybox", pick_device("auto"))
        method = make_method("textual-inversion", "toybox", options | {"steps": FIRST_STEPS})
        with TemporaryDirectory() as folder:
            noun, photos = concept.class_noun, concept.training
            train(model, method, noun, photos, Path(folder), seed=seed)
        ends.append(method.state(model)["text_encoders.0"])
    started = make_method(StartedWord, "toybox", options)
    assert isinstance(started, StartedWord)
    started.embedding = torch.stack(ends).mean(dim=0)
    return started


VARIANTS: dict[str, dict[str, Variant]] = {
    "textual-inversion": {
        "defaults": Variant(""),
        "rate 0.03": Variant("learning rate", {"learning_rate": 0.03}),
        "rate 0.3": Variant("learning rate", {"learning_rate": 0.3}),
        "cosine": Variant("schedule", {"schedule": "cosine"}),
        "cosine, rate 0.2": Variant("schedule", {"schedule": "cosine", "learning_rate": 0.2}),
        "logit-normal": Variant("timesteps and weights", objective={"timesteps": "logit-normal"}),
        "min-SNR 5": Variant("timesteps and weights", objective={"min_snr_gamma": 5.0}),
        "average 0.95": Variant("average", {"average": 0.95}),
        "start: nearest words": Variant("start", start=gradient_words, extra=GRADIENT_BATCHES),
        "start: mean of first steps": Variant(
            "start", start=mean_of_first_steps, extra=len(FIRST_SEEDS) * FIRST_STEPS
        ),
        "two vectors": Variant("vectors", {"vectors": 2}),
        "cosine, 100 steps": Variant("steps", {"schedule": "cosine", "steps": 100}),
        "cosine, logit-normal": Variant(
            "together", {"schedule": "cosine"}, {"timesteps": "logit-normal"}
        ),
    },
    "lora": {
        "defaults": Variant(""),
        "rate 2.5e-4": Variant("learning rate", {"learning_rate": 2.5e-4}),
        "rate 1e-3": Variant("learning rate", {"learning_rate": 1e-3}),
        "rate 2e-3": Variant("learning rate", {"learning_rate": 2e-3}),
        "cosine": Variant("schedule", {"schedule": "cosine"}),
        "cosine, rate 1e-3": Variant("schedule", {"schedule": "cosine", "learning_rate": 1e-3}),
        "logit-normal": Variant("timesteps and weights", objective={"timesteps": "logit-normal"}),
        "min-SNR 5": Variant("timesteps and weights", objective={"min_snr_gamma": 5.0}),
        "average 0.95": Variant("average", {"average": 0.95}),
        "rank 4": Variant("rank", {"rank": 4, "alpha": 4.0}),
        "rank 16": Variant("rank", {"rank": 16, "alpha": 16.0}),
        "rank 32": Variant("rank", {"rank": 32, "alpha": 32.0}),
        "cosine, rate 1e-3, 150 steps": Variant(
            "steps", {"schedule": "cosine", "learning_rate": 1e-3, "steps": 150}
        ),
        "cosine, rank 4": Variant("together", {"schedule": "cosine", "rank": 4, "alpha": 4.0}),
    },
    "dreambooth": {
        "defaults": Variant(""),
        "rate 2e-4": Variant("learning rate", {"learning_rate": 2e-4}),
        "rate 8e-4": Variant("learning rate", {"learning_rate": 8e-4}),
        "cosine": Variant("schedule", {"schedule": "cosine"}),
        "logit-normal": Variant("timesteps and weights", objective={"timesteps": "logit-normal"}),
        "min-SNR 5": Variant("timesteps and weights", objective={"min_snr_gamma": 5.0}),
        "average 0.95": Variant("average", {"average": 0.95}),
        "no class pictures": Variant("class pictures", {"prior_weight": 0.0}),
        "8 class pictures": Variant("class pictures", {"prior_pictures": 8}),
        "128 class pictures": Variant("class pictures", {"prior_pictures": 128}),
        "cosine, rate 8e-4, 200 steps": Variant(
            "steps", {"schedule": "cosine", "learning_rate": 8e-4, "steps": 200}
        ),
    },
}


COMPARED_AT: dict[str, dict[str, Any]] = {"dreambooth": {"steps": 400}}
"""Where the toybox settings have changed by what the search found, those that it compares with."""


def learn_variant(toy: int, method: str, name: str, out: Path, reporter: Reporter) -> Path:
    """One run with its snapshots; done before, nothing is done."""
    folder = out / f"toy-{toy}" / f"{method} {name}"
    if not (folder / "run.json").exists():
        variant = VARIANTS[method][name]
        options = COMPARED_AT.get(method, {}) | variant.options
        if variant.start is None:
            learner = make_method(method, "toybox", options)
        else:
            concept = load_photos(toy, load_model("toybox", pick_device("auto")), out)
            learner = variant.start(concept, options)
        objective = ObjectiveSettings(**variant.objective)
        learn(toy, learner, objective, folder, SNAPSHOTS, out, reporter)
    return folder


def best_variants(table: Path, method: str, toy: int, count: int) -> list[str]:
    """The defaults, and the best variants of a method by all toys before `toy`."""
    before = range(FIRST_TOY, toy)
    worth = {
        tried.name: np.mean([tried.curves[known] for known in before])
        for tried in read_tried(table)[method]
        if all(known in tried.curves for known in before)
    }
    del worth[DEFAULTS]
    return [DEFAULTS, *sorted(worth, key=lambda name: -worth[name])[:count]]


def main() -> None:
    parser = argparse.ArgumentParser(description="Search for what reaches most, soonest.")
    parser.add_argument("out", type=Path)
    parser.add_argument("--toys", type=int, default=3)
    parser.add_argument("--methods", default=",".join(VARIANTS))
    parser.add_argument("--best", type=int, help="variants beside the defaults, past the first toy")
    arguments = parser.parse_args()
    table = arguments.out / "variants.csv"
    rows = pd.read_csv(table, keep_default_na=False).to_dict("records") if table.exists() else []
    known = {(row["method"], row["variant"], row["toy"]) for row in rows}
    with reporting() as reporter:
        for toy in range(FIRST_TOY, FIRST_TOY + arguments.toys):
            truth = truth_of(toy, arguments.out)
            if ("untouched", "", toy) not in known:
                base = score_untouched(toy, truth, arguments.out, reporter)
                place = {"method": "untouched", "variant": "", "axis": "", "toy": toy}
                rows.append(place | {"step": 0} | base)
            for method in arguments.methods.split(","):
                names = list(VARIANTS[method])
                if arguments.best is not None and toy > FIRST_TOY:
                    names = best_variants(table, method, toy, arguments.best)
                for name in names:
                    if (method, name, toy) in known:
                        continue
                    variant = VARIANTS[method][name]
                    run = learn_variant(toy, method, name, arguments.out, reporter)
                    place = {"method": method, "variant": name, "axis": variant.axis, "toy": toy}
                    for step in read_json(run / "run.json")["snapshots"]:
                        scores = score_step(run, step, truth, reporter)
                        rows.append(place | {"step": variant.extra + step} | scores)
                    text = pd.DataFrame(rows).to_csv(index=False, float_format="%.6g")
                    write_atomic(table, text)


if __name__ == "__main__":
    main()
