"""Teach Stable Diffusion a new concept by several methods, measure them and say which serves best."""

__version__ = "0.1.0"
