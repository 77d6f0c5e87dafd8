"""Captions of scenes."""

import numpy as np

from pseudoword.toybox.world.scene import Scene
from pseudoword.toybox.world.vocabulary import SETTINGS, STYLES


def caption(scene: Scene, seed: int) -> str:
    """A caption with random wording that leaves some attributes out."""
    rng = np.random.default_rng([13, scene.setting_seed, seed])
    keep = rng.random(6)
    toy = scene.toy
    words = ["a"]
    if keep[0] < 0.8:
        words.append(toy.colour_name)
    if keep[1] < 0.8 and toy.pattern_name != "plain":
        words.append(toy.pattern_name)
    words.append(toy.class_noun)
    if scene.hat and keep[2] < 0.95:
        words += ["wearing", "a", scene.hat, "hat"]
    if scene.neighbour and keep[3] < 0.95:
        words += ["next", "to", "a", scene.neighbour, "ball"]
    if keep[4] < 0.85:
        words.append(SETTINGS[scene.setting])
    if scene.style != "photo" or keep[5] < 0.85:
        words.insert(0, STYLES[scene.style])
    return " ".join(words)


def full_caption(scene: Scene) -> str:
    """Everything about a scene that can be said."""
    toy = scene.toy
    pattern = "" if toy.pattern_name == "plain" else f" {toy.pattern_name}"
    hat = f" wearing a {scene.hat} hat" if scene.hat else ""
    neighbour = f" next to a {scene.neighbour} ball" if scene.neighbour else ""
    return (
        f"{STYLES[scene.style]} a {toy.colour_name}{pattern} {toy.class_noun}"
        f"{hat}{neighbour} {SETTINGS[scene.setting]}"
    )
