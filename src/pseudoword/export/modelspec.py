"""What the headers of files say of the model (ModelSpec 1.0.1), beside the names of its parts."""

from dataclasses import dataclass

from pseudoword.families.model import Model
from pseudoword.families.single_file import layout_of


@dataclass(frozen=True)
class Naming:
    """What files call a family.

    `architecture` and `base` are those of ModelSpec and of sd-scripts, the latter None where no
    public loader proves files in its names. `encoders` are its prefixes for text encoders, and
    `original` tells that it names the denoiser's modules as the original checkpoints do.
    """

    architecture: str
    base: str | None = None
    encoders: tuple[str, ...] = ()
    original: bool = False


NAMINGS: dict[str, Naming] = {
    "sd1": Naming("stable-diffusion-v1", "sd_v1", ("lora_te",)),
    "sd2": Naming("stable-diffusion-v2", "sd_v2", ("lora_te",)),
    "sdxl": Naming(
        "stable-diffusion-xl-v1-base", "sdxl_base_v1-0", ("lora_te1", "lora_te2"), original=True
    ),
    "sd3": Naming("stable-diffusion-3"),
}
"""By the layout of a single file."""


def naming_of(model: Model) -> Naming:
    return NAMINGS[layout_of(model.denoiser, model.text_encoders)]


def predicts_velocity(model: Model) -> bool:
    return model.scheduler_config.get("prediction_type") == "v_prediction"


def architecture_of(model: Model) -> str:
    """ModelSpec's name of the architecture; of SD 2.x it names the objective and the size too."""
    name = naming_of(model).architecture
    if name == NAMINGS["sd2"].architecture:
        return f"{name}-{'768-v' if predicts_velocity(model) else '512'}"
    return name


def model_metadata(model: Model, title: str, trigger: str) -> dict[str, str]:
    """What is said of a whole model and of an adapter alike; all strings."""
    side = model.resolution
    kind = {"modelspec.prediction_type": "v" if predicts_velocity(model) else "epsilon"}
    return {
        "modelspec.sai_model_spec": "1.0.1",
        "modelspec.implementation": "diffusers",
        "modelspec.title": title,
        "modelspec.resolution": f"{side}x{side}",
        "modelspec.trigger_phrase": trigger,
        # Flow matching has no name there.
        **(kind if "prediction_type" in model.scheduler_config else {}),
    }
