"""The one training loop: the experimental control of every comparison."""

import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from pseudoword.average import Average
from pseudoword.checkpoint import load_checkpoint, save_checkpoint
from pseudoword.compute import Stepper, compute_record, library_versions, make_optimizer
from pseudoword.concept import Photo
from pseudoword.dataset import INSTANCE, Batch, Example, Examples, LatentView, draw_batch
from pseudoword.device import peak_memory_bytes, reset_peak_memory
from pseudoword.errors import UserError
from pseudoword.families.model import Model, Text
from pseudoword.families.quantise import checkpoint_gradients
from pseudoword.methods.base import Group, Method, MethodSettings, rate_factor
from pseudoword.objective import squared_errors
from pseudoword.prompts import fill
from pseudoword.runs import atomic_path, hash_json, read_json, write_atomic, write_json
from pseudoword.settings import ObjectiveSettings
from pseudoword.views import View

ARTEFACT = "artefact.safetensors"
CHECKPOINT_SECONDS = 60.0
CHECKPOINT_SHARE = 20.0
"""Steps between two checkpoints take this many times as long as writing one."""
LOG_EVERY = 10


@dataclass(frozen=True, eq=False)
class Prior:
    """Class pictures as latents (n, c, h, w), and the seconds that drawing them took."""

    latents: Tensor
    seconds: float


@dataclass(frozen=True)
class Progress:
    """How far a training is, for whoever shows it."""

    step: int
    steps: int
    loss: float


def photo_examples(
    model: Model, photos: Sequence[Photo], templates: Sequence[str], phrase: str
) -> Examples:
    """Photos as latents, each view encoded once; one with a caption is called by it alone."""
    pictures = []
    for photo in photos:
        prompts = templates if photo.caption is None else (photo.caption,)
        pictures.append(
            Example(
                tuple(_encode_view(model, view) for view in photo.views),
                tuple(fill(prompt, phrase) for prompt in prompts),
            )
        )
    return Examples(tuple(pictures), 1.0)


def _encode_view(model: Model, view: View) -> LatentView:
    pixels = torch.from_numpy(view.pixels.copy()).permute(2, 0, 1).float() / 127.5 - 1
    (latents,) = model.encode_pixels(pixels[None])
    mask = None
    if view.mask is not None:
        whole = torch.from_numpy(view.mask.copy())[None, None].to(model.device)
        (mask,) = adaptive_avg_pool2d(whole, (latents.shape[-2], latents.shape[-1]))
    height, width = view.pixels.shape[:2]
    sizes = (*view.original_size, *view.crop_top_left, height, width)
    return LatentView(latents, sizes, mask)


def prior_examples(
    model: Model, prior: Prior, templates: Sequence[str], class_noun: str, weight: float
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
    prior: Prior | None = None,
    objective: ObjectiveSettings | None = None,
    snapshots: int = 0,
    progress: Callable[[Progress], None] = lambda p: None,
) -> None:
    """Teaches an untouched `model` the concept; `folder` gets log, snapshots, artefact, run.json.

    `prior` holds class pictures, where the method's settings give them a weight. Interrupted, it
    goes on from its checkpoint and ends with the same artefact. The seconds in run.json's "cost"
    are those of drawing class pictures, encoding and training, without those of writing files.
    """
    settings = method.settings
    reset_peak_memory(model.device)
    clock = time.monotonic()
    model.stay()
    if model.compute.gradient_checkpointing:
        checkpoint_gradients(model.denoiser, model.text_encoders)
    groups = method.attach(model, class_noun, seed)
    phrase = method.noun_phrase(class_noun)
    kinds = [photo_examples(model, photos, method.templates, phrase)]
    seconds = 0.0
    if prior is not None and settings.prior_weight > 0:
        weight = settings.prior_weight
        kinds.append(prior_examples(model, prior, method.templates, class_noun, weight))
        seconds = prior.seconds
    seconds += time.monotonic() - clock
    objective = objective or ObjectiveSettings()
    task = _Task(model, method, groups, tuple(kinds), folder, seed, objective)
    seconds += _loop(task, snapshots, progress)
    save_artefact(folder / ARTEFACT, method, method.state(model))
    cost = {
        "seconds": seconds,
        "peak_memory_bytes": peak_memory_bytes(model.device),
        "trainable_parameters": sum(p.numel() for g in groups for p in g.parameters),
        "artefact_bytes": (folder / ARTEFACT).stat().st_size,
    }
    write_json(
        folder / "run.json",
        {
            "method": method.name,
            "method_file": method.file,
            "title": method.title,
            "model": model.name,
            "model_fingerprint": model.fingerprint,
            "loading": model.loading.model_dump(),
            "class_noun": class_noun,
            "noun_phrase": phrase,
            "seed": seed,
            "steps": settings.steps,
            "settings": settings.model_dump(),
            "objective": objective.model_dump(),
            "compute": compute_record(model.compute, model.device),
            "versions": library_versions(model.compute),
            "snapshots": snapshot_steps(settings.steps, snapshots),
            "cost": cost,
        },
    )
    (folder / "checkpoint.safetensors").unlink(missing_ok=True)


