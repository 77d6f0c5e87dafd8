"""One method on one concept: train it; what drawing with it shares."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from pseudoword.class_pictures import prior_latents
from pseudoword.compute import check_compute, compute_record
from pseudoword.concept import Concept, load_concept, save_photos
from pseudoword.device import pick_device
from pseudoword.encoded import encode_photos
from pseudoword.errors import UserError
from pseudoword.families import load_model, model_row
from pseudoword.families.model import Model
from pseudoword.locks import hold
from pseudoword.methods import check_quantise, make_method
from pseudoword.methods.base import Method, token_count
from pseudoword.methods.own import own_code
from pseudoword.pictures import DECODE_ERRORS, check_png, find_pictures, some
from pseudoword.progress import Reporter
from pseudoword.prompts import fill
from pseudoword.runs import (
    IDENTITY,
    LOCK,
    UNFINISHED,
    atomic_path,
    hash_json,
    read_json,
    write_atomic,
    write_json,
)
from pseudoword.settings import (
    CheckpointSettings,
    CommonSettings,
    GenerateSettings,
    ObjectiveSettings,
    TrainSettings,
)
from pseudoword.train import Progress, has_ended, train

MARK = "pseudoword"
"""The entry of a PNG's texts that tells what the picture was drawn from."""
KEY = "identity.sha256"
"""The file beside identity.json that holds its hash."""


def train_run(
    photos: Sequence[Path], settings: TrainSettings, out: Path, reporter: Reporter
) -> Path:
    """Trains one method on photos into the run folder `out`; done before, nothing is done.

    Raises HeldError where another process works in `out`.
    """
    with hold(out, reporter.note):
        return _train_run(photos, settings, out, reporter)


def _train_run(
    photos: Sequence[Path], settings: TrainSettings, out: Path, reporter: Reporter
) -> Path:
    row = model_row(settings.model)
    method = make_method(settings.method, row.preset, settings.options)
    device = pick_device(settings.device)
    # Told before a model is loaded, and perhaps downloaded for it.
    check_quantise(settings.compute.quantise, [type(method)])
    check_compute(settings.compute, device)
    find_pictures(photos, [])
    model = load_for(method, settings, device)
    check_objective(model, settings.objective)
    concept = load_concept(
        photos, settings.class_noun, model.resolution, settings.hold_out, settings.intake
    )
    identity = {
        "settings": settings.model_dump(exclude={"device", "compute", "checkpoints"}),
        "compute": compute_record(settings.compute, device),
        "method": method.settings.model_dump(),
        "photos": [p.identity for p in concept.photos],
        "model": model.fingerprint,
        **own_code([type(method)]),
    }
    claim_folder(out, identity)
    tell_intake(reporter, concept, model, [method])
    if has_ended(out):
        reporter.note(f"{out} is done already")
        write_atomic(out / "done", "")
        return out
    save_photos(concept, out)
    train_into(
        model,
        method,
        concept,
        out,
        settings.seed,
        out / "cache",
        settings.objective,
        settings.snapshots,
        reporter,
        settings.checkpoints,
    )
    write_atomic(out / "done", "")
    return out


def load_for(method: Method, settings: CommonSettings, device: torch.device) -> Model:
    """The model that `method` is going to be trained on, computing as the settings say."""
    masters = "weights" in method.learns
    return load_model(settings.model, device, settings.loading, settings.compute, masters)


def check_objective(model: Model, objective: ObjectiveSettings) -> None:
    """Raises UserError before any work where the model's objective cannot be weighted so."""
    if objective.min_snr_gamma > 0:
        model.objective.min_snr_weights(torch.zeros(1, dtype=torch.long), objective.min_snr_gamma)


def claim_folder(out: Path, identity: Mapping[str, Any]) -> None:
    """Marks `out` as the place of this work. Raises UserError where it belongs to other work.

    identity.json says what work that is, and KEY only its hash. By that the folder is known where
    identity.json was damaged and removed.
    """
    record, key = out / IDENTITY, out / KEY
    mine = hash_json(identity)
    known = key.is_file() and key.read_bytes() == mine.encode()
    if record.exists():
        if _claimed(record, known) != identity:
            raise UserError(
                f"--out {out} belongs to work with other settings or photos: "
                "name another folder, or remove it."
            )
    else:
        names = (path.name for path in out.iterdir())
        if not known and any(name != LOCK and not name.startswith(UNFINISHED) for name in names):
            raise UserError(f"--out {out} holds other files: name a folder that is new or empty.")
        write_json(record, identity, sealed=True)
    if not known:
        write_atomic(key, mine)


