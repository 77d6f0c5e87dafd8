"""The picture transforms that the example scripts use, where torchvision is not installed."""

from torchvision import transforms

__all__ = ["transforms"]
