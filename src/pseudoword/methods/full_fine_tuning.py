"""Full fine-tuning: what DreamBooth is without its class pictures, and with the text encoder."""

from typing import ClassVar

from pydantic import Field

from pseudoword.methods.dreambooth import DreamBooth, DreamBoothSettings


class FullFineTuningSettings(DreamBoothSettings):
    """Settings of full fine-tuning; the defaults suit Stable Diffusion 1.5.

    diffusers, examples/dreambooth/README.md: without class pictures, with the text encoder.
    """

    steps: int = Field(default=400, ge=1, description="optimizer steps")
    learning_rate: float = Field(default=2e-6, gt=0, description="peak learning rate")

    prior_weight: float = Field(
        default=0.0, ge=0, description="weight of the loss on class pictures; 0 leaves them out"
    )
    train_text_encoder: bool = Field(default=True, description="fine-tune the text encoder too")


class FullFineTuning(DreamBooth):
    """Every weight of denoiser and text encoder learns, from the photos alone."""

    name = "full-fine-tuning"
    title = "Full fine-tuning"
    summary = (
        "every weight of denoiser and text encoder learns from the photos alone: DreamBooth "
        "without class pictures"
    )
    Settings = FullFineTuningSettings
    presets: ClassVar = {
        "toybox": {
            "steps": 400,
            "batch_size": 4,
            "learning_rate": 2e-4,
            "text_learning_rate": 5e-5,
            "warmup_steps": 20,
        },
        # replicate/cog-sdxl, train.py without LoRA
        "stable-diffusion-xl": {
            "steps": 1000,
            "batch_size": 4,
            "learning_rate": 1e-6,
            "train_text_encoder": False,
        },
        # sd-scripts, docs/fine_tune.md. Text encoders stay: T5 alone outgrows a medium denoiser.
        "stable-diffusion-3": {"learning_rate": 4e-6, "train_text_encoder": False},
    }
    settings: FullFineTuningSettings
