"""A whole model with the concept merged in: as a diffusers folder, or as one file."""

import tempfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from pseudoword.artefact import LoadedRun
from pseudoword.export.modelspec import architecture_of, model_metadata
from pseudoword.export.parts import (
    absent_parts,
    diffusers_phrase,
    file_stem,
    merged_weight,
    named_parts,
    new_words,
    pipeline_of,
    tuner_layers,
    word_rows,
)
from pseudoword.export.verify import Reloaded, require_equal, require_names
from pseudoword.export.words import put_words
from pseudoword.families import load_again
from pseudoword.families.model import Model
from pseudoword.families.single_file import layout_of, write_single_file
from pseudoword.methods.words import LEGACY_END, WithNewRows

T5 = "text_encoder_3"


class Merged:
    """The values that the untouched part would have, had it learnt what `part` has.

    Of adapters `strength` times what they change counts; weights that learnt have it in them.
    """

    def __init__(self, part: nn.Module, strength: float) -> None:
        self._strength = strength
        self._state, self._layers = part.state_dict(), tuner_layers(part)
        # T5 has its table in two places.
        modules = part.named_modules(remove_duplicate=False)
        self.tables = {name: m for name, m in modules if isinstance(m, WithNewRows)}

    def __getitem__(self, name: str) -> Tensor:
        """By its name in the untouched part; of embedding tables the old words' rows."""
        module, _, kind = name.rpartition(".")
        if module in self.tables:
            return self.tables[module].table.weight.detach()
        if module not in self._layers:
            return self._state[name]
        layer = self._layers[module]
        if kind == "weight":
            return merged_weight(layer, self._strength)
        value: Tensor = layer.get_base_layer().state_dict()[kind]
        return value


@torch.no_grad()
def merge(run: LoadedRun) -> Model:
    """The run's model with its adapters in its weights and its words in its tables."""
    model = load_again(run.model)
    for own, plain in zip(_parts(run.model), _parts(model), strict=True):
        values = Merged(own, run.choice.strength)
        for name, value in plain.state_dict().items():
            value.copy_(values[name])
    words = new_words(run.model)
    if words:
        encoders = zip(model.text_encoders, model.tokenizers, word_rows(run.model), strict=True)
        for encoder, tokenizer, rows in encoders:
            put_words(encoder, tokenizer, words, rows)
            # Early CLIP would take a new word, whose id is the largest, for the end of the text.
            if encoder.config.eos_token_id == LEGACY_END:
                encoder.config.eos_token_id = tokenizer.eos_token_id
    return model


def _parts(model: Model) -> list[Any]:
    return [*named_parts(model).values(), model.autoencoder]


def write_folder(run: LoadedRun, folder: Path) -> str:
    """Every part in diffusers' layout."""
    pipeline_of(merge(run)).save_pretrained(folder, safe_serialization=True)
    return "."


def reload_folder(run: LoadedRun, untouched: Model, path: Path) -> Reloaded:
    """Through `DiffusionPipeline.from_pretrained`."""
    from diffusers import DiffusionPipeline

    # diffusers will not load a model without T5 unless it is told so.
    absent = dict.fromkeys(absent_parts(untouched))
    pipeline = DiffusionPipeline.from_pretrained(
        path, use_safetensors=True, dtype=torch.float32, local_files_only=True, **absent
    ).to(run.model.device)
    _require_merged(run, untouched, pipeline)
    loader = "DiffusionPipeline.from_pretrained of diffusers"
    return Reloaded(pipeline, diffusers_phrase(run), loader)


def write_file(run: LoadedRun, folder: Path) -> str:
    """Every part in the original layout, in one file."""
    model, title = merge(run), file_stem(run)
    metadata = {
        "modelspec.architecture": architecture_of(model),
        **model_metadata(model, title, run.noun_phrase),
    }
    path = folder / f"{title}.safetensors"
    write_single_file(
        path,
        model.denoiser,
        model.autoencoder,
        model.text_encoders,
        metadata,
        model.scheduler_config,
    )
    return path.name


