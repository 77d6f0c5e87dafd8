"""The world's language: captions of scenes, and prompts read back into edits.

    [a STYLE of] a [COLOUR] [PATTERN] NOUN [wearing a COLOUR hat] [next to a COLOUR ball] [SETTING]

The article is always "a".
"""

import dataclasses
from dataclasses import dataclass

import numpy as np

from pseudoword.toybox.world.scene import Scene
from pseudoword.toybox.world.vocabulary import (
    COLOURS,
    HAT_WORDS,
    NEIGHBOUR_WORDS,
    PATTERNS,
    SETTINGS,
    STYLES,
)

_CAPTION_SPACE = 103
CONCEPT = "{}"


@dataclass(frozen=True)
class Edits:
    """What a prompt asks for; None where it says nothing."""

    style: str | None = None
    colour: str | None = None
    pattern: str | None = None
    hat: str | None = None
    neighbour: str | None = None
    setting: str | None = None


def caption(scene: Scene, seed: int) -> str:
    """A caption of `scene` with random wording that may leave attributes out."""
    rng = np.random.default_rng([_CAPTION_SPACE, seed, scene.setting_seed])
    photo, colour, pattern, setting, hat, neighbour, early = rng.random(7)
    said = _sayable(scene)
    return _word(
        Edits(
            style=said.style if scene.style != STYLES[0] or photo < 0.8 else None,
            colour=said.colour if colour < 0.8 else None,
            pattern=said.pattern if pattern < 0.8 else None,
            hat=said.hat if hat < 0.95 else None,
            neighbour=said.neighbour if neighbour < 0.95 else None,
            setting=said.setting if setting < 0.85 else None,
        ),
        scene.toy.class_noun,
        setting_early=early < 0.15,
    )


def full_caption(scene: Scene) -> str:
    """Everything that the world's language can say about `scene`."""
    return _word(_sayable(scene), scene.toy.class_noun)


def parse_prompt(prompt: str, class_noun: str) -> Edits:
    """Reads a prompt of the grammar, with `class_noun` or `{}` as its noun.

    The phrases after the noun may come in any order. Raises ValueError that names the word where
    the prompt leaves the grammar.
    """
    words = prompt.lower().split()
    found: dict[str, str] = {}
    style, place = _read_style(words)
    if style is not None:
        found["style"] = style
    if words[place : place + 1] == ["a"]:
        place += 1
    while place < len(words) and words[place] not in (class_noun, CONCEPT):
        _keep(
            found,
            _adjective_kind(words[place], prompt, class_noun),
            words[place],
            prompt,
        )
        place += 1
    if place == len(words):
        raise ValueError(f"the prompt {prompt!r} has no noun: write {class_noun!r} or {{}}")
    place += 1
    while place < len(words):
        kind, value, place = _read_phrase(words, place, prompt)
        _keep(found, kind, value, prompt)
    return Edits(**found)


def apply_edits(scene: Scene, edits: Edits) -> Scene:
    """`scene` with what `edits` says changed, and nothing else."""
    toy = scene.toy
    if edits.colour is not None:
        toy = dataclasses.replace(toy, colour=edits.colour, body=COLOURS[edits.colour])
    if edits.pattern is not None:
        toy = dataclasses.replace(toy, pattern=edits.pattern)
    said = {
        kind: value
        for kind in ("style", "hat", "neighbour", "setting")
        if (value := getattr(edits, kind)) is not None
    }
    return dataclasses.replace(scene, toy=toy, **said)


def _sayable(scene: Scene) -> Edits:
    return Edits(
        style=scene.style,
        colour=scene.toy.colour,
        pattern=None if scene.toy.pattern == PATTERNS[0] else scene.toy.pattern,
        hat=scene.hat,
        neighbour=scene.neighbour,
        setting=scene.setting,
    )


def _word(said: Edits, noun: str, setting_early: bool = False) -> str:
    parts = [] if said.style is None else [f"a {said.style} of"]
    parts += [word for word in ("a", said.colour, said.pattern, noun) if word is not None]
    if said.hat is not None:
        parts.append(" ".join(HAT_WORDS).format(colour=said.hat))
    after = []
    if said.neighbour is not None:
        after.append(" ".join(NEIGHBOUR_WORDS).format(colour=said.neighbour))
    if said.setting is not None:
        after.append(SETTINGS[said.setting])
    return " ".join(parts + (after[::-1] if setting_early else after))


def _read_style(words: list[str]) -> tuple[str | None, int]:
    for style in STYLES:
        start = ["a", *style.split(), "of"]
        if words[: len(start)] == start:
            return style, len(start)
    return None, 0


def _adjective_kind(word: str, prompt: str, class_noun: str) -> str:
    if word in COLOURS:
        return "colour"
    if word in PATTERNS[1:]:
        return "pattern"
    raise ValueError(
        f"the word {word!r} of the prompt {prompt!r} is neither a colour nor a pattern "
        f"nor the noun {class_noun!r}"
    )


def _read_phrase(words: list[str], place: int, prompt: str) -> tuple[str, str, int]:
    for setting, phrase in SETTINGS.items():
        end = place + len(phrase.split())
        if words[place:end] == phrase.split():
            return "setting", setting, end
    for kind, pattern in (("hat", HAT_WORDS), ("neighbour", NEIGHBOUR_WORDS)):
        end = place + len(pattern)
        said = words[place:end]
        slot = pattern.index("{colour}")
        if said[:slot] != list(pattern[:slot]):
            continue
        if len(said) == len(pattern) and said[slot] in COLOURS and said[-1] == pattern[-1]:
            return kind, said[slot], end
        wrong = " ".join(said[slot:]) or "nothing"
        raise ValueError(
            f"the prompt {prompt!r} needs a colour and {pattern[-1]!r} after "
            f"{' '.join(pattern[:slot])!r}, not {wrong!r}"
        )
    raise ValueError(
        f"the word {words[place]!r} of the prompt {prompt!r} begins no phrase of the toybox world"
    )


def _keep(found: dict[str, str], kind: str, value: str, prompt: str) -> None:
    if kind in found:
        raise ValueError(f"the word {value!r} of the prompt {prompt!r} gives a second {kind}")
    found[kind] = value
