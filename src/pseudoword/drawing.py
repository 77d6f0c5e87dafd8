"""Pictures drawn batch by batch, into a run's folder or any other."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import torch

from pseudoword.artefact import LoadedRun, load_run
from pseudoword.compute import compute_record
from pseudoword.device import pick_device
from pseudoword.families import load_model
from pseudoword.families.model import Model
from pseudoword.families.quantise import cast
from pseudoword.foreign.given import Given
from pseudoword.foreign.load import put_given
from pseudoword.generate import Request, drawing_portion, generate
from pseudoword.locks import hold
from pseudoword.methods.own import own_code
from pseudoword.progress import Reporter
from pseudoword.prompts import DriftPrompt, Prompt, fill, validate_template
from pseudoword.runs import (
    DRIFT,
    IMAGES,
    drift_path,
    hash_json,
    names_in,
    picture_name,
    picture_path,
    slug,
    write_atomic,
)
from pseudoword.settings import CommonSettings, ComputeSettings, DrawSettings, GenerateSettings
from pseudoword.single import read_mark, save_picture, tell_long_prompts

NOT_PIXELS = {"batch_size", "compute", "checkpoint", "strength"}
"""Settings of drawing that a mark holds, if at all, as what they led to."""
DRIFT_SEED = 3_000_000
"""Pictures without the concept start from the noise of seeds from here on, as no other does."""


def draw_prompts(
    model: Model,
    phrase: str,
    prompts: Sequence[Prompt],
    image_seeds: Sequence[int],
    settings: GenerateSettings,
    folder: Path,
    task: str,
    reporter: Reporter,
) -> None:
    """Every prompt from every image seed into `folder`; see `_draw`."""
    wanted = {
        picture_path(folder, prompt.id, seed): Request(fill(prompt.template, phrase), seed)
        for prompt in prompts
        for seed in image_seeds
    }
    _draw(model, wanted, settings, task, reporter)


def draw_drift(
    model: Model,
    prompts: Sequence[DriftPrompt],
    settings: GenerateSettings,
    count: int,
    run: Path,
    task: str,
    reporter: Reporter,
) -> None:
    """`count` pictures of every prompt without the concept into the run's folder; see `_draw`."""
    wanted = {
        drift_path(run, prompt.id, seed): Request(prompt.text, seed)
        for prompt in prompts
        for seed in drift_seeds(count)
    }
    _draw(model, wanted, settings, task, reporter)


def drift_seeds(count: int) -> tuple[int, ...]:
    """The image seeds of pictures without the concept."""
    return tuple(range(DRIFT_SEED, DRIFT_SEED + count))


def prompts_drawn(prompts: Sequence[Prompt], image_seeds: Sequence[int], folder: Path) -> bool:
    """Whether all that `draw_prompts` would draw is there."""
    there = names_in(folder / IMAGES)
    return all(picture_name(p.id, seed) in there for p in prompts for seed in image_seeds)


def drift_drawn(prompts: Sequence[DriftPrompt], count: int, run: Path) -> bool:
    """Whether all that `draw_drift` would draw is there."""
    there = names_in(run / DRIFT)
    return all(picture_name(p.id, seed) in there for p in prompts for seed in drift_seeds(count))


def generate_pictures(
    run: Path,
    prompt: str,
    count: int,
    seed: int,
    settings: DrawSettings,
    out: Path,
    device: str,
    reporter: Reporter,
    model: str | None = None,
) -> list[Path]:
    """Draws `count` pictures of a run's concept; picture i starts from the noise of seed + i.

    The files are named by prompt, seed and, where they are not the end of training and 1, by
    checkpoint and strength. `model` names the run's model where it has moved. What the same call
    left in `out` when it was interrupted stays; any other file of such a name is replaced. Raises
    HeldError where another process works in `out`.
    """
    validate_template(prompt)
    with hold(out, reporter.note):
        compute = ComputeSettings(**settings.compute.model_dump())
        step, strength = settings.checkpoint or None, settings.strength
        loaded = load_run(run, pick_device(device), model, compute, step, strength)
        if (step, strength) == (None, None):
            tell_choice(loaded, reporter)
        text = fill(prompt, loaded.noun_phrase)
        tell_long_prompts(reporter, loaded.model, [text])
        choice = loaded.choice
        suffix = "" if choice.step == loaded.run["steps"] else f"-step-{choice.step}"
        suffix += "" if choice.strength == 1 else f"-strength-{choice.strength:g}"
        wanted = {
            out / f"{_file_name(text)}-{number:06d}{suffix}.png": Request(text, number)
            for number in range(seed, seed + count)
        }
        source = _source(loaded, settings)
        _draw(loaded.model, wanted, settings, "pictures", reporter, source)
    return list(wanted)


