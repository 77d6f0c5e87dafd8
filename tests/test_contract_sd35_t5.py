"""The contract with Stable Diffusion 3.5, with T5."""

from contract import *  # noqa: F403

FAMILY = "sd35-t5"
