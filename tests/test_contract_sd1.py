"""The contract with Stable Diffusion 1.x."""

from contract import *  # noqa: F403

FAMILY = "sd1"
