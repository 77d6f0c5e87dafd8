from pseudoword.toybox.world.scene import Scene, Toy, sample_scene

__all__ = ["Scene", "Toy", "sample_scene"]
