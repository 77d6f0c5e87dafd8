"""Which method is written how in which format."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pseudoword.artefact import LoadedRun
from pseudoword.export import embedding, lora, pipeline
from pseudoword.export.verify import Reloaded
from pseudoword.families.model import Model


def _own_phrase(run: LoadedRun) -> str:
    return run.noun_phrase


@dataclass(frozen=True)
class Writer:
    """`write` fills a folder and names what is to be loaded; `reload` loads and checks that.

    `noun_phrase` is how the format's home words the concept.
    """

    write: Callable[[LoadedRun, Path], str]
    reload: Callable[[LoadedRun, Model, Path], Reloaded]
    noun_phrase: Callable[[LoadedRun], str] = _own_phrase


WRITERS: dict[tuple[str, str], Writer] = {
    ("textual-inversion", "diffusers"): Writer(
        embedding.write_diffusers, embedding.reload_embedding, pipeline.first_word
    ),
    ("textual-inversion", "a1111"): Writer(
        embedding.write_a1111, embedding.reload_embedding, embedding.file_word
    ),
    ("textual-inversion", "checkpoint"): Writer(
        pipeline.write_extended_vocabulary,
        pipeline.reload_extended_vocabulary,
        pipeline.first_word,
    ),
    ("dreambooth", "diffusers"): Writer(pipeline.write_pipeline, pipeline.reload_pipeline),
    ("dreambooth", "checkpoint"): Writer(pipeline.write_pipeline, pipeline.reload_pipeline),
    ("lora", "diffusers"): Writer(lora.write_diffusers, lora.reload_by_diffusers),
    ("lora", "kohya"): Writer(lora.write_kohya, lora.reload_by_diffusers),
    ("lora", "peft"): Writer(lora.write_peft, lora.reload_by_peft),
    ("lora", "checkpoint"): Writer(pipeline.write_merged_lora, pipeline.reload_merged_lora),
}
