"""The toybox's procedural world: scenes as data, their captions, their pictures."""

from pseudoword.toybox.world.scene import Camera, Light, Scene, Toy, sample_scene

__all__ = ["Camera", "Light", "Scene", "Toy", "sample_scene"]
