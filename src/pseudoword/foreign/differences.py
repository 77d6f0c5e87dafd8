"""What an adapter's factors add to a weight, by their definitions.

LoRA (arXiv 2106.09685), LoHa (arXiv 2108.06098), LoKr (arXiv 2212.10650, section 3.3), their
Tucker forms for convolutions and the full difference as LyCORIS stores them (arXiv 2309.14859);
DoRA (arXiv 2402.09353). Everything is computed in float32.
"""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

Factors = Mapping[str, Tensor]
"""Tensors by role (names.ROLES)."""
BESIDE = ("alpha", "magnitude", "dora_scale", "bias")
"""Roles that stand beside the factors of any kind."""


class UnfitError(Exception):
    """Factors that are not whole, or do not fit the weight; says what is wrong."""


def difference(weight: Tensor, factors: Factors, scale: float | None = None) -> Tensor:
    """What these factors add to `weight` (out, in, ...) at full strength, in its shape.

    `scale` is the factors' own where a file's settings tell it; else it is alpha / rank, and 1
    where no alpha is told. Raises UnfitError.
    """
    rest = {role: t for role, t in factors.items() if role not in BESIDE}
    kind = next((role for role in KINDS if role in rest), None)
    if kind is None:
        raise UnfitError("nothing but a scale")
    roles, product = KINDS[kind]
    if extra := set(rest) - set(roles):
        raise UnfitError(f"{sorted(extra)[0]} beside {kind}")
    try:
        found, rank = product(rest, weight)
    except KeyError as missing:
        raise UnfitError(f"no {missing.args[0]}") from None
    if rank is not None:
        # A full difference, and whole factors of LoKr, have no rank and so no scale.
        found = found * (_scale(factors, rank) if scale is None else scale)
    if "magnitude" in factors or "dora_scale" in factors:
        found = _decomposed(weight, found, factors) - weight
    if not torch.isfinite(found).all():
        raise UnfitError("numbers that are not finite")
    return found


def _scale(factors: Factors, rank: int) -> float:
    alpha = factors.get("alpha")
    if rank < 1 or (alpha is not None and alpha.numel() != 1):
        raise UnfitError("no rank" if rank < 1 else "more than one alpha")
    return 1.0 if alpha is None else float(alpha) / rank


def _decomposed(weight: Tensor, added: Tensor, factors: Factors) -> Tensor:
    """DoRA: directions of the sum, each with its learnt magnitude.

    peft keeps one an output. LyCORIS did so by input first, (1, in, ...), and by output later.
    """
    whole = weight + added
    if "magnitude" in factors:
        axis, magnitudes = 0, factors["magnitude"]
    else:
        magnitudes = factors["dora_scale"]
        axis = 0 if magnitudes.shape[:1] == weight.shape[:1] or weight.ndim < 2 else 1
    if magnitudes.numel() != weight.shape[axis]:
        raise UnfitError(f"magnitudes {tuple(magnitudes.shape)}")
    shape = [1] * weight.ndim
    shape[axis] = weight.shape[axis]
    others = tuple(other for other in range(weight.ndim) if other != axis)
    length = torch.linalg.vector_norm(whole, dim=others, keepdim=True)
    return whole * (magnitudes.reshape(shape) / (length + torch.finfo(torch.float32).eps))


def _shaped(found: Tensor, weight: Tensor) -> Tensor:
    """As the weight: some tools keep a 1 x 1 convolution as a matrix, or the other way round."""
    if found.numel() != weight.numel() or found.shape[0] != weight.shape[0]:
        raise UnfitError(f"shape {tuple(found.shape)} instead of {tuple(weight.shape)}")
    return found.reshape(weight.shape)


def _sides(weight: Tensor) -> tuple[int, int]:
    return weight.shape[0], weight.numel() // weight.shape[0]


def _matrix(factor: Tensor) -> Tensor:
    """A factor (a, b, ...) as (a, b * ...)."""
    if factor.ndim < 2:
        raise UnfitError(f"a factor {tuple(factor.shape)}")
    return factor.flatten(1)


