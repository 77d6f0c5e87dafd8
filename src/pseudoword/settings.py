"""Typed settings: one definition each, whence YAML, command line, Python and docs come."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from pseudoword.errors import UserError

if TYPE_CHECKING:
    from pydantic import ValidationError

Effort = Literal["quick", "standard", "thorough"]


class Settings(BaseModel):
    """Frozen, strict about names: a misspelt setting is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class CommonSettings(Settings):
    """What every command that computes can be told."""

    model: str = Field(default="toybox", description="model: a name or a diffusers folder")
    device: str = Field(default="auto", description="auto, cpu, cuda or cuda:N")


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
    snapshots: int = Field(default=3, ge=0, description="artefacts kept on the way, evenly spaced")
    hold_out: bool = Field(default=True, description="keep one photo of four or more for scoring")


class GenerateSettings(Settings):
    """How pictures are drawn."""

    sampler: Literal["dpm++", "ddim"] = Field(default="dpm++", description="sampler")
    sampling_steps: int = Field(default=20, ge=1, description="denoiser steps a picture")
    guidance_scale: float = Field(
        default=4.0, ge=0, description="weight of the prompt (classifier-free guidance)"
    )
    batch_size: int = Field(default=8, ge=1, description="pictures drawn at once")


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
    suite: str = Field(
        default="auto",
        description="prompts: toybox, classic, dreambooth, dreambooth-object, dreambooth-live, or "
        "auto for those that suit the model",
    )
    prompts: list[str] = Field(
        default_factory=list, description="your own prompts with {} instead of a suite"
    )
    options: dict[str, dict[str, Any]] = Field(
        default_factory=dict, description="settings by method, in a config file"
    )
    clip_encoder: str = Field(default="auto", description="encoder in CLIP's role")
    dino_encoder: str = Field(default="auto", description="encoder in DINO's role")
    inception_encoder: str = Field(default="auto", description="encoder in Inception's role")
    generate: GenerateSettings = Field(
        default_factory=GenerateSettings, description="how pictures are drawn"
    )


class EffortRow(Settings):
    """What an effort means: a factor on every method's steps, and pictures a prompt."""

    step_factor: float
    pictures: int


EFFORTS: dict[str, EffortRow] = {
    "quick": EffortRow(step_factor=1.0, pictures=2),
    "standard": EffortRow(step_factor=1.5, pictures=4),
    "thorough": EffortRow(step_factor=3.0, pictures=8),
}


def explain(error: "ValidationError", what: str) -> str:
    """A validation error in at most two lines that name the settings."""
    lines = []
    for problem in error.errors()[:2]:
        name = ".".join(str(part) for part in problem["loc"]) or what
        lines.append(f"{name}: {problem['msg'].lower()} (got {problem.get('input')!r:.60})")
    return f"{what}: " + "; ".join(lines)


def read_config(path: Path) -> dict[str, Any]:
    """The settings in a YAML file. Raises UserError where it cannot be read."""
    import yaml

    try:
        values = yaml.safe_load(path.read_text())
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"--config {path} cannot be read: {error}") from None
    except yaml.YAMLError as error:
        problem = str(error).splitlines()[0]
        raise UserError(f"--config {path} is not YAML ({problem}): mend it there.") from None
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise UserError(f"--config {path} must hold settings as `name: value` lines.")
    return {str(key).replace("-", "_"): value for key, value in values.items()}