def _claimed(record: Path, known: bool) -> Any:
    try:
        return read_json(record)
    except UserError as error:
        if known:
            raise
        # To remove it would not help: the folder would be known by nothing.
        told = str(error).splitlines()[0].rstrip(":")
        raise UserError(
            f"{told},\nand nothing else tells whose the folder is: name another --out."
        ) from None


def tell_intake(
    reporter: Reporter, concept: Concept, model: Model, methods: Sequence[Method]
) -> list[str]:
    """Says what was ignored, changed or doubtful; returns the notes."""
    notes = [*model.notes, *concept.notes]
    tokens = token_count(model, concept.class_noun)
    if tokens > 1:
        notes.append(
            f"class noun {concept.class_noun!r} is {tokens} tokens of {model.name}: a noun of one "
            "token, if one fits, is easier to learn from"
        )
    for method in methods:
        notes += method.notes(model, concept.class_noun)
    notes += _long_captions(concept, model, methods)
    for note in notes:
        reporter.note(note)
    for warning in concept.warnings:
        reporter.note(f"warning: {warning}")
    return notes


def _long_captions(concept: Concept, model: Model, methods: Sequence[Method]) -> list[str]:
    """A note on captions that are longer than the model reads, once a method words them."""
    most = model.tokenizers[0].model_max_length - 2
    noun = concept.class_noun
    extra = max(method.phrase_tokens(model, noun) for method in methods) - token_count(model, noun)
    long = [
        photo.name
        for photo in concept.training
        if photo.caption and token_count(model, fill(photo.caption, noun)) + extra > most
    ]
    if not long:
        return []
    return [f"captions longer than the {most} tokens that {model.name} reads, cut: {some(long)}"]


def tell_long_prompts(
    reporter: Reporter, model: Model, prompts: Sequence[str], extra: int = 0
) -> list[str]:
    """Says which prompts, with `extra` tokens more, are longer than the model reads."""
    most = model.tokenizers[0].model_max_length - 2
    long = [prompt for prompt in prompts if token_count(model, prompt) + extra > most]
    notes = [
        f"prompt {prompt!r} is cut: it is longer than the {most} tokens that {model.name} reads"
        for prompt in long
    ]
    for note in notes:
        reporter.note(note)
    return notes


def train_into(
    model: Model,
    method: Method,
    concept: Concept,
    folder: Path,
    seed: int,
    cache: Path,
    objective: ObjectiveSettings,
    snapshots: int,
    reporter: Reporter,
    checkpoints: CheckpointSettings | None = None,
    batch_size: int = GenerateSettings().batch_size,
) -> None:
    """Trains with progress shown; `model` is spent. Raises DivergedError where it blows up.

    What methods and seeds share is kept in `cache`: class pictures, of which `batch_size` are drawn
    at once, and the photos' latents.
    """
    task = f"{method.title}, seed {seed}"
    prior = prior_latents(model, method, concept.class_noun, cache, reporter, batch_size)
    encoded = encode_photos(model, concept.training, cache, reporter)

    def show(progress: Progress) -> None:
        reporter.update(task, progress.step, progress.steps, f"loss {progress.loss:.3f}")

    train(
        model,
        method,
        concept.class_noun,
        concept.training,
        folder,
        seed=seed,
        encoded=encoded,
        prior=prior,
        objective=objective,
        snapshots=snapshots,
        checkpoints=checkpoints,
        release=True,
        progress=show,
        note=reporter.note,
    )


def save_picture(path: Path, picture: np.ndarray, mark: str | None = None) -> None:
    """A PNG, written whole or not at all; `mark` is a text in it for `read_mark`."""
    about = PngInfo()
    if mark is not None:
        about.add_text(MARK, mark)
    with atomic_path(path) as temporary:
        Image.fromarray(picture).save(temporary, format="PNG", pnginfo=about)


def read_mark(path: Path) -> str | None:
    """The mark of a picture; none where it has none, is damaged or is missing.

    Raises UserError where it cannot be read: another would be drawn over it.
    """
    try:
        mark: str | None = check_png(path).get(MARK)
    except (*DECODE_ERRORS, Image.DecompressionBombError):
        return None
    return mark
