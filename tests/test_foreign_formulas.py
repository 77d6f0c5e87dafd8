"""The differences that factors make of a weight, by the published formulas."""

import pytest
import torch
from foreign_files import Chance

from pseudoword.foreign.differences import UnfitError, difference


class TestFormulas:
    """LyCORIS' definitions written out (arXiv 2309.14859), entry by entry where that is plain."""

    chance = Chance(7)

    def test_tucker_lora(self) -> None:
        weight = self.chance(6, 4, 3, 3)
        down, mid, up = self.chance(2, 4, 1, 1), self.chance(3, 2, 3, 3), self.chance(6, 3, 1, 1)
        found = difference(weight, {"down": down, "mid": mid, "up": up, "alpha": torch.tensor(1.0)})
        wanted = torch.zeros_like(weight)
        for a in range(3):
            for b in range(2):
                outer = up[:, a, 0, 0, None] * down[None, b, :, 0, 0]
                wanted += outer[:, :, None, None] * mid[a, b]
        torch.testing.assert_close(found, wanted / 2)

    def test_tucker_loha(self) -> None:
        weight, factors = self.chance(6, 4, 3, 3), {}
        products = []
        for side in "12":
            t, a, b = self.chance(2, 2, 3, 3), self.chance(2, 6), self.chance(2, 4)
            factors |= {f"hada_t{side}": t, f"hada_w{side}_a": a, f"hada_w{side}_b": b}
            products.append(
                sum(
                    t[i, j] * (a[i, :, None] * b[j, None, :])[:, :, None, None]
                    for i in range(2)
                    for j in range(2)
                )
            )
        found = difference(weight, factors | {"alpha": torch.tensor(4.0)})
        torch.testing.assert_close(found, 2 * products[0] * products[1])

    def test_lokr_of_whole_factors_has_no_scale(self) -> None:
        one, two = self.chance(2, 3), self.chance(4, 5)
        factors = {"lokr_w1": one, "lokr_w2": two, "alpha": torch.tensor(1e9)}
        wanted = torch.zeros(8, 15)
        for i in range(2):
            for j in range(3):
                wanted[4 * i : 4 * i + 4, 5 * j : 5 * j + 5] = one[i, j] * two
        torch.testing.assert_close(difference(torch.zeros(8, 15), factors), wanted)

    def test_tucker_lokr(self) -> None:
        one, core = self.chance(2, 2), self.chance(3, 3, 3, 3)
        a, b = self.chance(3, 4), self.chance(3, 2)
        factors = {"lokr_w1": one, "lokr_t2": core, "lokr_w2_a": a, "lokr_w2_b": b}
        found = difference(torch.zeros(8, 4, 3, 3), factors | {"alpha": torch.tensor(1.5)})
        two = sum(
            core[i, j] * (a[i, :, None] * b[j, None, :])[:, :, None, None]
            for i in range(3)
            for j in range(3)
        )
        for i in range(2):
            for j in range(2):
                block = found[4 * i : 4 * i + 4, 2 * j : 2 * j + 2]
                torch.testing.assert_close(block, one[i, j] * two / 2)

    @pytest.mark.parametrize("axis", [0, 1])
    def test_dora_sets_lengths(self, axis: int) -> None:
        weight, down, up = self.chance(6, 4, 3, 3), self.chance(2, 4, 3, 3), self.chance(6, 2, 1, 1)
        shape = [1, 1, 1, 1]
        shape[axis] = weight.shape[axis]
        scale = self.chance(*shape).abs() + 1
        whole = weight + difference(weight, {"down": down, "up": up, "dora_scale": scale})
        plain = weight + difference(weight, {"down": down, "up": up})
        lengths = whole.transpose(0, axis).flatten(1).norm(dim=1)
        torch.testing.assert_close(lengths, scale.flatten())
        cosine = torch.nn.functional.cosine_similarity(
            whole.transpose(0, axis).flatten(1), plain.transpose(0, axis).flatten(1)
        )
        torch.testing.assert_close(cosine, torch.ones_like(cosine))

    @pytest.mark.parametrize(
        "factors",
        [
            {"down": (2, 4)},
            {"down": (2, 4), "up": (6, 3)},
            {"down": (2, 5), "up": (6, 2)},
            {"down": (0, 4), "up": (6, 0)},
            {"down": (2, 4), "up": (6, 2), "alpha": (2,)},
            {"down": (2, 4), "up": (6, 2), "dora_scale": (5, 1)},
            {"down": (2, 4), "up": (6, 2), "full": (6, 4)},
            {"hada_w1_a": (6, 2), "hada_w1_b": (2, 4)},
            {"lokr_w1": (2, 2), "lokr_w2": (2, 2)},
            {"lokr_w1": (2, 2), "lokr_w1_a": (2, 1), "lokr_w1_b": (1, 2), "lokr_w2": (3, 2)},
            {"full": (4, 6)},
            {"alpha": ()},
        ],
    )
    def test_what_does_not_fit_is_told(self, factors: dict[str, tuple[int, ...]]) -> None:
        with pytest.raises(UnfitError):
            difference(torch.zeros(6, 4), {k: torch.ones(shape) for k, shape in factors.items()})
