"""LoRA spoilt on purpose, in three ways that happen to people."""

from collections.abc import Mapping
from typing import Any, ClassVar

from pseudoword.methods.lora import LoRA

_HEALTHY = LoRA.presets["toybox"]


class TooFewSteps(LoRA):
    """A tenth of the steps."""

    name = "lora-few-steps"
    title = "LoRA, a tenth of the steps"
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "toybox": {**_HEALTHY, "steps": _HEALTHY["steps"] // 10}
    }


class TooHot(LoRA):
    """Ten times the learning rate."""

    name = "lora-hot"
    title = "LoRA, ten times the learning rate"
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "toybox": {**_HEALTHY, "learning_rate": 10 * _HEALTHY["learning_rate"]}
    }


class Copyist(LoRA):
    """Stands in for a model that draws its training photos, whatever the prompt.

    It trains for one step; then its pictures are replaced by the training photos.
    """

    name = "lora-copies"
    title = "LoRA that copies photos"
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {"toybox": {**_HEALTHY, "steps": 1}}
