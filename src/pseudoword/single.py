"""One method on one concept: train it; what drawing with it shares."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from pseudoword.checksum import DamagedError, check_seal, save_sealed
from pseudoword.compute import check_compute, compute_record
from pseudoword.concept import Concept, load_concept, save_photos
from pseudoword.device import pick_device
from pseudoword.encoded import encode_photos
from pseudoword.errors import UserError
from pseudoword.families import load_model, model_row
from pseudoword.families.model import Model
from pseudoword.generate import (
    Request,
    drawing_portion,
    generate_latents,
    in_portions,
)
from pseudoword.locks import hold
from pseudoword.methods import check_quantise, make_method
from pseudoword.methods.base import Method, token_count
from pseudoword.methods.own import own_code
from pseudoword.pictures import DECODE_ERRORS, find_pictures, some
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
from pseudoword.train import Prior, Progress, has_ended, train

MARK = "pseudoword"
"""The entry of a PNG's texts that tells what the picture was drawn from."""
KEY = "identity.sha256"
"""The file beside identity.json that holds its hash."""
PRIOR_SEED = 1_000_000
"""Class pictures start from the noise of seeds from here on, which no scored picture uses."""


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
        if read_json(record) != identity:
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


def prior_latents(
    model: Model,
    method: Method,
    class_noun: str,
    cache: Path,
    reporter: Reporter,
    batch_size: int = GenerateSettings().batch_size,
) -> Prior | None:
    """Class pictures by the untouched `model`, where the method uses them.

    They are kept in `cache` under what they depend on, so methods and seeds share them. The
    latents go into training as drawn: no decoding to pixels and back blurs them.
    """
    settings = method.settings
    if settings.prior_weight == 0:
        return None
    drawing = GenerateSettings(batch_size=batch_size)
    prompts = [fill(template, class_noun) for template in method.templates]
    drawn = drawing.model_dump(exclude={"batch_size"})
    computed = [
        compute_record(model.compute, model.device)[name] for name in ("precision", "quantise")
    ]
    # Weights that a method keeps in float32 give other last bits in 16-bit precisions.
    computed.append(str(model.denoiser.dtype))
    key = hash_json([model.fingerprint, prompts, settings.prior_pictures, drawn, computed])
    path = cache / f"prior-{key[:24]}.safetensors"
    kept = _read_prior(path, key, reporter)
    if kept is None:
        count = settings.prior_pictures
        requests = [Request(prompts[i % len(prompts)], PRIOR_SEED + i) for i in range(count)]
        kept = _class_pictures(model, requests, drawing, path, key, reporter)
        _save_prior(path, key, kept)
    # Whatever a kill left of the batches, once they are all in one.
    for part in cache.glob(f"{path.stem}-*"):
        part.unlink()
    return kept


def _save_prior(path: Path, key: str, prior: Prior) -> None:
    from safetensors.torch import save_file

    latents = prior.latents.cpu().contiguous()
    save_sealed(path, {"latents": latents}, {"of": key, "seconds": prior.seconds}, save_file)


def _read_prior(path: Path, key: str, reporter: Reporter) -> Prior | None:
    """Class pictures that were kept under `key`.

    None where they are missing, or damaged or those of another key, which is told.
    """
    from safetensors.torch import load_file

    if not path.exists():
        return None
    try:
        seconds = check_seal(path, ["seconds"], ["latents"], key)["seconds"]
    except DamagedError as error:
        reporter.note(f"{path} {error.reason}: its class pictures are drawn again")
        return None
    return Prior(load_file(path)["latents"], seconds)


def _class_pictures(
    model: Model,
    requests: Sequence[Request],
    drawing: GenerateSettings,
    path: Path,
    key: str,
    reporter: Reporter,
) -> Prior:
    """Draws them; each batch is kept beside `path` first, under its place and the `key` of all."""
    batches: list[Prior] = []
    size = drawing.batch_size
    portion = drawing_portion("class pictures", reporter.note)
    for start in range(0, len(requests), size):
        place = f"{size}-{start:06d}"
        part = path.with_name(f"{path.stem}-{place}{path.suffix}")
        kept = _read_prior(part, f"{key}-{place}", reporter)
        if kept is None:
            clock = time.monotonic()
            drawn = in_portions(
                portion,
                requests[start : start + size],
                lambda few: generate_latents(model, few, drawing),
            )
            kept = Prior(torch.stack(drawn).cpu(), time.monotonic() - clock)
            _save_prior(part, f"{key}-{place}", kept)
        batches.append(kept)
        reporter.update("class pictures", min(start + size, len(requests)), len(requests))
    latents = torch.cat([batch.latents for batch in batches])
    return Prior(latents, sum(batch.seconds for batch in batches))


def save_picture(path: Path, picture: np.ndarray, mark: str | None = None) -> None:
    """A PNG, written whole or not at all; `mark` is a text in it for `read_mark`."""
    about = PngInfo()
    if mark is not None:
        about.add_text(MARK, mark)
    with atomic_path(path) as temporary:
        Image.fromarray(picture).save(temporary, format="PNG", pnginfo=about)


def read_mark(path: Path) -> str | None:
    """The mark of a picture; none where it has none, is damaged or is missing."""
    try:
        with Image.open(path, formats=["PNG"]) as image:
            mark = image.info.get(MARK)
            # Reads the checksums of all parts, and decodes no pixel.
            image.verify()
    except (*DECODE_ERRORS, Image.DecompressionBombError):
        return None
    return mark
