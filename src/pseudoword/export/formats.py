"""What each format can hold, how it is written, loaded again and told of in a model card."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pseudoword.artefact import LoadedRun
from pseudoword.export import adapter_folders, kohya, lora, whole, words
from pseudoword.export.lycoris import KINDS
from pseudoword.export.modelspec import naming_of
from pseudoword.export.parts import adapted_parts, adapter_kinds, diffusers_phrase
from pseudoword.export.verify import Reloaded
from pseudoword.families.model import Model


@dataclass(frozen=True)
class Format:
    """`refusal` says why a run cannot be held, or None where it can.

    `write` fills a folder and names what is to be loaded, `reload` loads and checks that, and
    `phrase` is how the format's home words the concept. `whole` tells whether what is written is a
    whole model, in which the run's strength is merged. For the model card `usage` gives lines of
    Python that make a `pipeline` of what was written, none where no library reads it, and `hint`
    tells how other programs load it.
    """

    refusal: Callable[[LoadedRun], str | None]
    write: Callable[[LoadedRun, Path], str]
    reload: Callable[[LoadedRun, Model, Path], Reloaded]
    phrase: Callable[[LoadedRun], str]
    usage: Callable[[LoadedRun, str], list[str]]
    hint: Callable[[LoadedRun, str], str] = lambda run, main: ""
    whole: Callable[[LoadedRun], bool] = lambda run: False


def learns(run: LoadedRun) -> frozenset[str]:
    return type(run.method).learns


def _diffusers_refusal(run: LoadedRun) -> str | None:
    kinds = adapter_kinds(run.model)
    if "weights" in learns(run) or not kinds:
        return None
    if not kinds <= {"lora", "dora"}:
        return f"diffusers loads adapters of LoRA and DoRA, not of {_listed(kinds)}"
    if not set(adapted_parts(run.model)) <= set(lora.READ):
        return "diffusers loads no adapters of the third text encoder"
    return None


def _kohya_refusal(run: LoadedRun) -> str | None:
    refusal = _adapters_refusal(run)
    if refusal:
        return refusal
    kinds = adapter_kinds(run.model)
    if kinds & {"oft", "boft"}:
        return "peft's rotations turn what goes into a matrix, this format's what comes out of it"
    if not kinds <= KINDS.keys() or len(kinds) > 1:
        return f"it has no keys for {_listed(kinds)}"
    if naming_of(run.model).base is None:
        return f"no public loader proves such files for {run.model.family}"
    return None


def _adapters_refusal(run: LoadedRun) -> str | None:
    if "weights" in learns(run):
        return "it holds adapters, and the run changed weights of the model itself"
    return None if adapted_parts(run.model) else "it holds adapters, and the run has none"


def _words_refusal(run: LoadedRun) -> str | None:
    if learns(run) != {"words"}:
        return "it holds new words, and the run learnt something else"
    return None


def _file_refusal(run: LoadedRun) -> str | None:
    if "words" in learns(run):
        return "such a file has no tokenizer, and without one new words are lost"
    if whole.loses_projection(run.model):
        return "its text projection learnt too, and programs take none from such a file"
    return None


def _listed(kinds: set[str]) -> str:
    return " and ".join(sorted(kinds))


def _is_whole(run: LoadedRun) -> bool:
    """Changed weights are a whole model to diffusers: it has no format for them.

    Its loader for Custom Diffusion, `load_attn_procs`, does nothing unless it is called by an
    argument that it does not document, and reads no safetensors file that it wrote itself.
    """
    return "weights" in learns(run)


def _write_diffusers(run: LoadedRun, folder: Path) -> str:
    return (whole.write_folder if _is_whole(run) else lora.write)(run, folder)


def _reload_diffusers(run: LoadedRun, untouched: Model, path: Path) -> Reloaded:
    return (whole.reload_folder if _is_whole(run) else lora.reload)(run, untouched, path)


def _diffusers_usage(run: LoadedRun, main: str) -> list[str]:
    return (whole.folder_usage if _is_whole(run) else lora.usage)(run, main)


WRITERS: dict[str, Format] = {
    "diffusers": Format(
        _diffusers_refusal,
        _write_diffusers,
        _reload_diffusers,
        diffusers_phrase,
        _diffusers_usage,
        whole=_is_whole,
    ),
    "kohya": Format(
        _kohya_refusal, kohya.write, kohya.reload, kohya.phrase, kohya.usage, kohya.hint
    ),
    "a1111": Format(
        _words_refusal,
        words.write_a1111,
        words.reload_a1111,
        words.file_word,
        words.usage_of_file,
        words.hint,
    ),
    "peft": Format(
        _adapters_refusal,
        adapter_folders.write,
        adapter_folders.reload,
        diffusers_phrase,
        adapter_folders.usage,
    ),
    "checkpoint": Format(
        lambda run: None,
        whole.write_folder,
        whole.reload_folder,
        diffusers_phrase,
        whole.folder_usage,
        whole=lambda run: True,
    ),
    "single-file": Format(
        _file_refusal,
        whole.write_file,
        whole.reload_file,
        lambda run: run.noun_phrase,
        whole.file_usage,
        whole.file_hint,
        lambda run: True,
    ),
}
"""By name, as in FORMATS."""


def fitting(run: LoadedRun) -> list[str]:
    """The formats that can hold what a run learnt."""
    return [name for name, row in WRITERS.items() if row.refusal(run) is None]