@dataclass(frozen=True, eq=False)
class _Task:
    """What a training is about, from start to end."""

    model: Model
    method: Method
    groups: list[Group]
    kinds: tuple[Examples, ...]
    folder: Path
    seed: int
    objective: ObjectiveSettings

    @property
    def parameters(self) -> list[torch.nn.Parameter]:
        return [p for group in self.groups for p in group.parameters]


def _loop(task: _Task, snapshots: int, progress: Callable[[Progress], None]) -> float:
    """Steps, log, snapshots and checkpoints; returns the seconds of the steps alone."""
    method, folder, settings = task.method, task.folder, task.method.settings
    parameters = task.parameters
    optimizer = make_optimizer(
        task.model.compute,
        [
            {"params": g.parameters, "lr": g.learning_rate, "weight_decay": g.weight_decay}
            for g in task.groups
        ],
    )
    stepper = Stepper(task.model.compute, task.model.device)
    keep = set(snapshot_steps(settings.steps, snapshots))
    log = Log(folder / "log.jsonl")
    average = Average(parameters, settings.average)
    start, spent = _resume(task, optimizer, stepper, average, log)
    texts = None if method.trains_text else _encode_once(task.model, task.kinds)
    clock = saved = time.monotonic()
    wait = CHECKPOINT_SECONDS
    for step in range(start, settings.steps):
        _set_rates(optimizer, task.groups, step, settings)
        losses = _backward(task, step, texts, stepper)
        _rest(task.groups, step, settings.steps)
        stepper.step(optimizer, parameters)
        average.update(step)
        seconds = spent + time.monotonic() - clock
        if (step + 1) % LOG_EVERY == 0 or step + 1 == settings.steps:
            loss = float(torch.stack(losses).mean())
            if not math.isfinite(loss):
                raise _diverged(method, task.seed, step + 1)
            log.add(step + 1, loss, seconds, stepper.skipped)
            progress(Progress(step + 1, settings.steps, loss))
        writing = time.monotonic()
        if step + 1 in keep:
            path = folder / "snapshots" / f"{step + 1:06d}.safetensors"
            with average.applied():
                save_artefact(path, method, method.state(task.model))
        if time.monotonic() - saved > wait:
            began = time.monotonic()
            _save(task, step + 1, seconds, optimizer, stepper, average)
            saved = time.monotonic()
            # Gigabytes take long to write: they may not take over the training.
            wait = max(CHECKPOINT_SECONDS, CHECKPOINT_SHARE * (saved - began))
        clock += time.monotonic() - writing
    average.swap()
    return spent + time.monotonic() - clock


def _backward(
    task: _Task, step: int, texts: Mapping[str, Text] | None, stepper: Stepper
) -> list[Tensor]:
    """Adds up the gradients of a step; returns the plain losses of its photos."""
    model, size = task.model, task.method.settings.batch_size
    gamma = task.objective.min_snr_gamma
    photos: list[Tensor] = []
    for batch in draw_batch(task.kinds, size, model.objective, task.seed, step, task.objective):
        noisy = model.objective.add_noise(batch.latents, batch.noise, batch.timesteps)
        target = model.objective.target(batch.latents, batch.noise, batch.timesteps)
        text = _text(model, batch, texts)
        prediction = model.predict(noisy, batch.timesteps, text, batch.sizes)
        losses = squared_errors(prediction, target, batch.masks)
        weights = batch.weights
        if gamma > 0:
            weights = weights * model.objective.min_snr_weights(batch.timesteps, gamma)
        # Divided by the photos alone, so that class pictures add to the loss of the photos.
        stepper.backward((losses * weights).sum() / size)
        plain = losses.detach()
        photos += [plain[i] for i, kind in enumerate(batch.kinds) if kind == INSTANCE]
    return photos


