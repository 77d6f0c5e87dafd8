"""The one training loop: the experimental control of every comparison."""

import json
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pseudoword.checkpoint import load_checkpoint, save_checkpoint
from pseudoword.dataset import Examples, draw_batch
from pseudoword.device import peak_memory_bytes, reset_peak_memory
from pseudoword.errors import UserError
from pseudoword.families.model import Model
from pseudoword.methods.base import Group, Method
from pseudoword.prompts import fill
from pseudoword.runs import atomic_path, hash_json, read_json, write_atomic, write_json

ARTEFACT = "artefact.safetensors"
CHECKPOINT_SECONDS = 60.0
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


def photo_latents(model: Model, photos: list[np.ndarray]) -> Tensor:
    """Photos uint8 (size, size, 3) => latents (n, c, h, w), encoded once."""
    pixels = torch.from_numpy(np.stack(photos)).permute(0, 3, 1, 2).float() / 127.5 - 1
    return torch.cat([model.encode_pixels(part) for part in pixels.split(8)])


def train(
    model: Model,
    method: Method,
    class_noun: str,
    photos: list[np.ndarray],
    folder: Path,
    *,
    seed: int,
    prior: Prior | None = None,
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
    groups = method.attach(model, class_noun, seed)
    phrase = method.noun_phrase(class_noun)
    prompts = tuple(fill(template, phrase) for template in method.templates)
    kinds = [Examples(photo_latents(model, photos), prompts, 1.0)]
    if prior is not None and settings.prior_weight > 0:
        class_prompts = tuple(fill(template, class_noun) for template in method.templates)
        latents = prior.latents.to(model.device)
        kinds.append(Examples(latents, class_prompts, settings.prior_weight))
    seconds = time.monotonic() - clock + (prior.seconds if len(kinds) > 1 and prior else 0.0)
    seconds += _loop(model, method, groups, tuple(kinds), folder, seed, snapshots, progress)
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
            "class_noun": class_noun,
            "noun_phrase": phrase,
            "seed": seed,
            "steps": settings.steps,
            "settings": settings.model_dump(),
            "snapshots": snapshot_steps(settings.steps, snapshots),
            "cost": cost,
        },
    )
    (folder / "checkpoint.safetensors").unlink(missing_ok=True)


def _loop(
    model: Model,
    method: Method,
    groups: list[Group],
    kinds: tuple[Examples, ...],
    folder: Path,
    seed: int,
    snapshots: int,
    progress: Callable[[Progress], None],
) -> float:
    settings = method.settings
    parameters = [p for g in groups for p in g.parameters]
    optimizer = torch.optim.AdamW(
        [
            {"params": g.parameters, "lr": g.learning_rate, "weight_decay": g.weight_decay}
            for g in groups
        ],
        fused=True,
    )
    keep = set(snapshot_steps(settings.steps, snapshots))
    log = Log(folder / "log.jsonl")
    start, spent = _resume(folder, method, parameters, optimizer, log)
    states = None if method.trains_text else _encode_once(model, kinds)
    clock = saved = time.monotonic()
    for step in range(start, settings.steps):
        for state, group in zip(optimizer.param_groups, groups, strict=True):
            state["lr"] = group.learning_rate * min(1.0, (step + 1) / max(1, settings.warmup_steps))
        batch = draw_batch(kinds, settings.batch_size, model.objective.timesteps, seed, step)
        noisy = model.objective.add_noise(batch.latents, batch.noise, batch.timesteps)
        target = model.objective.target(batch.latents, batch.noise, batch.timesteps)
        text = _text_states(model, batch.prompts, states)
        prediction = model.predict(noisy, batch.timesteps, text)
        losses = model.objective.losses(prediction, target)
        # Divided by the photos alone, so that class pictures add to the loss of the photos.
        ((losses * batch.weights).sum() / settings.batch_size).backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        seconds = spent + time.monotonic() - clock
        if (step + 1) % LOG_EVERY == 0 or step + 1 == settings.steps:
            loss = float(losses[: settings.batch_size].detach().mean())
            if not math.isfinite(loss):
                raise UserError(
                    f"{method.title}, seed {seed}: the training diverged by step {step + 1}.\n"
                    f"Lower its learning_rate, which is {settings.learning_rate:g}, and name a new "
                    "--out."
                )
            log.add(step + 1, loss, seconds)
            progress(Progress(step + 1, settings.steps, loss))
        writing = time.monotonic()
        if step + 1 in keep:
            path = folder / "snapshots" / f"{step + 1:06d}.safetensors"
            save_artefact(path, method, method.state(model))
        if time.monotonic() - saved > CHECKPOINT_SECONDS:
            saved = time.monotonic()
            _save(folder, method, step + 1, seconds, parameters, optimizer, log)
        clock += time.monotonic() - writing
    return spent + time.monotonic() - clock


class Log:
    """log.jsonl, written whole each time so that it is never torn."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lines: list[dict[str, float]] = []

    def add(self, step: int, loss: float, seconds: float) -> None:
        self.lines.append({"step": step, "loss": loss, "seconds": round(seconds, 3)})
        write_atomic(self.path, "".join(json.dumps(line) + "\n" for line in self.lines))


def _resume(
    folder: Path, method: Method, parameters: list[Any], optimizer: Any, log: Log
) -> tuple[int, float]:
    """Takes up a checkpoint of the same settings; any other is left behind by an edited study."""
    path = folder / "checkpoint.safetensors"
    note = folder / "checkpoint.json"
    if not path.exists() or read_json(note) != _identity(method):
        return 0, 0.0
    start, spent = load_checkpoint(path, parameters, optimizer)
    if log.path.exists():
        lines = [json.loads(line) for line in log.path.read_text().splitlines()]
        log.lines = [line for line in lines if line["step"] <= start]
    return start, spent


def _save(
    folder: Path,
    method: Method,
    step: int,
    seconds: float,
    parameters: list[Any],
    optimizer: Any,
    log: Log,
) -> None:
    write_json(folder / "checkpoint.json", _identity(method))
    save_checkpoint(folder / "checkpoint.safetensors", step, seconds, parameters, optimizer)


def _identity(method: Method) -> dict[str, Any]:
    return {"method": method.name, "settings": hash_json(method.settings.model_dump())}


def _encode_once(model: Model, kinds: tuple[Examples, ...]) -> dict[str, Tensor]:
    """States of every prompt, where no step changes the text encoder."""
    prompts = list(dict.fromkeys(p for examples in kinds for p in examples.prompts))
    with torch.no_grad():
        return dict(zip(prompts, model.encode_prompts(prompts), strict=True))


def _text_states(
    model: Model, prompts: tuple[str, ...], states: Mapping[str, Tensor] | None
) -> Tensor:
    """Text states (n, length, width); a prompt that a batch repeats is encoded once."""
    if states is not None:
        return torch.stack([states[prompt] for prompt in prompts])
    texts = list(dict.fromkeys(prompts))
    encoded = model.encode_prompts(texts)
    return encoded[[texts.index(prompt) for prompt in prompts]]


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
