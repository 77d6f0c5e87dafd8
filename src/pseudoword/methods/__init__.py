"""The methods that teach a concept: one file each, and this registry."""

from collections.abc import Iterable, Mapping
from typing import Any

from pseudoword.errors import UserError
from pseudoword.methods.base import Method
from pseudoword.methods.boft import BOFT
from pseudoword.methods.custom_diffusion import CustomDiffusion
from pseudoword.methods.dora import DoRA
from pseudoword.methods.dreambooth import DreamBooth
from pseudoword.methods.full_fine_tuning import FullFineTuning
from pseudoword.methods.loha import LoHa
from pseudoword.methods.lokr import LoKr
from pseudoword.methods.lora import LoRA
from pseudoword.methods.oft import OFT
from pseudoword.methods.own import is_own, load_own
from pseudoword.methods.pivotal_tuning import PivotalTuning
from pseudoword.methods.textual_inversion import TextualInversion
from pseudoword.settings import Quantise

METHODS: dict[str, type[Method]] = {
    "textual-inversion": TextualInversion,
    "dreambooth": DreamBooth,
    "lora": LoRA,
    "dora": DoRA,
    "loha": LoHa,
    "lokr": LoKr,
    "oft": OFT,
    "boft": BOFT,
    "custom-diffusion": CustomDiffusion,
    "pivotal-tuning": PivotalTuning,
    "full-fine-tuning": FullFineTuning,
}


def find_method(name: str) -> type[Method]:
    """The method of that name, or that FILE.py:NAME names. Raises UserError where there is none."""
    if is_own(name):
        return load_own(name, taken={*METHODS, "base-model"})
    if name not in METHODS:
        raise UserError(
            f"{name} is not a method: use {', '.join(METHODS)}, or FILE.py:NAME for your own."
        )
    return METHODS[name]


def make_method(
    name: str | type[Method], preset: str, changes: Mapping[str, Any] | None = None
) -> Method:
    """A method, by name or class, with the settings that suit `preset`, and `changes` on top."""
    from pydantic import ValidationError

    from pseudoword.settings import explain

    method = find_method(name) if isinstance(name, str) else name
    try:
        settings = method.Settings(**{**method.presets.get(preset, {}), **(changes or {})})
    except ValidationError as error:
        raise UserError(explain(error, f"settings of {method.name}")) from None
    return method(settings)


def check_quantise(quantise: Quantise, kinds: Iterable[type[Method]]) -> None:
    """Raises UserError where one of the methods cannot learn beside weights packed so."""
    refused = [kind.title for kind in kinds if not _bears(kind, quantise)]
    if refused:
        fitting = [name for name, kind in METHODS.items() if _bears(kind, quantise)]
        raise UserError(
            f"--quantise {quantise} does not go with {', '.join(refused)}: leave it out,\n"
            f"or use {', '.join(fitting)}."
        )


def _bears(kind: type[Method], quantise: Quantise) -> bool:
    return quantise == "none" or ("weights" not in kind.learns and quantise in kind.packings)
