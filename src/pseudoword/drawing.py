"""Prompts drawn into a run's folder."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from pseudoword.families import load_model
from pseudoword.families.model import Model
from pseudoword.families.quantise import cast
from pseudoword.foreign.given import Given
from pseudoword.foreign.load import put_given
from pseudoword.generate import Request, drawing_portion, generate
from pseudoword.progress import Reporter
from pseudoword.prompts import DriftPrompt, Prompt, fill
from pseudoword.runs import (
    DRIFT,
    IMAGES,
    drift_path,
    names_in,
    picture_name,
    picture_path,
    write_atomic,
)
from pseudoword.settings import CommonSettings, GenerateSettings
from pseudoword.single import save_picture, tell_long_prompts

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


def _draw(
    model: Model,
    wanted: Mapping[Path, Request],
    settings: GenerateSettings,
    task: str,
    reporter: Reporter,
) -> None:
    """Draws batch by batch; one that is there stays.

    Batches are always the same, however often this was interrupted: a picture's last bits depend
    on those it is drawn with.
    """
    places, portion = list(wanted), drawing_portion(task, reporter.note)
    for start in range(0, len(places), settings.batch_size):
        paths = places[start : start + settings.batch_size]
        if not all(path.exists() for path in paths):
            pictures = generate(model, [wanted[path] for path in paths], settings, portion=portion)
            for path, picture in zip(paths, pictures, strict=True):
                save_picture(path, picture)
        reporter.update(task, start + len(paths), len(places))


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
