"""The contract with Stable Diffusion 2.x."""

from contract import *  # noqa: F403

FAMILY = "sd2"
