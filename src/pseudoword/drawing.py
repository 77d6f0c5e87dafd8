"""The prompts of a suite drawn into a run's folder."""

from collections.abc import Sequence
from pathlib import Path

from pseudoword.families.model import Model
from pseudoword.generate import Request, generate
from pseudoword.progress import Reporter
from pseudoword.prompts import Prompt, fill
from pseudoword.runs import picture_path
from pseudoword.settings import GenerateSettings
from pseudoword.single import save_picture


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
