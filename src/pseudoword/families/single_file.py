"""A whole model in one .safetensors file in the original layout: read and written."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from pseudoword.disk import download_error
from pseudoword.errors import UserError
from pseudoword.families.configurations import (
    CONFIGURATIONS,
    Configuration,
    is_open_clip,
    read_configuration,
)
from pseudoword.families.detect import detect, refuse_others
from pseudoword.families.layouts import (
    CLIP_L_PROJECTION,
    DENOISER,
    HOMES,
    LEFT_OUT,
    T5,
    T5_COPY,
    Home,
)
from pseudoword.families.original import from_original, original_places, to_original
from pseudoword.runs import atomic_path


@dataclass
class Parts:
    """A model's parts in float32 on the CPU, and what was left out or decided in reading them.

    `scheduler` is as published or as in the configuration folder; the text encoders and tokenizers
    are in the family's order.
    """

    family: str
    denoiser: Any
    autoencoder: Any
    text_encoders: list[Any]
    tokenizers: list[Any]
    scheduler: Any
    notes: list[str] = field(default_factory=list)


class Reader(Mapping[str, Tensor]):
    """The tensors of an open file whose keys begin with `prefix`, float32, read when asked for."""

    def __init__(self, file: Any, keys: Mapping[str, str], prefix: str) -> None:
        self._file, self._keys, self._prefix = file, keys, prefix

    def __getitem__(self, key: str) -> Tensor:
        tensor: Tensor = self._file.get_tensor(self._keys[self._prefix + key])
        # A copy, for the file's pages are not aligned, on which the last bits of products depend.
        return tensor.to(torch.float32, copy=True)

    def __iter__(self) -> Iterator[str]:
        return (key[len(self._prefix) :] for key in self._keys if key.startswith(self._prefix))

    def __len__(self) -> int:
        return sum(1 for _ in self)


def load_single_file(path: Path, config_folder: Path | None, t5: bool = True) -> Parts:
    """Reads a model from one .safetensors file in the original layout.

    Sizes, schedule and tokenizers are those of the diffusers folder `config_folder`, else of the
    published model that the file's header tells; tokenizers then come from the hub or its cache.
    Raises UserError for another kind of file, keys that are missing or unknown, and tokenizers that
    cannot be had. Without `t5` that encoder is not read where there is one.
    """
    from safetensors import SafetensorError, safe_open

    if path.suffix != ".safetensors":
        raise UserError(f"--model {path} is no .safetensors file: convert it to that first.")
    try:
        opened = safe_open(path, "pt")
    except (OSError, SafetensorError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0][:150]
        raise UserError(f"--model {path} cannot be read ({reason}): fetch it again.") from None
    with opened as file:
        return _load(path, file, config_folder, t5)


def _load(path: Path, file: Any, config_folder: Path | None, t5: bool) -> Parts:
    shapes = {key: tuple(file.get_slice(key).get_shape()) for key in file.keys()}
    notes: list[str] = []
    try:
        refuse_others(shapes)
        name = None if config_folder else detect(shapes)
    except UserError as error:
        raise UserError(f"--model {path} does not fit: {error}") from None
    if config_folder:
        configuration = read_configuration(config_folder)
    else:
        configuration = published_configuration(file, str(name), notes)
    keys = {_current_name(key): key for key in shapes}
    if not t5:
        keys = {name: key for name, key in keys.items() if not name.startswith(T5.prefix)}
    homes = _present(path, configuration, keys, notes)
    encoders = [part for part in homes if part.startswith("text_encoder")]
    # What may fail comes before gigabytes are read.
    tokenizers = _tokenizers(path, configuration, config_folder, encoders)
    modules = {part: empty_module(home, configuration.parts[part]) for part, home in homes.items()}
    _check_keys(path, keys, homes, modules, notes)
    for part, module in modules.items():
        _fill(path, module, homes[part], Reader(file, keys, homes[part].prefix))
    return Parts(
        family=configuration.family,
        denoiser=modules["transformer" if "transformer" in modules else "unet"],
        autoencoder=modules["vae"],
        text_encoders=[modules[part] for part in encoders],
        tokenizers=tokenizers,
        scheduler=_scheduler(configuration.scheduler, keys, notes),
        notes=notes,
    )


def published_configuration(file: Any, name: str, notes: list[str]) -> Configuration:
    """The configuration `name`; of SD 2.x the one whose objective the open file shows."""
    if name == "sd-2.1":
        told = (file.metadata() or {}).get("modelspec.prediction_type")
        if told in ("v", "epsilon"):
            predicts_v = told == "v"
        else:
            # As ComfyUI tells them apart: this bias spreads wider where v is predicted. A file
            # without it is told to lack it below.
            last = f"{DENOISER}output_blocks.11.1.transformer_blocks.0.norm1.bias"
            whole = last in file.keys()
            predicts_v = whole and bool(file.get_tensor(last).float().std(unbiased=False) > 0.09)
        name = "sd-2.1" if predicts_v else "sd-2.1-base"
        objective = "v-prediction, 768 px" if predicts_v else "epsilon-prediction, 512 px"
        notes.append(f"taken for {objective}: name --config-folder FOLDER if it is not")
    return CONFIGURATIONS[name]


def _current_name(key: str) -> str:
    """Early files of SD 1.x lack a level in their text encoder's names."""
    return re.sub(
        r"^(cond_stage_model\.transformer\.)(embeddings|encoder|final_layer_norm)\.",
        r"\1text_model.\2.",
        key,
    )