def _times(a: Tensor, b: Tensor, weight: Tensor | None = None) -> Tensor:
    """The matrix product of factors (out, r, ...) and (r, in, ...), each as a matrix."""
    left, right = _matrix(a), _matrix(b)
    if left.shape[1] != right.shape[0]:
        raise UnfitError(f"factors {tuple(a.shape)} and {tuple(b.shape)}")
    if weight is not None and (left.shape[0], right.shape[1]) != _sides(weight):
        # Told before the product is made: its size would be the file's choice.
        raise UnfitError(f"factors of {left.shape[0]} x {right.shape[1]} for {tuple(weight.shape)}")
    return left @ right


def _tucker(core: Tensor, out: Tensor, into: Tensor) -> Tensor:
    """core (r, s, ...), out (r, outputs), into (s, inputs) => (outputs, inputs, ...)."""
    if (
        core.ndim < 3
        or (out.ndim, into.ndim) != (2, 2)
        or core.shape[:2] != (out.shape[0], into.shape[0])
    ):
        raise UnfitError(
            f"a core {tuple(core.shape)} of {tuple(out.shape)} and {tuple(into.shape)}"
        )
    return torch.einsum("rs...,ro,si->oi...", core, out, into)


def _lora(f: Factors, weight: Tensor) -> tuple[Tensor, int]:
    down, up = f["down"], f["up"]
    if "mid" in f:
        found = _tucker(f["mid"], _matrix(up).T, _matrix(down))
        return _shaped(found, weight), down.shape[0]
    return _shaped(_times(up, down, weight), weight), down.shape[0]


def _loha(f: Factors, weight: Tensor) -> tuple[Tensor, int]:
    rank = _matrix(f["hada_w1_b"]).shape[0]
    if "hada_t1" in f or "hada_t2" in f:
        one = _tucker(f["hada_t1"], f["hada_w1_a"], f["hada_w1_b"])
        two = _tucker(f["hada_t2"], f["hada_w2_a"], f["hada_w2_b"])
    else:
        one = _times(f["hada_w1_a"], f["hada_w1_b"], weight)
        two = _times(f["hada_w2_a"], f["hada_w2_b"], weight)
    if one.shape != two.shape:
        raise UnfitError(f"factors {tuple(one.shape)} and {tuple(two.shape)}")
    return _shaped(one * two, weight), rank


def _lokr(f: Factors, weight: Tensor) -> tuple[Tensor, int | None]:
    rank = None
    for side in ("lokr_w1", "lokr_w2"):
        if side in f and f"{side}_a" in f:
            raise UnfitError(f"{side} both whole and in factors")
    if "lokr_w1" in f:
        one = f["lokr_w1"]
    else:
        one, rank = _times(f["lokr_w1_a"], f["lokr_w1_b"]), f["lokr_w1_b"].shape[0]
    if "lokr_w2" in f:
        two = f["lokr_w2"]
    elif "lokr_t2" in f:
        two = _tucker(f["lokr_t2"], f["lokr_w2_a"], f["lokr_w2_b"])
        rank = f["lokr_w2_b"].shape[0]
    else:
        two, rank = _times(f["lokr_w2_a"], f["lokr_w2_b"]), f["lokr_w2_b"].shape[0]
    if one.numel() * two.numel() != weight.numel():
        raise UnfitError(f"factors {tuple(one.shape)} and {tuple(two.shape)}")
    one = one.reshape(*one.shape, *[1] * (two.ndim - one.ndim))
    return _shaped(torch.kron(one, two.contiguous()), weight), rank


def _full(f: Factors, weight: Tensor) -> tuple[Tensor, None]:
    return _shaped(f["full"], weight), None


_LOKR = ("lokr_w1", "lokr_w1_a", "lokr_w1_b", "lokr_w2", "lokr_w2_a", "lokr_w2_b", "lokr_t2")
_HADA = ("hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b", "hada_t1", "hada_t2")
KINDS: dict[str, tuple[tuple[str, ...], Callable[[Factors, Tensor], tuple[Tensor, int | None]]]] = {
    "down": (("down", "up", "mid"), _lora),
    "up": (("down", "up", "mid"), _lora),
    **{role: (_HADA, _loha) for role in _HADA},
    **{role: (_LOKR, _lokr) for role in _LOKR},
    "full": (("full",), _full),
}
"""By a role that occurs: all the roles of its kind, and the product with its rank."""
