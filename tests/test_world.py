"""The toybox world: one seed is one picture, and what is said is what is shown."""

import dataclasses
import json

import numpy as np
import pytest

from pseudoword.toybox.world import Scene, sample_scene
from pseudoword.toybox.world.caption import (
    Edits,
    apply_edits,
    caption,
    full_caption,
    parse_prompt,
)
from pseudoword.toybox.world.concepts import concept_toy, photo_scenes, true_scenes
from pseudoword.toybox.world.render import render, render_many, render_mask
from pseudoword.toybox.world.scene import toy_from_dict
from pseudoword.toybox.world.vocabulary import (
    CLASSES,
    COLOURS,
    PATTERNS,
    SETTINGS,
    STYLES,
    WORDS,
)

SEEDS = range(300)


def saying(scene: Scene) -> Edits:
    """What a scene shows, in the terms of a prompt."""
    toy = scene.toy
    return Edits(
        style=scene.style,
        colour=toy.colour,
        pattern=None if toy.pattern == "plain" else toy.pattern,
        hat=scene.hat,
        neighbour=scene.neighbour,
        setting=scene.setting,
    )


def test_a_seed_is_a_picture_whatever_the_threads() -> None:
    scenes = [sample_scene(seed) for seed in range(12)]
    assert scenes == [sample_scene(seed) for seed in range(12)]
    alone = render_many(scenes, 32, threads=1)
    assert alone.shape == (12, 32, 32, 3) and alone.dtype == np.uint8
    assert np.array_equal(alone, render_many(scenes, 32, threads=3))
    assert np.array_equal(alone[5], render(scenes[5], 32))
    assert len({picture.tobytes() for picture in alone}) == 12


def test_scenes_survive_json() -> None:
    for seed in SEEDS:
        scene = sample_scene(seed)
        assert Scene.from_dict(json.loads(json.dumps(scene.to_dict()))) == scene
    toy = concept_toy(3)
    assert toy_from_dict(json.loads(json.dumps(dataclasses.asdict(toy)))) == toy


def test_captions_say_only_what_is_so() -> None:
    said = dict.fromkeys(("style", "colour", "pattern", "hat", "neighbour", "setting"), 0)
    for seed in SEEDS:
        scene = sample_scene(seed)
        truth = saying(scene)
        for wording in range(3):
            edits = parse_prompt(caption(scene, wording), scene.toy.class_noun)
            for kind in said:
                value = getattr(edits, kind)
                assert value in (None, getattr(truth, kind))
                said[kind] += value is not None
            if scene.style != "photo":
                assert edits.style == scene.style
        assert parse_prompt(full_caption(scene), scene.toy.class_noun) == truth
    assert all(said.values())


def test_words_are_all_there_are() -> None:
    used = {word for seed in range(3000) for word in full_caption(sample_scene(seed)).split()}
    assert used == set(WORDS)
    assert len(set(WORDS)) == len(WORDS)


def test_attributes_are_independent() -> None:
    scenes = [sample_scene(seed) for seed in range(6000)]
    pairs = {(s.toy.class_noun, s.toy.colour) for s in scenes}
    assert len(pairs) == len(CLASSES) * len(COLOURS)
    pairs = {(s.setting, s.style + s.toy.pattern) for s in scenes}
    assert len(pairs) == len(SETTINGS) * len(STYLES) * len(PATTERNS)
    shares = {
        "hat": np.mean([s.hat is not None for s in scenes]),
        "neighbour": np.mean([s.neighbour is not None for s in scenes]),
        "plain": np.mean([s.toy.pattern == "plain" for s in scenes]),
        "photo": np.mean([s.style == "photo" for s in scenes]),
        "detail": np.mean([s.toy.detail != "none" for s in scenes]),
    }
    wanted = {"hat": 0.15, "neighbour": 0.15, "plain": 0.45, "photo": 0.7, "detail": 0.18}
    assert shares == pytest.approx(wanted, abs=0.03)


@pytest.mark.parametrize(
    ("prompt", "edits"),
    [
        ("a photo of a {}", Edits(style="photo")),
        ("a photo of {}", Edits(style="photo")),
        ("a mug", Edits()),
        ("a red striped {} at night", Edits(colour="red", pattern="striped", setting="night")),
        ("a striped red mug", Edits(colour="red", pattern="striped")),
        (
            "a oil painting of a {} on the moon next to a blue ball wearing a cyan hat",
            Edits(style="oil painting", hat="cyan", neighbour="blue", setting="moon"),
        ),
    ],
)
def test_prompts_are_read(prompt: str, edits: Edits) -> None:
    assert parse_prompt(prompt, "mug") == edits


