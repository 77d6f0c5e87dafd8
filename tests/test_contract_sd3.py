"""The contract with Stable Diffusion 3, without T5."""

from contract import *  # noqa: F403

FAMILY = "sd3"
