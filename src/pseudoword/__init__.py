"""Teach Stable Diffusion a concept by several methods, measure them, say which serves best."""

__version__ = "0.1.0"