def _set_rates(
    optimizer: torch.optim.Optimizer, groups: Sequence[Group], step: int, settings: MethodSettings
) -> None:
    for state, group in zip(optimizer.param_groups, groups, strict=True):
        state["lr"] = group.learning_rate * rate_factor(group, step, settings)


def _rest(groups: Sequence[Group], step: int, steps: int) -> None:
    """Takes the gradients of groups whose turn it is not: then the optimizer passes them over."""
    for group in groups:
        if not math.ceil(group.start * steps) <= step < math.ceil(group.end * steps):
            for parameter in group.parameters:
                parameter.grad = None


def _diverged(method: Method, seed: int, step: int) -> UserError:
    return UserError(
        f"{method.title}, seed {seed}: the training diverged by step {step}.\n"
        f"Lower its learning_rate, which is {method.settings.learning_rate:g}, and name a new "
        "--out."
    )


class Log:
    """log.jsonl, written whole each time so that it is never torn."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lines: list[dict[str, float]] = []

    def add(self, step: int, loss: float, seconds: float, skipped: int) -> None:
        """`skipped` steps so far changed nothing, since gradients overflowed in fp16."""
        line = {"step": step, "loss": loss, "seconds": round(seconds, 3), "skipped": skipped}
        self.lines.append(line)
        write_atomic(self.path, "".join(json.dumps(line) + "\n" for line in self.lines))


def _resume(
    task: _Task, optimizer: torch.optim.Optimizer, stepper: Stepper, average: Average, log: Log
) -> tuple[int, float]:
    """Takes up a checkpoint of the same settings; any other is left behind by an edited study."""
    path = task.folder / "checkpoint.safetensors"
    note = task.folder / "checkpoint.json"
    if not path.exists() or read_json(note) != _identity(task):
        return 0, 0.0
    start, spent, state = load_checkpoint(path, task.parameters, optimizer, average.values)
    stepper.load(state)
    if log.path.exists():
        lines = [json.loads(line) for line in log.path.read_text().splitlines()]
        log.lines = [line for line in lines if line["step"] <= start]
    return start, spent


def _save(
    task: _Task,
    step: int,
    seconds: float,
    optimizer: torch.optim.Optimizer,
    stepper: Stepper,
    average: Average,
) -> None:
    write_json(task.folder / "checkpoint.json", _identity(task))
    path = task.folder / "checkpoint.safetensors"
    state = stepper.state()
    save_checkpoint(path, step, seconds, task.parameters, optimizer, average.values, state)


def _identity(task: _Task) -> dict[str, Any]:
    compute = compute_record(task.model.compute, task.model.device)
    settings = [task.method.settings.model_dump(), task.objective.model_dump(), compute]
    return {"method": task.method.name, "settings": hash_json(settings)}


def _encode_once(model: Model, kinds: tuple[Examples, ...]) -> dict[str, Text]:
    """States of every prompt, where no step changes the text encoder."""
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


def snapshot_steps(steps: int, count: int) -> list[int]:
    """`count` evenly spaced steps, the last of them `steps`."""
    return sorted({round(steps * (i + 1) / count) for i in range(count)} - {0})


def save_artefact(path: Path, method: Method, tensors: Mapping[str, Tensor]) -> None:
    """What a method learnt, with its settings, as safetensors."""
    from safetensors.torch import save_file

    about = {"method": method.name, "settings": method.settings.model_dump()}
    # One entry: safetensors writes several in any order, and equal runs would differ in bytes.
    metadata = {"pseudoword": json.dumps(about)}
    cpu = {key: value.detach().cpu().contiguous() for key, value in tensors.items()}
    with atomic_path(path) as temporary:
        save_file(cpu, temporary, metadata)