@pytest.mark.parametrize(
    ("prompt", "word"),
    [
        ("a shiny mug", "shiny"),
        ("a photo of a teapot", "teapot"),
        ("a mug in paris", "in"),
        ("a mug wearing a red scarf", "scarf"),
        ("a mug next to a", "ball"),
        ("a red blue mug", "blue"),
        ("a photo of a red", "mug"),
    ],
)
def test_other_words_are_named(prompt: str, word: str) -> None:
    with pytest.raises(ValueError, match=word):
        parse_prompt(prompt, "mug")


def test_edits_change_what_they_say_and_nothing_else() -> None:
    for seed in range(60):
        scene, other = sample_scene(seed), sample_scene(seed + 1000)
        wanted = saying(other)
        edited = apply_edits(scene, wanted)
        assert edited.toy.body == COLOURS[str(other.toy.colour)]
        for field in ("style", "hat", "neighbour", "setting"):
            assert getattr(edited, field) == (getattr(wanted, field) or getattr(scene, field))
        toy = dataclasses.replace(
            edited.toy, colour=scene.toy.colour, body=scene.toy.body, pattern=scene.toy.pattern
        )
        assert toy == scene.toy
        assert (edited.camera, edited.light) == (scene.camera, scene.light)
        assert apply_edits(scene, Edits()) == scene


def test_the_truth_is_what_the_prompt_asks_for() -> None:
    toy = concept_toy(4)
    basic = true_scenes(toy, "a photo of a {}", 6, seed=0)
    assert all(scene.toy == toy and scene.style == "photo" for scene in basic)
    assert len({scene.setting for scene in basic}) > 1
    scenes = true_scenes(toy, "a pencil sketch of a purple {} wearing a red hat", 3, seed=0)
    for scene in scenes:
        assert (scene.style, scene.hat, scene.toy.colour) == ("pencil sketch", "red", "purple")
        assert dataclasses.replace(scene.toy, colour=None, body=toy.body) == toy
    assert len({scene.camera for scene in scenes}) == 3


def test_concepts_are_beyond_words() -> None:
    toys = [concept_toy(seed) for seed in range(48)]
    assert {toy.class_noun for toy in toys[:16]} == set(CLASSES)
    named = np.array(list(COLOURS.values()))
    for toy in toys:
        assert toy.colour is None
        assert np.linalg.norm(named - toy.body, axis=1).min() > 0.12
        photos = photo_scenes(toy, 5)
        assert len({scene.setting for scene in photos}) == 5
        assert all(scene.toy == toy and scene.hat is None for scene in photos)


def test_toys_fill_the_frame() -> None:
    for seed in range(120):
        scene = dataclasses.replace(sample_scene(seed), hat=None, neighbour=None)
        seen = render_mask(scene) > 0.25
        rows, columns = np.flatnonzero(seen.any(1)), np.flatnonzero(seen.any(0))
        extent = max(np.ptp(rows), np.ptp(columns)) + 1
        assert 0.5 * 64 <= extent <= 0.76 * 64
        assert rows[0] > 0 and rows[-1] < 63 and columns[0] > 0 and columns[-1] < 63


def test_shape_parameters_change_every_class() -> None:
    for name in CLASSES:
        base = true_scenes(dataclasses.replace(concept_toy(0), class_noun=name), "a {}", 1, 0)[0]
        for index in range(5):
            pictures = []
            for value in (-1.0, 1.0):
                shape = (*base.toy.shape[:index], value, *base.toy.shape[index + 1 :])
                toy = dataclasses.replace(base.toy, shape=shape)
                pictures.append(render(dataclasses.replace(base, toy=toy), 32))
            assert np.abs(pictures[0].astype(int) - pictures[1]).mean() > 0.5, (name, index)


def test_settings_differ_where_the_toy_is_not() -> None:
    scene = dataclasses.replace(sample_scene(1), hat=None, neighbour=None, style="photo")
    away = render_mask(scene, 32) == 0
    means = [
        render(dataclasses.replace(scene, setting=name), 32)[away].astype(float)
        for name in SETTINGS
    ]
    for index, one in enumerate(means):
        for other in means[:index]:
            assert np.abs(one - other).mean() > 15


def test_colours_are_seen_in_every_setting() -> None:
    """The twelve body colours stay nearest to themselves among each setting's twelve pictures."""
    scene = dataclasses.replace(sample_scene(2), hat=None, neighbour=None, style="photo")
    plain = dataclasses.replace(scene.toy, class_noun="ball", pattern="plain", detail="none")
    for setting in SETTINGS:
        seen = []
        for rgb in COLOURS.values():
            shown = dataclasses.replace(
                scene, toy=dataclasses.replace(plain, body=rgb), setting=setting
            )
            seen.append(render(shown, 32)[render_mask(shown, 32) == 1].mean(0))
        for index, one in enumerate(seen):
            for other in seen[:index]:
                assert np.linalg.norm(one - other) > 30, (setting, index)
