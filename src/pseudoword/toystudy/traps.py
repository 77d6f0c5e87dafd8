"""Pictures made to fool a metric: each set is right in one respect and wrong in another."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from pseudoword.prompts import Prompt
from pseudoword.toybox.photos import SIZE
from pseudoword.toybox.world.concepts import toy_key, true_scenes, twin
from pseudoword.toybox.world.lineup import lineup
from pseudoword.toybox.world.render import render_many
from pseudoword.toybox.world.scene import Scene, Toy
from pseudoword.toybox.world.vocabulary import SETTINGS

SEED = 1
"""Of the true scenes that traps are made from; those that pictures are held against have 0."""
TRUTH = "truth"

_Change = Callable[[Scene, int, np.random.Generator], Scene]


def _same(scene: Scene, index: int, rng: np.random.Generator) -> Scene:
    return scene


def _other_toy(scene: Scene, index: int, rng: np.random.Generator) -> Scene:
    return replace(scene, toy=twin(scene.toy, rng))


def _near_double(scene: Scene, index: int, rng: np.random.Generator) -> Scene:
    return replace(scene, toy=lineup(scene.toy, 4, seed=int(rng.integers(1 << 31)))[1 + index % 3])


def _ignored_prompt(scene: Scene, index: int, rng: np.random.Generator) -> Scene:
    """The toy in some other setting, in plain sight: as in a new photo of it."""
    others = [name for name in SETTINGS if name != scene.setting]
    setting = others[int(rng.integers(len(others)))]
    return replace(scene, setting=setting, style="photo", hat=None, neighbour=None)


_CHANGES: dict[str, _Change] = {
    TRUTH: _same,
    "other_toy": _other_toy,
    "near_double": _near_double,
    "ignored_prompt": _ignored_prompt,
}

TRAPS = {
    "other_toy": "another toy of the class, in the right scene",
    "near_double": "a near double of the toy, in the right scene",
    "ignored_prompt": "a new photo of the right toy, whatever the prompt",
    "copied_photo": "a training photo, whatever the prompt",
    "same_picture": "one right picture, again and again",
}
"""What each trap is; `truth` stands beside them and is right in all respects."""


def trap_pictures(
    toy: Toy, prompts: Sequence[Prompt], photos: Sequence[np.ndarray], count: int
) -> dict[str, list[np.ndarray]]:
    """`count` pictures of every prompt, in order, by trap: uint8 (SIZE, SIZE, 3)."""
    scenes = [s for prompt in prompts for s in true_scenes(toy, prompt.template, count, SEED)]
    drawn = {}
    for number, (name, change) in enumerate(_CHANGES.items()):
        rng = np.random.default_rng([401, number, toy_key(toy)])
        changed = [change(scene, i, rng) for i, scene in enumerate(scenes)]
        drawn[name] = list(render_many(changed, SIZE))
    places = range(len(scenes))
    drawn["copied_photo"] = [photos[i % len(photos)] for i in places]
    drawn["same_picture"] = [drawn[TRUTH][i - i % count] for i in places]
    return drawn
