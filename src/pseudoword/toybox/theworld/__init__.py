from pseudoword.toybox.theworld.scene import Scene, Toy, sample_scene

__all__ = ["Scene", "Toy", "sample_scene"]
