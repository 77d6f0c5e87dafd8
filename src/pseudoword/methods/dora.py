"""DoRA (arXiv 2402.09353): LoRA turns each weight vector, and its length learns apart."""

from typing import Any, ClassVar

from pseudoword.methods.adapters import Part
from pseudoword.methods.lora import LoRA, lora_config


class DoRA(LoRA):
    """LoRA's factors learn the direction of weight vectors; their lengths learn beside them."""

    name = "dora"
    title = "DoRA"
    summary = "LoRA's factors turn the weight vectors, whose lengths learn apart from that"
    presets: ClassVar = {
        "toybox": {**LoRA.presets["toybox"], "steps": 400},
        # The paper (section 6) and diffusers' scripts take LoRA's settings.
        "stable-diffusion-xl": LoRA.presets["stable-diffusion-xl"],
    }

    def config(self, parts: list[Part]) -> Any:
        return lora_config(self.settings, use_dora=True)
