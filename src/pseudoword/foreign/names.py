"""Where the names in a foreign file lead: to which parameters of a model, and in which role.

The lookup is made from the model's own modules, so a name whose dots became underscores is found
without guessing where the dots were.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from torch import nn

from pseudoword.errors import UserError
from pseudoword.families.original import original_places

if TYPE_CHECKING:
    from pseudoword.families.model import Model

ROLES: dict[str, str] = {
    **{f"{name}.weight": "down" for name in ("lora_down", "lora_A", "lora.down")},
    **{f"{name}.weight": "up" for name in ("lora_up", "lora_B", "lora.up")},
    "lora_linear_layer.down.weight": "down",
    "lora_linear_layer.up.weight": "up",
    "lora_mid.weight": "mid",
    "lora_magnitude_vector": "magnitude",
    "lora_magnitude_vector.weight": "magnitude",
    "dora_scale": "dora_scale",
    "alpha": "alpha",
    **{name: name for name in ("hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b")},
    **{name: name for name in ("hada_t1", "hada_t2")},
    **{name: name for name in ("lokr_w1", "lokr_w1_a", "lokr_w1_b")},
    **{name: name for name in ("lokr_w2", "lokr_w2_a", "lokr_w2_b", "lokr_t2")},
    **{name: "full" for name in ("diff", "diff.weight", "w_norm")},
    **{name: "bias" for name in ("diff_b", "b_norm")},
}
"""The end of a key, after the module's name => what it is."""

_PROCESSOR = re.compile(
    r"^(?P<layer>.+?)(\.processor)?\.(?P<name>to_\w+)_lora\.(?P<way>down|up)"
    r"\.weight$"
)
_TEXT_NAMES = {"to_q": "q_proj", "to_k": "k_proj", "to_v": "v_proj", "to_out": "out_proj"}


def split_key(key: str) -> tuple[str, str] | None:
    """(module, role) of a key; None where its end is none of ROLES."""
    if match := _PROCESSOR.match(key):
        # As diffusers wrote attention's factors until 2023.
        names = _TEXT_NAMES if match["layer"].startswith("text_encoder") else {"to_out": "to_out.0"}
        return f"{match['layer']}.{names.get(match['name'], match['name'])}", match["way"]
    parts = key.split(".")
    for start in range(1, len(parts)):
        role = ROLES.get(".".join(parts[start:]))
        if role is not None:
            return ".".join(parts[:start]), role
    return None


@dataclass(frozen=True, eq=False)
class Target:
    """A module that a name means, and how the name's layout has it (see original_names.Place)."""

    path: str
    module: nn.Module
    slot: int | None = None
    form: str = "same"


class Names:
    """The modules of a model by every name that a LoRA may call them."""

    def __init__(self, model: "Model") -> None:
        self.model = model
        self._named: dict[str, list[Target]] = {}
        self._joined: dict[str, list[Target]] = {}
        for path, module in _weighted(model.denoiser):
            target = Target(f"denoiser.{path}", module)
            # Bare names are those of diffusers' first LoRAs.
            self._add(f"{model.DENOISER}.{path}", target)
            self._add(path, target)
            for prefix in ("lora_unet_", "lora_transformer_", "lycoris_"):
                self._join(prefix, path, target)
        for name, target in _originals(model):
            self._add(f"diffusion_model.{name}", target)
            self._join("lora_unet_", name, target)
        for index, encoder in enumerate(model.text_encoders):
            part = f"text_encoder_{index + 1}" if index else "text_encoder"
            for path, module in _weighted(encoder):
                # Older transformers call CLIP's modules text_model.*, and files may do so.
                target, short = Target(f"{part}.{path}", module), path.removeprefix("text_model.")
                for name in (short, f"text_model.{short}"):
                    self._add(f"{part}.{name}", target)
                    for prefix in (f"lora_te{index + 1}_", *([] if index else ["lora_te_"])):
                        self._join(prefix, name, target)

    def find(self, name: str) -> list[Target] | None:
        """The module of this name, or those that the original layout fuses under it."""
        return self._named.get(name) or self._joined.get(name)

    def _add(self, name: str, target: Target) -> None:
        _append(self._named, name, target)

    def _join(self, prefix: str, path: str, target: Target) -> None:
        _append(self._joined, prefix + path.replace(".", "_"), target)


def _append(table: dict[str, list[Target]], name: str, target: Target) -> None:
    known = table.setdefault(name, [])
    if any(other.slot == target.slot for other in known):
        if any(other.module is target.module for other in known):
            return
        raise ValueError(f"{name} means both {known[0].path} and {target.path}")
    known.append(target)


def _weighted(module: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """The modules that have a weight of their own, by path."""
    for path, inner in module.named_modules():
        if path and isinstance(getattr(inner, "weight", None), nn.Parameter):
            yield path, inner


def _originals(model: "Model") -> Iterator[tuple[str, Target]]:
    """The denoiser's modules by their names in the original layout."""
    kind = "unet" if model.DENOISER == "unet" else "sd3"
    modules: dict[str, Any] = {f"{path}.weight": m for path, m in _weighted(model.denoiser)}
    try:
        places = original_places(kind, modules, model.denoiser.config)
    except UserError:
        # A denoiser of a shape that the original layout cannot say has no such LoRAs.
        return
    for name, place in places.items():
        path = f"denoiser.{name.removesuffix('.weight')}"
        original = place.key.removesuffix(".weight")
        yield original, Target(path, modules[name], place.slot, place.form)
