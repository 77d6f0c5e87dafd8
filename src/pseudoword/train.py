"""The one training loop: the experimental control of every comparison."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pseudoword.average import Average
from pseudoword.checkpoint import CHECKPOINT, Checkpoints
from pseudoword.compute import (
    Stepper,
    compute_record,
    forget_gradients,
    library_versions,
    make_optimizer,
)
from pseudoword.concept import Photo
from pseudoword.dataset import INSTANCE, Batch, Example, Examples, LatentView, draw_batch
from pseudoword.device import peak_memory_bytes, reset_peak_memory, wait_for
from pseudoword.divergence import DivergedError, Divergence
from pseudoword.encoded import Encoded, encode_photos
from pseudoword.families.model import Model, Text
from pseudoword.families.quantise import checkpoint_gradients
from pseudoword.kept import Kept
from pseudoword.logs import CHECKSUM, LOG, losses_sha256
from pseudoword.memory import Portion
from pseudoword.methods.base import Group, Method, MethodSettings, rate_factor
from pseudoword.objective import squared_errors
from pseudoword.prompts import fill
from pseudoword.resume import Log, State
from pseudoword.runs import hash_json, read_json, write_json
from pseudoword.settings import CheckpointSettings, ObjectiveSettings
from pseudoword.snapshots import (
    ARTEFACT,
    save_artefact,
    snapshot_path,
    snapshot_steps,
    tidy_snapshots,
)

LOG_EVERY = 10
ONE_SAMPLE = (
    "Try --gradient-checkpointing, --quantise nf4, --optimizer adamw-8bit, or a smaller --model."
)


@dataclass(frozen=True)
class Progress:
    """How far a training is, for whoever shows it."""

    step: int
    steps: int
    loss: float


def photo_examples(
    photos: Sequence[Photo], encoded: Encoded, templates: Sequence[str], phrase: str
) -> Examples:
    """Photos to learn from; one with a caption is called by it alone."""
    pictures = []
    for photo, views in zip(photos, encoded.photos, strict=True):
        prompts = templates if photo.caption is None else (photo.caption,)
        pictures.append(Example(views, tuple(fill(prompt, phrase) for prompt in prompts)))
    return Examples(tuple(pictures), 1.0)


def prior_examples(
    model: Model, prior: Kept, templates: Sequence[str], class_noun: str, weight: float
) -> Examples:
    """Class pictures, each called as it was drawn: the templates take turns."""
    prompts = [fill(template, class_noun) for template in templates]
    side = model.resolution
    sizes = (side, side, 0, 0, side, side)
    pictures = [
        Example((LatentView(latents, sizes),), (prompts[index % len(prompts)],))
        for index, latents in enumerate(prior.latents.to(model.device))
    ]
    return Examples(tuple(pictures), weight)


def train(
    model: Model,
    method: Method,
    class_noun: str,
    photos: Sequence[Photo],
    folder: Path,
    *,
    seed: int,
    encoded: Encoded | None = None,
    prior: Kept | None = None,
    objective: ObjectiveSettings | None = None,
    snapshots: int = 0,
    checkpoints: CheckpointSettings | None = None,
    release: bool = False,
    progress: Callable[[Progress], None] = lambda p: None,
    note: Callable[[str], None] = lambda text: None,
) -> None:
    """Teaches an untouched `model` the concept; `folder` gets log, snapshots, artefact, run.json.

    `encoded` are the photos' latents, where they are known, and `prior` class pictures, where the
    method's settings give them a weight. Interrupted, it goes on from its checkpoint and ends with
    the same artefact. The seconds in run.json's "cost" are those of drawing class pictures,
    encoding and training, without those of writing files; the memory is what training takes.
    `note` is told of anything that goes otherwise than was asked for. With `release`, parts of the
    model that no step needs are given back first: it is of no use afterwards.

    Raises DivergedError where the training blew up; run.json then says so under "diverged", and
    lists the snapshots that are sound. There is no artefact.
    """
    settings = method.settings
    encoded = encoded or encode_photos(model, photos)
    reset_peak_memory(model.device)
    clock = time.monotonic()
    model.stay()
    if model.compute.gradient_checkpointing:
        checkpoint_gradients(model.denoiser, model.text_encoders)
    groups = method.attach(model, class_noun, seed)
    if model.compute.compile:
        model.denoiser.compile()
    phrase = method.noun_phrase(class_noun)
    kinds = [photo_examples(photos, encoded, method.templates, phrase)]
    seconds = encoded.seconds
    if prior is not None and settings.prior_weight > 0:
        weight = settings.prior_weight
        kinds.append(prior_examples(model, prior, method.templates, class_noun, weight))
        seconds += prior.seconds
    texts = None if method.trains_text else _encode_once(model, kinds)
    wait_for(model.device)
    seconds += time.monotonic() - clock
    if release:
        model.release(text=not method.trains_text)
    objective = objective or ObjectiveSettings()
    task = _Task(model, method, groups, tuple(kinds), texts, folder, seed, objective)
    keep = snapshot_steps(settings.steps, snapshots)
    state = _start(task, note)
    saving = Checkpoints(
        folder, _belongs_to(task, class_noun, photos), checkpoints or CheckpointSettings(), state
    )
    saving.resume(note)
    tidy_snapshots(folder, keep, state.step)
    diverged = None
    try:
        _loop(task, state, saving, keep, progress)
        last: Path | None = folder / ARTEFACT
        save_artefact(folder / ARTEFACT, method, model)
    except Divergence as found:
        diverged = {"step": found.step, "reason": found.reason}
        # A loss is that of the weights before its step, so it vouches for earlier snapshots alone.
        keep = [step for step in keep if step < found.step - 1]
        last = snapshot_path(folder, keep[-1]) if keep else None
    state.log.write()
    cost = {
        "seconds": seconds + state.seconds,
        "peak_memory_bytes": peak_memory_bytes(model.device),
        "trainable_parameters": sum(p.numel() for g in groups for p in g.parameters),
        "artefact_bytes": last.stat().st_size if last is not None else None,
    }
    about = {"class_noun": class_noun, "noun_phrase": phrase}
    ended = {"snapshots": keep, "diverged": diverged, "cost": cost}
    _write_run(task, about, state, ended)
    has_ended(folder)


def _write_run(
    task: "_Task", about: Mapping[str, str], state: State, ended: Mapping[str, Any]
) -> None:
    """run.json, last of all: with it the training has ended."""
    model, method = task.model, task.method
    computed = compute_record(model.compute, model.device)
    record = {
        "method": method.name,
        "method_file": method.file,
        "title": method.title,
        "model": model.name,
        "model_fingerprint": model.fingerprint,
        "loading": model.loading.model_dump(),
        **about,
        "seed": task.seed,
        "steps": method.settings.steps,
        "settings": method.settings.model_dump(),
        "objective": task.objective.model_dump(),
        "compute": {**computed, "samples_at_once": state.portion.most},
        "versions": library_versions(model.compute),
        CHECKSUM: losses_sha256((int(line["step"]), line["loss"]) for line in state.log.lines),
        **ended,
    }
    write_json(task.folder / "run.json", record, sealed=True)


def has_ended(folder: Path) -> bool:
    """Whether the training in `folder` needs no more work; takes away what only work needs.

    Raises DivergedError where it has ended badly.
    """
    if not (folder / "run.json").exists():
        return False
    run = read_json(folder / "run.json")
    (folder / CHECKPOINT).unlink(missing_ok=True)
    if run.get("diverged") is None:
        return True
    step, reason = run["diverged"]["step"], run["diverged"]["reason"]
    tidy_snapshots(folder, run["snapshots"], max(run["snapshots"], default=0))
    raise DivergedError(
        f"{run['title']}, seed {run['seed']}: the training diverged by step {step}, for {reason}.\n"
        f"{remedy(run)}, and name a new --out."
    )


def remedy(run: Mapping[str, Any]) -> str:
    """What to change of a run that diverged, as a sentence without its end."""
    other = " or compute in another --precision" if run["compute"]["precision"] == "fp16" else ""
    return f"Lower its learning_rate, which is {run['settings']['learning_rate']:g}{other}"


@dataclass(frozen=True, eq=False)
class _Task:
    """What a training is about, from start to end."""

    model: Model
    method: Method
    groups: list[Group]
    kinds: tuple[Examples, ...]
    texts: Mapping[str, Text] | None
    """States of all prompts, where no step changes the text encoder."""
    folder: Path
    seed: int
    objective: ObjectiveSettings


def _start(task: _Task, note: Callable[[str], None]) -> State:
    """The state before the first step."""
    groups = [
        {"params": g.parameters, "lr": g.learning_rate, "weight_decay": g.weight_decay}
        for g in task.groups
    ]
    parameters = [p for group in task.groups for p in group.parameters]
    return State(
        parameters=parameters,
        optimizer=make_optimizer(task.model.compute, groups),
        stepper=Stepper(task.model.compute, task.model.device),
        average=Average(parameters, task.method.settings.average),
        log=Log(task.folder / LOG),
        portion=Portion(f"{task.method.title}, seed {task.seed}", ONE_SAMPLE, note),
    )


def _belongs_to(task: _Task, class_noun: str, photos: Sequence[Photo]) -> dict[str, Any]:
    """What a checkpoint must have been written for to be taken up again."""
    settings = task.method.settings.model_dump()
    versions = library_versions(task.model.compute)
    return {
        "model": task.model.fingerprint,
        "method": task.method.name,
        "settings": hash_json([settings, task.objective.model_dump()]),
        "compute": compute_record(task.model.compute, task.model.device),
        "photos": hash_json([class_noun, *(photo.identity for photo in photos)]),
        "seed": task.seed,
        # What one version began, another would end as neither of them does.
        **{f"version of {name}": told for name, told in versions.items()},
    }


def _loop(
    task: _Task,
    state: State,
    saving: Checkpoints,
    keep: Sequence[int],
    progress: Callable[[Progress], None],
) -> None:
    """Steps, log, snapshots and checkpoints; `state` counts the seconds of the steps alone.

    Raises Divergence where loss or weights blow up.
    """
    method, steps, optimizer = task.method, task.method.settings.steps, state.optimizer
    clock = time.monotonic() - state.seconds
    try:
        for step in range(state.step, steps):
            _set_rates(optimizer, task.groups, step, method.settings)
            losses = _backward(task, step, state)
            if step == 0:
                state.watch.start = losses.mean()
            state.changing = True
            _rest(task.groups, step, steps)
            state.stepper.step(optimizer, state.parameters)
            state.average.update(step)
            logged = (step + 1) % LOG_EVERY == 0 or step + 1 == steps
            # The step after a snapshot, too: its loss is that of the snapshot.
            if logged or step in keep:
                loss = float(losses.mean())
                state.watch.check_loss(step + 1, loss)
            due = saving.due(step + 1)
            if due or step + 1 in (*keep, steps):
                # What a GPU is still at belongs to the steps, not to the writing that waits for it.
                wait_for(task.model.device)
            seconds = time.monotonic() - clock
            if logged:
                state.log.add(step + 1, loss, seconds, state.stepper.skipped)
                progress(Progress(step + 1, steps, loss))
            writing = time.monotonic()
            if step + 1 in (*keep, steps):
                state.watch.check_parameters(step + 1, state.parameters)
            if step + 1 in keep:
                path = snapshot_path(task.folder, step + 1)
                with state.average.applied():
                    save_artefact(path, method, task.model)
            state.seconds, state.step = seconds, step + 1
            state.changing = False
            if due:
                saving.write()
            clock += time.monotonic() - writing
    except KeyboardInterrupt:
        saving.interrupted()
        raise
    state.average.swap()


def _backward(task: _Task, step: int, state: State) -> Tensor:
    """Adds up the gradients of a step; returns the plain losses of its photos."""

    def attempt(most: int) -> Tensor:
        # What an attempt that ran out of memory has added up is of no use.
        forget_gradients(state.parameters)
        return _gradients(task, step, state.stepper, most)

    return state.portion.run(attempt, task.method.settings.batch_size * len(task.kinds))


def _gradients(task: _Task, step: int, stepper: Stepper, most: int) -> Tensor:
    """The same, with at most `most` samples at once."""
    model, size = task.model, task.method.settings.batch_size
    gamma = task.objective.min_snr_gamma
    photos: list[Tensor] = []
    drawn = draw_batch(task.kinds, size, model.objective, task.seed, step, task.objective)
    for batch in (part for whole in drawn for part in whole.split(most)):
        noisy = model.objective.add_noise(batch.latents, batch.noise, batch.timesteps)
        target = model.objective.target(batch.latents, batch.noise, batch.timesteps)
        text = _text(model, batch, task.texts)
        prediction = model.predict(noisy, batch.timesteps, text, batch.sizes)
        losses = squared_errors(prediction, target, batch.masks)
        weights = batch.weights
        if gamma > 0:
            weights = weights * model.objective.min_snr_weights(batch.timesteps, gamma)
        # Divided by the photos alone, so that class pictures add to the loss of the photos.
        stepper.backward((losses * weights).sum() / size)
        plain = losses.detach()
        photos += [plain[i] for i, kind in enumerate(batch.kinds) if kind == INSTANCE]
    return torch.stack(photos)


def _set_rates(
    optimizer: torch.optim.Optimizer, groups: Sequence[Group], step: int, settings: MethodSettings
) -> None:
    for state, group in zip(optimizer.param_groups, groups, strict=True):
        state["lr"] = group.learning_rate * rate_factor(group, step, settings)


def _rest(groups: Sequence[Group], step: int, steps: int) -> None:
    """Takes the gradients of groups whose turn it is not: then the optimizer passes them over."""
    for group in groups:
        if not math.ceil(group.start * steps) <= step < math.ceil(group.end * steps):
            forget_gradients(group.parameters)


def _encode_once(model: Model, kinds: Sequence[Examples]) -> dict[str, Text]:
    """States of every prompt."""
    pictures = (picture for examples in kinds for picture in examples.pictures)
    prompts = list(dict.fromkeys(p for picture in pictures for p in picture.prompts))
    with torch.no_grad():
        return {prompt: model.encode_prompts([prompt]) for prompt in prompts}


def _text(model: Model, batch: Batch, texts: Mapping[str, Text] | None) -> Text:
    """What the denoiser is told; a prompt that a batch repeats is encoded once."""
    if texts is not None:
        return Text.cat([texts[prompt] for prompt in batch.prompts])
    prompts = list(dict.fromkeys(batch.prompts))
    encoded = model.encode_prompts(prompts)
    return encoded.rows([prompts.index(prompt) for prompt in batch.prompts])
