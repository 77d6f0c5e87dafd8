"""Prompts of the world's language, read back into edits of a scene.

[a STYLE of] a [COLOUR] [PATTERN] NOUN [wearing a COLOUR hat] [next to a COLOUR ball] [SETTING]
"""

from dataclasses import dataclass, replace

from pseudoword.toybox.world.scene import Scene, Toy
from pseudoword.toybox.world.vocabulary import COLOURS, PATTERNS, SETTINGS, STYLES

CONCEPT = "{}"
PHRASES = {
    "hat": ("wearing a".split(), ["hat"]),
    "neighbour": ("next to a".split(), ["ball"]),
}
"""Words before and after the colour of an accessory or neighbour."""


@dataclass(frozen=True)
class Edits:
    """What a prompt asks for; None where it says nothing."""

    style: str | None = None
    colour: str | None = None
    pattern: str | None = None
    hat: str | None = None
    neighbour: str | None = None
    setting: str | None = None


def parse_prompt(prompt: str, class_noun: str) -> Edits:
    """Reads a prompt of the grammar, with `class_noun` or `{}` as its noun.

    The phrases after the noun may come in any order. Raises ValueError that names the word where
    the prompt leaves the grammar.
    """
    words = prompt.lower().split()
    found: dict[str, str] = {}
    place = _read_style(words, found)
    if words[place : place + 1] == ["a"]:
        place += 1
    while place < len(words) and words[place] not in (class_noun, CONCEPT):
        _keep(found, _adjective(words[place], prompt, class_noun), words[place], prompt)
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
    return replace(
        scene,
        toy=edit_toy(scene.toy, edits),
        style=edits.style or scene.style,
        setting=edits.setting or scene.setting,
        hat=edits.hat or scene.hat,
        neighbour=edits.neighbour or scene.neighbour,
    )


def edit_toy(toy: Toy, edits: Edits) -> Toy:
    """`toy` in the colour and pattern that `edits` asks for."""
    if edits.colour is not None:
        toy = replace(toy, colour_name=edits.colour, body=COLOURS[edits.colour])
    if edits.pattern is not None:
        toy = replace(toy, pattern_name=edits.pattern)
    return toy


def _read_style(words: list[str], found: dict[str, str]) -> int:
    for style, phrase in STYLES.items():
        start = phrase.split()
        if words[: len(start)] == start:
            found["style"] = style
            return len(start)
    return 0


def _adjective(word: str, prompt: str, class_noun: str) -> str:
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
    for kind, (before, after) in PHRASES.items():
        slot = place + len(before)
        end = slot + 1 + len(after)
        if words[place:slot] == before:
            if words[slot : slot + 1] and words[slot] in COLOURS and words[slot + 1 : end] == after:
                return kind, words[slot], end
            raise ValueError(
                f"the prompt {prompt!r} needs a colour and {after[0]!r} after {' '.join(before)!r}"
            )
    raise ValueError(
        f"the word {words[place]!r} of the prompt {prompt!r} begins no phrase of the toybox world"
    )


def _keep(found: dict[str, str], kind: str, value: str, prompt: str) -> None:
    if kind in found:
        raise ValueError(f"the word {value!r} of the prompt {prompt!r} gives a second {kind}")
    found[kind] = value
