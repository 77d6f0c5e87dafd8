"""The prompts of a suite drawn into a run's folder."""

from collections.abc import Sequence
from pathlib import Path

import torch

from pseudoword.families import load_model
from pseudoword.families.model import Model
from pseudoword.families.quantise import cast
from pseudoword.foreign.given import Given
from pseudoword.foreign.load import put_given
from pseudoword.generate import Request, generate
from pseudoword.progress import Reporter
from pseudoword.prompts import Prompt, fill
from pseudoword.runs import picture_path, write_atomic
from pseudoword.settings import CommonSettings, GenerateSettings
from pseudoword.single import save_picture, tell_long_prompts


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
    """Every prompt from every image seed into `folder`, batch by batch; one that is there stays.

    Batches are always the same, however often this was interrupted: a picture's last bits depend
    on those it is drawn with.
    """
    wanted = [(prompt, seed) for prompt in prompts for seed in image_seeds]
    for start in range(0, len(wanted), settings.batch_size):
        batch = wanted[start : start + settings.batch_size]
        paths = [picture_path(folder, prompt.id, seed) for prompt, seed in batch]
        if not all(path.exists() for path in paths):
            requests = [Request(fill(prompt.template, phrase), seed) for prompt, seed in batch]
            pictures = generate(model, requests, settings)
            for path, picture in zip(paths, pictures, strict=True):
                save_picture(path, picture)
        reporter.update(task, start + len(batch), len(wanted))


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
    if (folder / "done").exists():
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
