"""Which settings let each method reach how much, how soon, on the toybox?

    python experiments/search_variants.py OUT [--toys 2] [--methods lora]

Each variant changes one thing of a method's settings and learns the same toys, none of which is in
any study. Snapshots on the way draw the prompts and noise of `search_settings.py`; "worth" is its
measure too (near doubles beaten above chance where the scene is right). OUT/variants.csv has a row
a method, variant, toy and step. The same command goes on after an interruption, also from that file
alone: what it holds is not done again. docs/methods/variants.csv is such a file.
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
from search_settings import FIRST_TOY, score_step, score_untouched, truth_of
from torch import Tensor

from pseudoword.concept import Concept, load_concept
from pseudoword.console import reporting
from pseudoword.dataset import draw_batch
from pseudoword.device import pick_device
from pseudoword.families import load_model
from pseudoword.families.model import Model
from pseudoword.methods import make_method
from pseudoword.objective import squared_errors
from pseudoword.progress import Reporter
from pseudoword.runs import read_json, write_atomic
from pseudoword.settings import ObjectiveSettings
from pseudoword.single import prior_latents, train_into
from pseudoword.toybox.photos import render_photo_set
from pseudoword.toybox.world.concepts import concept_toy
from pseudoword.train import photo_examples

SNAPSHOTS = 6
GRADIENT_BATCHES = 16
NEAREST = 3

Start = Callable[[Model, Concept], dict[str, Any]]
"""What an initial embedding that depends on the photos adds to a method's options."""


@dataclass(frozen=True)
class Variant:
    """One change of a method's toybox settings, or of the objective; `start` finds more of them."""

    options: dict[str, Any] = field(default_factory=dict)
    objective: dict[str, Any] = field(default_factory=dict)
    start: Start | None = None


def embedding_gradient(model: Model, concept: Concept) -> Tensor:
    """The mean gradient of the loss in the new word's embedding, where it is the class noun's."""
    method = make_method("textual-inversion", "toybox")
    (group,) = method.attach(model, concept.class_noun, 0)
    (rows,) = group.parameters
    phrase = method.noun_phrase(concept.class_noun)
    kinds = [photo_examples(model, concept.training, method.templates, phrase)]
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


def gradient_words(model: Model, concept: Concept) -> dict[str, Any]:
    """The noun and the words that a small step towards lowers the loss most, a unit of way."""
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
    return {"initial_words": " ".join([concept.class_noun, *(whole[index] for index in best)])}


VARIANTS: dict[str, dict[str, Variant]] = {
    "textual-inversion": {
        "defaults": Variant(),
        "rate 0.03": Variant({"learning_rate": 0.03}),
        "rate 0.3": Variant({"learning_rate": 0.3}),
        "cosine": Variant({"schedule": "cosine"}),
        "cosine, rate 0.2": Variant({"schedule": "cosine", "learning_rate": 0.2}),
        "logit-normal": Variant(objective={"timesteps": "logit-normal"}),
        "min-SNR 5": Variant(objective={"min_snr_gamma": 5.0}),
        "average 0.95": Variant({"average": 0.95}),
        "start: nearest words": Variant(start=gradient_words),
        "two vectors": Variant({"vectors": 2}),
    },
    "lora": {
        "defaults": Variant(),
        "rate 2.5e-4": Variant({"learning_rate": 2.5e-4}),
        "rate 1e-3": Variant({"learning_rate": 1e-3}),
        "rate 2e-3": Variant({"learning_rate": 2e-3}),
        "cosine": Variant({"schedule": "cosine"}),
        "cosine, rate 1e-3": Variant({"schedule": "cosine", "learning_rate": 1e-3}),
        "logit-normal": Variant(objective={"timesteps": "logit-normal"}),
        "min-SNR 5": Variant(objective={"min_snr_gamma": 5.0}),
        "average 0.95": Variant({"average": 0.95}),
        "rank 4": Variant({"rank": 4, "alpha": 4.0}),
        "rank 16": Variant({"rank": 16, "alpha": 16.0}),
        "rank 32": Variant({"rank": 32, "alpha": 32.0}),
    },
    "dreambooth": {
        "defaults": Variant(),
        "rate 2e-4": Variant({"learning_rate": 2e-4}),
        "rate 8e-4": Variant({"learning_rate": 8e-4}),
        "cosine": Variant({"schedule": "cosine"}),
        "logit-normal": Variant(objective={"timesteps": "logit-normal"}),
        "min-SNR 5": Variant(objective={"min_snr_gamma": 5.0}),
        "average 0.95": Variant({"average": 0.95}),
        "no class pictures": Variant({"prior_weight": 0.0}),
        "8 class pictures": Variant({"prior_pictures": 8}),
        "128 class pictures": Variant({"prior_pictures": 128}),
    },
}


def train(toy: int, method: str, name: str, variant: Variant, out: Path, r: Reporter) -> Path:
    """One run with its snapshots; done before, nothing is done."""
    photos = out / "photos" / f"toy-{toy}"
    folder = out / f"toy-{toy}" / f"{method} {name}"
    if not (folder / "run.json").exists():
        render_photo_set(toy, photos)
        noun = concept_toy(toy).class_noun
        device = pick_device("auto")
        model = load_model("toybox", device)
        concept = load_concept([photos], noun, model.resolution)
        found = variant.start(load_model("toybox", device), concept) if variant.start else {}
        learner = make_method(method, "toybox", variant.options | found)
        prior = prior_latents(model, learner, noun, out / "cache", r)
        objective = ObjectiveSettings(**variant.objective)
        train_into(model, learner, concept, folder, 0, prior, objective, SNAPSHOTS, r)
    return folder


def seconds_at(run: Path, step: int) -> float:
    """Seconds until a step, class pictures and encoding among them."""
    log = pd.read_json(run / "log.jsonl", lines=True).set_index("step")["seconds"]
    before = read_json(run / "run.json")["cost"]["seconds"] - float(log.iloc[-1])
    return before + float(log[log.index <= step].iloc[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description="Search for what reaches most, soonest.")
    parser.add_argument("out", type=Path)
    parser.add_argument("--toys", type=int, default=2)
    parser.add_argument("--methods", default=",".join(VARIANTS))
    arguments = parser.parse_args()
    table = arguments.out / "variants.csv"
    rows = pd.read_csv(table, keep_default_na=False).to_dict("records") if table.exists() else []
    known = {(row["method"], row["variant"], row["toy"]) for row in rows}
    with reporting() as reporter:
        for toy in range(FIRST_TOY, FIRST_TOY + arguments.toys):
            truth = truth_of(toy, arguments.out)
            if ("untouched", "", toy) not in known:
                base = score_untouched(toy, truth, arguments.out, reporter)
                place = {"method": "untouched", "variant": "", "toy": toy}
                rows.append(place | {"step": 0, "seconds": 0.0} | base)
            for method in arguments.methods.split(","):
                for name, variant in VARIANTS[method].items():
                    if (method, name, toy) in known:
                        continue
                    run = train(toy, method, name, variant, arguments.out, reporter)
                    place = {"method": method, "variant": name, "toy": toy}
                    for step in read_json(run / "run.json")["snapshots"]:
                        scores = score_step(run, step, truth, reporter)
                        rows.append(
                            place | {"step": step, "seconds": seconds_at(run, step)} | scores
                        )
                    text = pd.DataFrame(rows).to_csv(index=False, float_format="%.6g")
                    write_atomic(table, text)


if __name__ == "__main__":
    main()
