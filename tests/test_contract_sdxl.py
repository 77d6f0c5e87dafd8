"""The contract with Stable Diffusion XL."""

from contract import *  # noqa: F403

FAMILY = "sdxl"
