"""The prompt suites, and templates that users write."""

from collections import Counter
from typing import get_args

import pytest

from pseudoword.errors import UserError
from pseudoword.prompts import (
    SUITES,
    VALIDATION,
    Kind,
    Prompt,
    World,
    custom_suite,
    fill,
    load_suite,
    subject_free_suite,
    validate_template,
    validation_suite,
)
from pseudoword.toybox.world.grammar import parse_prompt


@pytest.mark.parametrize("name", SUITES)
def test_suites_are_well_formed(name: str) -> None:
    suite = load_suite(name)
    assert [prompt.id for prompt in suite] == [f"{index:02d}" for index in range(len(suite))]
    assert len({prompt.template for prompt in suite}) == len(suite)
    assert {prompt.kind for prompt in suite} <= set(get_args(Kind))
    for prompt in suite:
        validate_template(prompt.template)
        assert "  " not in fill(prompt.template, "sks mug")


def test_sizes_and_kinds_of_the_suites() -> None:
    def kinds(name: str) -> Counter[str]:
        return Counter(prompt.kind for prompt in SUITES[name])

    assert kinds("classic") == {"basic": 1, "setting": 6, "style": 2, "neighbour": 1}
    assert kinds("dreambooth-object") == {"setting": 20, "property": 5}
    assert kinds("dreambooth-live") == {"setting": 10, "accessory": 10, "property": 5}
    assert set(kinds("toybox")) == set(get_args(Kind)) and len(SUITES["toybox"]) == 10


def test_dreambooth_suites_share_what_the_published_ones_share() -> None:
    templates = [
        {prompt.template for prompt in SUITES[name]}
        for name in ("dreambooth-object", "dreambooth-live")
    ]
    assert len(templates[0] & templates[1]) == 15


def test_unknown_suite_lists_those_there_are() -> None:
    with pytest.raises(UserError) as caught:
        load_suite("clasic")
    assert all(name in str(caught.value) for name in ("clasic", *SUITES))


@pytest.mark.parametrize("phrase", ["mug", "sks mug", "<toy>", "stuffed animal"])
def test_fill(phrase: str) -> None:
    assert fill("a photo of a purple {}", phrase) == f"a photo of a purple {phrase}"


@pytest.mark.parametrize("phrase", ["", " "])
def test_fill_refuses_an_empty_phrase(phrase: str) -> None:
    with pytest.raises(ValueError, match="empty"):
        fill("a photo of a {}", phrase)


@pytest.mark.parametrize(
    "template",
    ["", "{}" * 2, "a mug", "a {} and a {}", "a {0}", "a {mug}", "a {", "a }{", "a {{}}", "a {} }"],
)
def test_invalid_templates(template: str) -> None:
    with pytest.raises(UserError) as caught:
        validate_template(template)
    assert "{}" in str(caught.value) and len(str(caught.value).splitlines()) == 1


def test_custom_suite() -> None:
    assert custom_suite(["A photo of a {}", "a  {}\non the moon"]) == (
        Prompt("00", "A photo of a {}", "basic"),
        Prompt("01", "a {} on the moon", "setting"),
    )


def test_own_prompts_may_say_their_kind() -> None:
    suite = custom_suite(["a {} at sea", "style: a sketch of a {}", "kind: a {}"])
    assert [(p.kind, p.template) for p in suite] == [
        ("setting", "a {} at sea"),
        ("style", "a sketch of a {}"),
        ("setting", "kind: a {}"),
    ]
    again = custom_suite([f"{p.kind}: {p.template}" for p in SUITES["toybox"]])
    assert [vars(p) | {"id": 0} for p in again] == [vars(p) | {"id": 0} for p in SUITES["toybox"]]


@pytest.mark.parametrize("templates", [[], ["a mug"], ["a {}", "a  {}"]])
def test_invalid_custom_suites(templates: list[str]) -> None:
    with pytest.raises(UserError):
        custom_suite(templates)


def test_dreambooth_s_prompts_suit_the_noun() -> None:
    assert load_suite("dreambooth", "dog") == SUITES["dreambooth-live"]
    assert load_suite("dreambooth", "Cat") == SUITES["dreambooth-live"]
    assert load_suite("dreambooth", "mug") == SUITES["dreambooth-object"]
    assert {len(SUITES[name]) for name in ("dreambooth-live", "dreambooth-object")} == {25}


@pytest.mark.parametrize("world", VALIDATION)
def test_validation_prompts_are_in_no_suite(world: World) -> None:
    suite = VALIDATION[world]
    final = {prompt.template for name in SUITES for prompt in SUITES[name]}
    assert final.isdisjoint(prompt.template for prompt in suite)
    kinds = [prompt.kind for prompt in suite]
    assert kinds.count("basic") == 1 and len(set(kinds)) == len(suite) == 4
    for prompt in suite:
        validate_template(prompt.template)
        if world == "toybox":
            parse_prompt(prompt.template, "duck")


def test_what_is_judged_on_is_not_chosen_on() -> None:
    own = custom_suite(["A photo of a {}  on the MOON", "a {}"])
    left = validation_suite("toybox", own)
    assert [prompt.kind for prompt in left] == ["accessory", "style"]


@pytest.mark.parametrize("noun", ["mug", "tree", "Sailboat", "armchair", "teddy bear"])
@pytest.mark.parametrize("world", VALIDATION)
def test_subject_free_prompts(world: World, noun: str) -> None:
    first, *others = subject_free_suite(world, noun)
    assert (first.kind, first.text) == ("class", f"a photo of a {noun}")
    assert len(others) == 3 and {prompt.kind for prompt in others} == {"other"}
    assert len({prompt.id for prompt in (first, *others)}) == 4
    for prompt in others:
        assert prompt.text.split()[-1] not in noun.lower()
        if world == "toybox":
            parse_prompt(prompt.text, prompt.text.split()[-1])