def _present(
    path: Path, configuration: Configuration, keys: Mapping[str, str], notes: list[str]
) -> dict[str, Home]:
    """The parts that are in the file. Only T5 may be left out."""
    homes = {part: HOMES[configuration.family][part] for part in configuration.parts}
    absent = [
        part for part, home in homes.items() if not any(key.startswith(home.prefix) for key in keys)
    ]
    if absent == ["text_encoder_3"]:
        notes.append(
            "T5 is not wanted, or not in the file: prompts are read by the two CLIP encoders alone"
        )
        del homes["text_encoder_3"]
    elif absent:
        raise UserError(
            f"--model {path} holds no {', '.join(absent)}:\n"
            "name the file that has them included, or the model's folder in the diffusers layout."
        )
    return homes


def empty_module(home: Home, options: dict[str, Any]) -> Any:
    """A module without values."""
    import diffusers
    import transformers
    from accelerate import init_empty_weights

    # The buffers of diffusers' modules come from the file; transformers' own are not in it.
    with init_empty_weights(include_buffers=home.library == "diffusers"):
        if home.library == "diffusers":
            return getattr(diffusers, home.class_name).from_config(options)
        module_class = getattr(transformers, home.class_name)
        return module_class(module_class.config_class.from_dict(options))


def module_config(module: Any) -> dict[str, Any]:
    """A module's whole configuration, of diffusers or of transformers."""
    config = module.config
    return config.to_dict() if hasattr(config, "to_dict") else dict(config)


def _names(home: Home, module: nn.Module) -> list[str]:
    """The tensors of a module, each once."""
    return [name for name in module.state_dict() if home.kind != "t5" or name != T5_COPY]


def _check_keys(
    path: Path,
    keys: Mapping[str, str],
    homes: Mapping[str, Home],
    modules: Mapping[str, Any],
    notes: list[str],
) -> None:
    """Every tensor has its key and every key its tensor, or what is left out is told."""
    wanted = set()
    for part, home in homes.items():
        module = modules[part]
        places = original_places(home.kind, _names(home, module), module_config(module))
        wanted |= {home.prefix + place.key for place in places.values()}
    missing = sorted(wanted - {CLIP_L_PROJECTION} - set(keys))
    copies = {home.prefix + T5_COPY for home in homes.values() if home.kind == "t5"}
    rest = sorted(set(keys) - wanted - copies)
    left_out: dict[str, int] = {}
    unknown = []
    for key in rest:
        what = next((what for form, what in LEFT_OUT.items() if re.match(form, key)), None)
        if what:
            left_out[what] = left_out.get(what, 0) + 1
        else:
            unknown.append(key)
    for trouble, found in (("lacks", missing), ("has unknown", unknown)):
        if found:
            more = f" and {len(found) - 3} more" if len(found) > 3 else ""
            raise UserError(
                f"--model {path} {trouble} {', '.join(found[:3])}{more}:\n"
                "fetch it again, or name a diffusers folder of its size with --config-folder."
            )
    notes += [f"left out of the file: {what} ({count})" for what, count in left_out.items()]
    if CLIP_L_PROJECTION in wanted - set(keys):
        notes.append("the file has no projection of CLIP-L: the pooled text is taken as it is")


