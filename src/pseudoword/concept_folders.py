"""A folder of concept folders: which concepts it holds, and the class noun of each.

A concept's noun is that of `--class-noun` where one serves all; else what concepts.yaml says, a
file of `folder: noun` lines beside the folders; else that of the toy.json in the concept's folder;
else the folder's name up to a number at its end ("mug-2" and "mug_02" are mugs).
"""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pseudoword.concept import clean_class_noun
from pseudoword.errors import UserError, printable
from pseudoword.pictures import folders_in, holds_pictures, show, some
from pseudoword.runs import read_json
from pseudoword.settings import read_yaml

NOUNS = "concepts.yaml"
TOY = "toy.json"
OPTION = "--class-noun"
NAME = "the folder's name"
# What cameras and people call folders whatever is in them.
NAMELESS = frozenset(
    ("concept", "dcim", "dsc", "folder", "image", "images", "img", "input", "new folder", "object")
    + ("photo", "photos", "picture", "pictures", "pic", "pics", "subject", "thing", "toy")
    + ("train", "training", "untitled", "untitled folder")
)


@dataclass(frozen=True)
class ConceptFolder:
    """One concept: its folder's name, where its photos are, its class noun and who said so."""

    name: str
    folder: Path
    class_noun: str
    source: str


def holds_concepts(paths: Sequence[Path]) -> bool:
    """Whether `paths` is one folder without pictures, with two or more folders that have some.

    A study's own folder is none, though photos/ and truth/ are in it.
    """
    if len(paths) != 1 or not os.path.isdir(paths[0]) or holds_pictures(paths[0]):
        return False
    if (paths[0] / "study.json").exists():
        return False
    return sum(holds_pictures(folder) for folder in folders_in(paths[0])) > 1


def find_concepts(folder: Path, class_noun: str, notes: list[str]) -> list[ConceptFolder]:
    """The concepts in `folder` in natural order; appends to `notes` what was taken and ignored.

    `class_noun` serves all of them; empty, each has its own. Raises UserError where there are not
    two, or where a noun is missing or in doubt.
    """
    inside = folders_in(folder)
    named = [each for each in inside if holds_pictures(each)]
    if len(named) < 2:
        raise UserError(
            f"{show(folder)} holds no two folders with pictures: a study of several concepts needs "
            "one folder for each."
        )
    if empty := [printable(each.name) for each in inside if each not in named]:
        notes.append(f"ignored {some(empty)} in {show(folder)}: no pictures in there")
    listed = _listed(folder, [each.name for each in named])
    found = [_concept(each, class_noun, listed) for each in named]
    notes.append(f"{len(found)} concepts, each with a study of its own")
    notes += _tell_sources(found)
    return found


def _concept(folder: Path, class_noun: str, listed: Mapping[str, str]) -> ConceptFolder:
    """The concept of one folder, from the first of the sources that names it."""
    told = {
        OPTION: class_noun,
        NOUNS: listed.get(folder.name, ""),
        TOY: _toy_noun(folder / TOY),
    }
    nouns = {source: _clean(noun, source, folder) for source, noun in told.items() if noun.strip()}
    # A wrong noun costs more likeness than any method gains, so one for all may not hide others.
    for source, noun in nouns.items():
        if OPTION in nouns and noun.lower() != nouns[OPTION].lower():
            raise UserError(
                f"{OPTION} says {nouns[OPTION]!r} and {source} says {noun!r} of {show(folder)}:\n"
                "leave one of them out."
            )
    source, noun = next(iter(nouns.items()), (NAME, ""))
    return ConceptFolder(folder.name, folder, noun or _from_name(folder), source)


def _clean(noun: str, source: str, folder: Path) -> str:
    try:
        return clean_class_noun(noun)[0]
    except UserError as error:
        if source == OPTION:
            raise
        raise UserError(f"{source} says of {show(folder)}: {error}") from None


def _from_name(folder: Path) -> str:
    """The noun in a folder's name: "Bear_plushie 2" is of a bear plushie."""
    words = re.sub(r"[\s_.()-]*\d*[\s_.()-]*$", "", folder.name).replace("_", " ").lower()
    try:
        noun, _ = clean_class_noun(words)
    except UserError:
        noun = ""
    if not noun or noun in NAMELESS:
        raise UserError(
            f"{show(folder)} does not say what it shows: give --class-noun, if one serves all, or "
            f"write\n`{printable(folder.name)}: mug` (whatever it is) into {NOUNS} beside it."
        )
    return noun


def _toy_noun(record: Path) -> str:
    """The class noun of a rendered toy; empty where there is none."""
    if not record.is_file():
        return ""
    value = read_json(record)
    noun = value.get("class_noun") if isinstance(value, dict) else None
    if not isinstance(noun, str):
        raise UserError(f"{show(record)} has no class_noun: remove it, or render the toy again.")
    return noun


def _listed(folder: Path, names: Sequence[str]) -> dict[str, str]:
    """What concepts.yaml says, by the folders' names; empty where there is none."""
    file = folder / NOUNS
    if not file.is_file():
        return {}
    # All values as text: "no" and "007" are names like others.
    values = read_yaml(file, show(file), texts=True)
    if not isinstance(values, dict) or not all(isinstance(v, str) for v in values.values()):
        raise UserError(
            f"{show(file)} must hold a line `folder: noun` for each concept,\nsuch as `cup-1: mug`."
        )
    if strange := [name for name in values if name not in names]:
        raise UserError(
            f"{show(file)} names {some(map(printable, strange))}, and no folder with pictures is "
            f"called so:\nthere are {some(map(printable, names))}."
        )
    return values


def _tell_sources(found: Sequence[ConceptFolder]) -> list[str]:
    """Each source with the nouns that come from it."""
    notes = []
    for source in dict.fromkeys(each.source for each in found):
        nouns: dict[str, list[str]] = {}
        for each in found:
            if each.source == source:
                nouns.setdefault(each.class_noun, []).append(printable(each.name))
        told = "; ".join(f'"{noun}" of {some(names, 20)}' for noun, names in nouns.items())
        doubt = f"; {NOUNS} beside the folders can say otherwise" if source == NAME else ""
        plain = "the folders' names" if source == NAME else source
        notes.append(f"class nouns, from {plain}: {told}{doubt}")
    return notes