def _source(loaded: LoadedRun, settings: DrawSettings) -> str:
    """A hash of all that pictures of a run depend on beside their batch."""
    return hash_json(
        {
            "artefact": loaded.seal,
            "strength": loaded.choice.strength,
            "method": loaded.method.name,
            "class_noun": loaded.run["class_noun"],
            "model": loaded.model.fingerprint,
            "compute": compute_record(loaded.model.compute, loaded.model.device),
            "settings": settings.model_dump(exclude=NOT_PIXELS),
            **own_code([type(loaded.method)]),
        }
    )


def tell_choice(loaded: LoadedRun, reporter: Reporter) -> None:
    """Says what the run's study chose, where that is not the end of training at strength 1."""
    step, strength, steps = loaded.choice.step, loaded.choice.strength, loaded.run["steps"]
    if step != steps or strength != 1:
        reporter.note(
            f"drawn with step {step} of {steps} at strength {strength:g}, as the run's study chose"
        )


def _file_name(text: str) -> str:
    """A prompt as part of a file's name, with a hash where more than its spaces was lost."""
    lost = len(text) > 80 or re.search(r"[^\w <>-]", text)
    return f"{slug(text)[:80]}-{hash_json(text)[:6]}" if lost else slug(text)


def _draw(
    model: Model,
    wanted: Mapping[Path, Request],
    settings: GenerateSettings,
    task: str,
    reporter: Reporter,
    source: str | None = None,
) -> None:
    """Draws batch by batch; one that is there stays.

    Batches are always the same, however often this was interrupted: a picture's last bits depend
    on those it is drawn with. With a `source`, in a folder that is not of one work alone, a picture
    is there only if it carries the mark of that, its request and its batch.
    """
    places, portion = list(wanted), drawing_portion(task, reporter.note)
    for start in range(0, len(places), settings.batch_size):
        paths = places[start : start + settings.batch_size]
        requests = [wanted[path] for path in paths]
        marks = [_mark(source, request, requests) for request in requests]
        if not all(map(_is_there, paths, marks)):
            pictures = generate(model, requests, settings, portion=portion)
            for path, picture, mark in zip(paths, pictures, marks, strict=True):
                save_picture(path, picture, mark)
        reporter.update(task, start + len(paths), len(places))


def _mark(source: str | None, request: Request, batch: Sequence[Request]) -> str | None:
    if source is None:
        return None
    return hash_json([source, asdict(request), [asdict(each) for each in batch]])


def _is_there(path: Path, mark: str | None) -> bool:
    return path.exists() if mark is None else read_mark(path) == mark


def draw_given(
    given: Given,
    settings: CommonSettings,
    device: torch.device,
    prompts: Sequence[Prompt],
    image_seeds: Sequence[int],
    drawing: GenerateSettings,
    folder: Path,
    reporter: Reporter,
) -> None:
    """The same for an artefact that somebody else trained, in the untouched model."""
    if (folder / "done").exists() and prompts_drawn(prompts, image_seeds, folder):
        return
    model = load_model(settings.model, device, settings.loading, settings.compute, masters=True)
    loaded = put_given(model, given)
    for part in (model.denoiser, *model.text_encoders):
        cast(part, model.compute.precision)
    texts = [fill(prompt.template, loaded.noun_phrase) for prompt in prompts]
    for note in loaded.notes:
        reporter.note(note)
    tell_long_prompts(reporter, model, texts)
    task = f"{given.title}, pictures"
    draw_prompts(model, loaded.noun_phrase, prompts, image_seeds, drawing, folder, task, reporter)
    write_atomic(folder / "done", "")