def _fill(path: Path, module: Any, home: Home, reader: Reader) -> None:
    """Reads a module's values. Raises UserError where one has another shape."""
    names = _names(home, module)
    identity = "text_projection.weight"
    absent = home.prefix + identity == CLIP_L_PROJECTION and identity not in reader
    if absent:
        names.remove(identity)
    state = from_original(home.kind, reader, module_config(module), names)
    if absent:
        state[identity] = torch.eye(module.config.projection_dim, module.config.hidden_size)
    shapes = {name: tensor.shape for name, tensor in module.state_dict().items()}
    for name, tensor in state.items():
        if tensor.shape != shapes[name]:
            raise UserError(
                f"--model {path}: {home.prefix}{name} is {tuple(tensor.shape)} and should be "
                f"{tuple(shapes[name])}:\nname a diffusers folder of its size with --config-folder."
            )
    module.load_state_dict(state, assign=True, strict=home.kind != "t5")
    if home.kind == "t5":
        module.set_input_embeddings(module.shared)
    module.requires_grad_(False).eval()


def _scheduler(options: dict[str, Any], keys: Mapping[str, str], notes: list[str]) -> Any:
    """The scheduler; files of SDXL mark another objective by keys without values."""
    import diffusers

    changes: dict[str, Any] = {}
    if "v_pred" in keys:
        changes["prediction_type"] = "v_prediction"
    if "ztsnr" in keys:
        changes["rescale_betas_zero_snr"] = True
    notes += [f"the file is marked for {name} = {value}" for name, value in changes.items()]
    scheduler_class = getattr(diffusers, options["_class_name"])
    return scheduler_class.from_config(options | changes)


def _tokenizers(
    path: Path, configuration: Configuration, folder: Path | None, encoders: Sequence[str]
) -> list[Any]:
    import transformers

    parts = [part.replace("text_encoder", "tokenizer") for part in encoders]
    place = folder or _hub_folder(path, str(configuration.repository), parts)
    tokenizers = []
    for part in parts:
        tokenizer_class = "T5TokenizerFast" if part == "tokenizer_3" else "CLIPTokenizer"
        if not (place / part).is_dir():
            raise UserError(f"--config-folder {place} has no {part}: name a whole model folder.")
        tokenizers.append(getattr(transformers, tokenizer_class).from_pretrained(place / part))
    return tokenizers


def _hub_folder(path: Path, repository: str, parts: Sequence[str]) -> Path:
    """A folder with the tokenizers of a hub repository, fetched where it is not cached."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    reason = "its cached copy has none"
    try:
        folder = Path(snapshot_download(repository, allow_patterns=["tokenizer*/**"]))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        if told := download_error(error):
            raise told from None
        reason = (str(error).splitlines() or [type(error).__name__])[0][:100]
    else:
        if all((folder / part).is_dir() for part in parts):
            return folder
    raise UserError(
        f"--model {path} needs the tokenizers of {repository}, which cannot be had ({reason}).\n"
        "Go online once, or name a diffusers folder that has them: --config-folder FOLDER."
    )


def write_single_file(
    path: Path,
    denoiser: Any,
    autoencoder: Any,
    text_encoders: Sequence[Any],
    metadata: Mapping[str, str] | None = None,
    scheduler: Mapping[str, Any] | None = None,
) -> None:
    """Writes a model as one .safetensors file in the original layout, values as they are.

    The text encoders are in the family's order. `metadata` goes into the header. An SDXL that
    predicts velocity, as `scheduler` tells, is marked as programs look for it. Raises UserError
    where the original layout has no name for a tensor.
    """
    from safetensors.torch import save_file

    homes = list(HOMES[layout_of(denoiser, text_encoders)].values())
    tensors: dict[str, Tensor] = {}
    for home, module in zip(homes, [denoiser, autoencoder, *text_encoders], strict=False):
        values = module.state_dict()
        state = {name: value.detach().cpu() for name, value in values.items()}
        original = to_original(home.kind, state, module_config(module))
        tensors |= {home.prefix + key: value.contiguous() for key, value in original.items()}
        if home.kind == "t5":
            tensors[home.prefix + T5_COPY] = tensors[home.prefix + T5_COPY].clone()
    if len(text_encoders) == 2 and scheduler is not None:
        tensors |= {mark: torch.empty(0) for mark in _marks(scheduler)}
    with atomic_path(path) as temporary:
        save_file(tensors, temporary, {"format": "pt", **(metadata or {})})


def _marks(scheduler: Mapping[str, Any]) -> list[str]:
    """Keys without values by which programs tell an SDXL of another objective."""
    marks = ["v_pred"] if scheduler.get("prediction_type") == "v_prediction" else []
    return marks + (["ztsnr"] if scheduler.get("rescale_betas_zero_snr") else [])


def layout_of(denoiser: Any, text_encoders: Sequence[Any]) -> str:
    if "joint_attention_dim" in denoiser.config:
        return "sd3"
    if len(text_encoders) > 1:
        return "sdxl"
    return "sd2" if is_open_clip(module_config(text_encoders[0])) else "sd1"
