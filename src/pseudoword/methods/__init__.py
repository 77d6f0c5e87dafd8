"""The methods that teach a concept: one file each, and this registry."""

from collections.abc import Mapping
from typing import Any

from pseudoword.errors import UserError
from pseudoword.methods.base import Method
from pseudoword.methods.dreambooth import DreamBooth
from pseudoword.methods.lora import LoRA
from pseudoword.methods.textual_inversion import TextualInversion

METHODS: dict[str, type[Method]] = {
    "textual-inversion": TextualInversion,
    "dreambooth": DreamBooth,
    "lora": LoRA,
}


def make_method(name: str, preset: str, changes: Mapping[str, Any] | None = None) -> Method:
    """The method `name` with the settings that suit `preset`, and `changes` on top."""
    from pydantic import ValidationError

    from pseudoword.settings import explain

    if name not in METHODS:
        raise UserError(f"{name} is not a method: use {', '.join(METHODS)}.")
    method = METHODS[name]
    try:
        settings = method.Settings(**{**method.presets.get(preset, {}), **(changes or {})})
    except ValidationError as error:
        raise UserError(explain(error, f"settings of {name}")) from None
    return method(settings)