def reload_file(run: LoadedRun, untouched: Model, path: Path) -> Reloaded:
    """Through `from_single_file`, with the configuration and tokenizers of the untouched model."""
    base = pipeline_of(untouched)
    absent = dict.fromkeys(absent_parts(untouched))
    with tempfile.TemporaryDirectory() as folder:
        _save_configuration(base, Path(folder))
        pipeline = (
            type(base)
            .from_single_file(
                str(path), config=folder, local_files_only=True, torch_dtype=torch.float32, **absent
            )
            .to(run.model.device)
        )
    # It leaves T5 in training mode, in which a part of what it computes is dropped.
    if getattr(pipeline, T5, None) is not None:
        getattr(pipeline, T5).eval()
    _require_merged(run, untouched, pipeline)
    loader = f"{type(base).__name__}.from_single_file of diffusers"
    return Reloaded(pipeline, run.noun_phrase, loader)


def _save_configuration(pipeline: Any, folder: Path) -> None:
    """A diffusers folder without weights."""
    from diffusers import ModelMixin

    pipeline.save_config(folder)
    for name, part in pipeline.components.items():
        if isinstance(part, ModelMixin):
            part.save_config(folder / name)
        elif isinstance(part, nn.Module):
            config: Any = part.config
            config.save_pretrained(folder / name)
        elif part is not None:
            part.save_pretrained(folder / name)


def _require_merged(run: LoadedRun, untouched: Model, pipeline: Any) -> None:
    words = new_words(run.model)
    loaded = {name: getattr(pipeline, name) for name in (*named_parts(untouched), "vae")}
    parts = zip(loaded.items(), _parts(run.model), _parts(untouched), strict=True)
    for index, ((part, actual), own, plain) in enumerate(parts):
        values, state = Merged(own, run.choice.strength), actual.state_dict()
        require_names(part, state, plain.state_dict())
        for name, value in state.items():
            expected = values[name]
            if name.rpartition(".")[0] in values.tables:
                # The denoiser comes first.
                tokenizer = run.model.tokenizers[index - 1]
                rows = word_rows(run.model)[index - 1]
                expected = value.clone()
                expected[: len(values[name])] = values[name]
                expected[tokenizer.convert_tokens_to_ids(words)] = rows
            require_equal(part, {name: value}, {name: expected})


def loses_projection(model: Model) -> bool:
    """Whether CLIP-L's projection of the pooled text is one that the layout has no place for.

    Programs take that text of Stable Diffusion 3 as it is, whatever the file holds.
    """
    if layout_of(model.denoiser, model.text_encoders) != "sd3":
        return False
    weight = model.text_encoders[0].text_projection.weight
    return not torch.equal(weight, torch.eye(*weight.shape).to(weight))


def folder_usage(run: LoadedRun, main: str) -> list[str]:
    absent = "".join(f", {name}=None" for name in absent_parts(run.model))
    return [
        "from diffusers import DiffusionPipeline",
        "",
        f'pipeline = DiffusionPipeline.from_pretrained("."{absent})',
    ]


def file_usage(run: LoadedRun, main: str) -> list[str]:
    name = type(pipeline_of(run.model)).__name__
    absent = "".join(f", {name}=None" for name in absent_parts(run.model))
    lines = [
        f"from diffusers import {name}",
        "",
        f'pipeline = {name}.from_single_file("{main}", config=BASE{absent})',
    ]
    if T5 in named_parts(run.model):
        lines.append(f"pipeline.{T5}.eval()  # diffusers leaves it in training mode")
    return lines


def file_hint(run: LoadedRun, main: str) -> str:
    return (
        f"ComfyUI: put `{main}` into `models/checkpoints`. A1111 and Forge: put it into "
        "`models/Stable-diffusion`."
    )
