"""The measures of a toybox model: its pictures, its latents, the width of its networks."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Level:
    """One level of the denoiser: channels, and heads of cross-attention (0: no attention)."""

    channels: int
    heads: int


@dataclass(frozen=True)
class Layout:
    """A model of pictures of `size` x `size` pixels.

    The autoencoder halves the sides once fewer than it has `widths`; the denoiser works on the
    grid of the latents, and halves it between its `levels`.
    """

    size: int
    widths: tuple[int, ...]
    latent_channels: int
    levels: tuple[Level, ...]

    @property
    def patch(self) -> int:
        """Pixels along a side of a latent's patch."""
        return 1 << (len(self.widths) - 1)

    @property
    def grid(self) -> int:
        """Latents along a side of a picture."""
        return self.size // self.patch


COARSE = Layout(64, (16, 32, 64, 128), 32, (Level(128, 4), Level(192, 6)))
"""Learns first: what there is to see, and the words for it."""

FINE = Layout(128, (16, 32, 64, 128), 24, (Level(64, 0), Level(128, 4), Level(192, 6)))
"""Ships: the coarse denoiser with a finer level around it."""
