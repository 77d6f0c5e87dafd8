"""Typed settings: one definition each, whence YAML, command line, Python and docs come."""

import reprlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from pseudoword.errors import UserError, printable

if TYPE_CHECKING:
    from pydantic import ValidationError

MOST_YAML = 4 * 2**20
"""Bytes."""
MOST_VALUES = 100_000
"""Values in a YAML file, its aliases written out."""

Effort = Literal["quick", "standard", "thorough"]
Precision = Literal["auto", "fp32", "bf16", "fp16"]
Quantise = Literal["none", "int8", "nf4"]
TimestepSampling = Literal["auto", "uniform", "logit-normal"]


class Settings(BaseModel):
    """Frozen, strict about names: a misspelt setting is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class LoadSettings(Settings):
    """How a model is loaded."""

    t5: bool = Field(
        default=False,
        description="Stable Diffusion 3: load the third text encoder, T5, too (10 to 19 GB)",
    )
    config_folder: str = Field(
        default="",
        description="for a single .safetensors file: a diffusers folder whose configuration and "
        "tokenizers are its own; empty for the published ones",
    )


class ObjectiveSettings(Settings):
    """What every method's loss is, besides the model's own objective."""

    timesteps: TimestepSampling = Field(
        default="auto",
        description="how timesteps are drawn: all alike, or those in the middle more often "
        "(auto: as the model was trained)",
    )
    min_snr_gamma: float = Field(
        default=0.0,
        ge=0,
        description="gamma of min-SNR weights of the losses (arXiv 2303.09556 uses 5); 0 for none",
    )
    noise_offset: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="deviation of a constant added to each channel's noise, for very dark and "
        "bright pictures; 0 for none",
    )


class DrawingCompute(Settings):
    """How computing is done, as far as drawing goes."""

    precision: Precision = Field(
        default="auto",
        description="of frozen weights and of products; what learns stays in fp32 (auto: fp32 on a "
        "CPU, on a CUDA GPU bf16 if it has that, else fp16)",
    )
    quantise: Quantise = Field(
        default="none",
        description="pack the matrices of denoiser and text encoders in 8 or 4 bits, for methods "
        "that leave them as they are",
    )
    offload: bool = Field(
        default=False,
        description="draw with text encoders, denoiser and autoencoder on the GPU only while they "
        "work",
    )


class ComputeSettings(DrawingCompute):
    """How computing is done."""

    gradient_checkpointing: bool = Field(
        default=False, description="compute activations twice instead of keeping them"
    )
    optimizer: Literal["adamw", "adamw-8bit"] = Field(
        default="adamw", description="AdamW with moments in 32 or 8 bits"
    )
    compile: bool = Field(
        default=False,
        description="compile the denoiser before it trains (torch.compile): minutes before the "
        "first step, faster ones after it",
    )


class CheckpointSettings(Settings):
    """How often a training is saved. Results do not depend on it."""

    checkpoint_seconds: float = Field(
        default=0.0,
        ge=0,
        description="seconds between two checkpoints of a training; 0 for 60, or as many more as "
        "keep writing below 2 % of the time",
    )
    checkpoint_steps: int = Field(
        default=0,
        ge=0,
        description="steps between two checkpoints, if that comes first; 0 to go by seconds alone",
    )


class CommonSettings(Settings):
    """What every command that computes can be told."""

    model: str = Field(
        default="toybox",
        description="model: a name, a diffusers folder, a .safetensors file or a hub name",
    )
    loading: LoadSettings = Field(
        default_factory=LoadSettings, description="how the model is loaded"
    )
    device: str = Field(default="auto", description="auto, cpu, cuda or cuda:N")
    compute: ComputeSettings = Field(
        default_factory=ComputeSettings, description="how computing is done"
    )


class PhotoSettings(Settings):
    """How photos become what is trained on."""

    captions: bool = Field(default=True, description="take captions from files beside the photos")
    masks: bool = Field(default=True, description="weight the loss by masks beside the photos")
    buckets: bool = Field(
        default=False,
        description="keep each photo's shape, in buckets of about the model's area, instead of a "
        "square crop",
    )
    crops: int = Field(
        default=0, ge=0, le=16, description="random crops a photo beside the central one"
    )
    flip: bool = Field(default=False, description="mirrored copies too")


class TrainSettings(CommonSettings):
    """One method on one concept."""

    class_noun: str = Field(description='what the pictures show, in a word or two: "mug"')
    method: str = Field(default="lora", description="see `pseudoword methods`, or FILE.py:NAME")
    seed: int = Field(
        default=0, ge=0, lt=2**31, description="seed of noise, timesteps and starting weights"
    )
    options: dict[str, Any] = Field(
        default_factory=dict, description="settings of the method: steps=500,learning_rate=1e-3"
    )
    objective: ObjectiveSettings = Field(
        default_factory=ObjectiveSettings, description="how losses are weighted"
    )
    snapshots: int = Field(default=3, ge=0, description="artefacts kept on the way, evenly spaced")
    hold_out: bool = Field(default=True, description="keep one photo of four or more for scoring")
    checkpoints: CheckpointSettings = Field(
        default_factory=CheckpointSettings, description="how often a training is saved"
    )
    intake: PhotoSettings = Field(default_factory=PhotoSettings, description="how photos are read")


class GenerateSettings(Settings):
    """How pictures are drawn."""

    sampler: Literal["auto", "dpm++", "ddim", "euler"] = Field(
        default="auto",
        description="sampler (auto: dpm++, or euler for Stable Diffusion 3)",
    )
    sampling_steps: int = Field(default=20, ge=1, description="denoiser steps a picture")
    guidance_scale: float = Field(
        default=4.0, ge=0, description="weight of the prompt (classifier-free guidance)"
    )
    batch_size: int = Field(default=8, ge=1, description="pictures drawn at once")


class DrawSettings(GenerateSettings):
    """How pictures of a run are drawn, and computed."""

    compute: DrawingCompute = Field(
        default_factory=DrawingCompute, description="how computing is done"
    )
    checkpoint: int = Field(
        default=0,
        ge=0,
        description="step of the snapshot to draw with; 0 for the one that the run's study chose, "
        "or else the end of training",
    )
    strength: float | None = Field(
        default=None,
        ge=0,
        le=2,
        description="how much what was learnt counts (the scale of a LoRA), if the method has one; "
        "without it what the run's study chose for this checkpoint, or else 1",
    )


class StudySettings(CommonSettings):
    """A comparison of methods on one concept."""

    class_noun: str = Field(description='what the pictures show, in a word or two: "mug"')
    methods: list[str] = Field(
        default=["textual-inversion", "dreambooth", "lora"],
        description="methods to compare; FILE.py:NAME for one of your own",
    )
    seeds: int = Field(default=3, ge=1, le=100, description="training seeds a method")
    effort: Effort = Field(
        default="standard", description="how long to train and how many pictures"
    )
    pictures: int = Field(
        default=0, ge=0, le=100, description="pictures a prompt; 0 for as many as the effort says"
    )
    select: bool = Field(
        default=True,
        description="choose each method's checkpoint and strength on validation prompts; without, "
        "the end of training at strength 1 is taken",
    )
    strengths: list[Annotated[float, Field(ge=0, le=2)]] = Field(
        default=[],
        description="inference strengths (LoRA scales) to choose from beside 1; empty for those of "
        "the effort, 1 for no other",
    )
    suite: str = Field(
        default="auto",
        description="prompts: toybox, classic, dreambooth, dreambooth-object, dreambooth-live, or "
        "auto for those that suit the model",
    )
    prompts: list[str] = Field(
        default_factory=list,
        description="your own prompts with {} instead of a suite; a kind may stand before one: "
        '"style: a sketch of a {}"',
    )
    artefacts: list[str] = Field(
        default_factory=list,
        description="PHRASE=FILE, a LoRA, embedding or adapter folder that another trainer made, "
        "compared beside the methods; PHRASE words the concept with it, and FILE@0.8 lets it "
        'count 0.8 times: "sks mug=mylora.safetensors@0.8"',
    )
    options: dict[str, dict[str, Any]] = Field(
        default_factory=dict, description="settings by method, in a config file"
    )
    objective: ObjectiveSettings = Field(
        default_factory=ObjectiveSettings, description="how losses are weighted"
    )
    checkpoints: CheckpointSettings = Field(
        default_factory=CheckpointSettings, description="how often a training is saved"
    )
    clip_encoder: str = Field(default="auto", description="encoder in CLIP's role")
    dino_encoder: str = Field(default="auto", description="encoder in DINO's role")
    inception_encoder: str = Field(
        default="auto", description="encoder in Inception's role; FID needs another than DINO's"
    )
    intake: PhotoSettings = Field(default_factory=PhotoSettings, description="how photos are read")
    generate: GenerateSettings = Field(
        default_factory=GenerateSettings, description="how pictures are drawn"
    )


class EffortRow(Settings):
    """What an effort means.

    A factor on every method's steps; pictures of each final prompt, of each validation prompt by
    each candidate, and of each prompt without the concept; inference strengths beside 1.
    """

    step_factor: float
    pictures: int
    validation_pictures: int
    drift_pictures: int
    strengths: tuple[float, ...]


EFFORTS: dict[str, EffortRow] = {
    "quick": EffortRow(
        step_factor=1.0, pictures=2, validation_pictures=1, drift_pictures=1, strengths=()
    ),
    "standard": EffortRow(
        step_factor=1.5,
        pictures=4,
        validation_pictures=2,
        drift_pictures=2,
        strengths=(0.5, 0.75),
    ),
    "thorough": EffortRow(
        step_factor=3.0,
        pictures=8,
        validation_pictures=4,
        drift_pictures=4,
        strengths=(0.25, 0.5, 0.75, 1.25),
    ),
}


def explain(error: "ValidationError", what: str) -> str:
    """A validation error in at most two lines that name the settings."""
    lines = []
    for problem in error.errors()[:2]:
        name = printable(".".join(str(part) for part in problem["loc"]))[:60] or what
        given = reprlib.repr(problem.get("input"))[:60]
        lines.append(f"{name}: {problem['msg'].lower()} (got {given})")
    return f"{what}: " + "; ".join(lines)


def read_config(path: Path) -> dict[str, Any]:
    """The settings in a YAML file. Raises UserError where it cannot be read."""
    values = read_yaml(path, f"--config {printable(str(path))}")
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise UserError(f"--config {path} must hold settings as `name: value` lines.")
    return {str(key).replace("-", "_"): value for key, value in values.items()}


def read_yaml(path: Path, name: str, texts: bool = False) -> Any:
    """The value in a YAML file, all scalars as they are written if `texts`.

    Raises UserError, which calls the file `name`, where it cannot be read.
    """
    import yaml

    loader = yaml.BaseLoader if texts else yaml.SafeLoader
    try:
        if path.stat().st_size > MOST_YAML:
            raise UserError(f"{name} is larger than {MOST_YAML // 2**20} MiB: cut it down.")
        value = yaml.load(path.read_text(encoding="utf-8"), loader)
        expanded_size(value)
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{name} cannot be read: {error}") from None
    # Of a date or number that is none, and of a key that is no key, PyYAML says so in these ways.
    except (yaml.YAMLError, ValueError, TypeError, AttributeError, LookupError) as error:
        problem = printable((str(error).splitlines() or [type(error).__name__])[0])[:100]
        raise UserError(f"{name} is not YAML ({problem}): mend it there.") from None
    except RecursionError:
        raise UserError(f"{name} is nested too deeply: mend it there.") from None
    return value


def expanded_size(value: Any, known: dict[int, int] | None = None) -> int:
    """How many values a nested value would have if it were written out in full.

    With aliases a few lines of YAML can stand for billions. Raises ValueError where there are more
    than MOST_VALUES, or a value holds itself.
    """
    if not isinstance(value, list | dict):
        return 1
    known = {} if known is None else known
    # While it is looked into, a value counts as too much: it can only be met within itself.
    if id(value) not in known:
        known[id(value)] = MOST_VALUES
        inner = [*value, *value.values()] if isinstance(value, dict) else value
        known[id(value)] = 1 + sum(expanded_size(each, known) for each in inner)
    if known[id(value)] >= MOST_VALUES:
        raise ValueError("its aliases (*name) stand for too much")
    return known[id(value)]
