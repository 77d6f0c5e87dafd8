"""Line-ups and the oracle: near doubles differ in one respect, and the truth judges as it says."""

from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from pseudoword import truth
from pseudoword.prompts import custom_suite
from pseudoword.toybox import oracle as oracle_module
from pseudoword.toybox.oracle import (
    FEATURES,
    WIDTH,
    Oracle,
    describe,
    look,
    read_attributes,
    recognise,
)
from pseudoword.toybox.photos import SIZE, true_pictures
from pseudoword.toybox.pixels import as_pixels
from pseudoword.toybox.world.concepts import concept_toy, photo_scenes
from pseudoword.toybox.world.grammar import edit_toy, parse_prompt
from pseudoword.toybox.world.lineup import LINEUP, RESPECTS, lineup
from pseudoword.toybox.world.render import render_many
from pseudoword.toybox.world.scene import Scene, Toy

PATTERN = {"pattern_name", "pattern_scale", "pattern_angle", "pattern_phase"}


def changed(toy: Toy, other: Toy) -> set[str]:
    """Names of the fields in which two toys differ."""
    return {f.name for f in fields(toy) if getattr(toy, f.name) != getattr(other, f.name)}


@pytest.mark.parametrize("seed", range(16))
def test_a_double_differs_in_one_respect(seed: int) -> None:
    toy = concept_toy(seed)
    toys = lineup(toy)
    assert toys[0] == toy and len(toys) == LINEUP == 100
    for place, other in enumerate(toys[1:]):
        names = changed(toy, other)
        respect = RESPECTS[place % len(RESPECTS)]
        if respect == "pattern":
            assert names and names <= PATTERN
        elif respect == "proportions":
            assert names == {"shape"}
            assert np.abs(np.subtract(toy.shape, other.shape)).min() >= 0.4
        elif respect == "colour":
            assert len(names) == 1 and names < {"second", "trim", "body"}
        else:
            assert names == {"body"}
    assert lineup(toy) == toys and lineup(toy, seed=1) != toys


def test_every_double_can_be_seen() -> None:
    """Rendered in the same scene, each double gives another picture."""
    for seed in range(16):
        toy = concept_toy(seed)
        scene = photo_scenes(toy, 1, seed)[0]
        toys = lineup(toy, 9, seed)
        pictures = render_many([Scene(**{**vars(scene), "toy": t}) for t in toys], 64)
        moved = np.abs(pictures[1:].astype(int) - pictures[0]).max(axis=(1, 2, 3))
        assert (moved > 20).all(), (seed, toy.class_noun, moved)


def test_a_description_tells_all_toys_apart() -> None:
    toys = lineup(concept_toy(3), 40)
    described = np.stack([describe(toy) for toy in toys])
    assert described.shape == (40, oracle_module.DESCRIPTION)
    assert len(np.unique(described, axis=0)) == 40


def test_recognition_is_the_best_match() -> None:
    torch.manual_seed(0)
    model = Oracle().eval()
    toys = lineup(concept_toy(5), 10)
    vectors = torch.randn(20, FEATURES).numpy()
    table = np.stack([describe(toy) for toy in toys])
    with torch.no_grad():
        a = torch.nn.functional.normalize(model.picture(torch.from_numpy(vectors)), dim=1)
        b = torch.nn.functional.normalize(model.toy(torch.from_numpy(table)), dim=1)
    assert list(recognise(model, vectors, toys)) == (a @ b.T).argmax(1).tolist()


def test_the_truth_of_a_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    """Right toy and right scene follow from what the oracle says; the likeness from its vectors."""
    prompts = custom_suite(["a photo of a {}", "a photo of a purple {} wearing a red hat at night"])
    toy = concept_toy(7)
    edits = {p.id: parse_prompt(p.template, toy.class_noun) for p in prompts}
    asked: list[Toy] = []

    def fits(model: Oracle, vectors: np.ndarray, toys: Sequence[Toy]) -> np.ndarray:
        # The toy fits by one half; of its doubles as many fit better as the first number says.
        asked.append(toys[0])
        better = np.arange(1, len(toys)) <= vectors[:, :1]
        return np.concatenate([np.full((len(vectors), 1), 0.5), better], axis=1)

    def words(model: Oracle, vectors: np.ndarray) -> dict[str, list[str]]:
        n = len(vectors)
        return {
            "style": ["photo"] * n,
            "hat": ["red" if v[1] > 0 else "none" for v in vectors],
            "colour": ["green" if v[3] > 0 else "purple" for v in vectors],
            "neighbour": ["none"] * n,
            "setting": ["night"] * n,
        }

    monkeypatch.setattr(truth, "fit_of", fits)
    monkeypatch.setattr(truth, "read_attributes", words)
    vectors = np.zeros((5, WIDTH), np.float32)
    vectors[:, 0] = [0, 3, 0, 0, 0]
    vectors[:, 1] = [0, 1, 1, 0, 1]
    vectors[4, 3] = 1  # the colour that was asked for is not there
    vectors[:, 2] = 1
    renders = {p.id: np.eye(WIDTH, dtype=np.float32)[[2, 2]] for p in prompts}
    wanted = {key: truth.asked_words(edit) for key, edit in edits.items()}
    lineups = {key: lineup(edit_toy(toy, edit)) for key, edit in edits.items()}
    known = truth.Truth(Oracle(), wanted, lineups, renders)
    scores = known.score(vectors, ["00", "00", "01", "01", "01"])
    assert list(scores["right_toy"]) == [1, 0, 1, 1, 1]
    assert list(scores["right_scene"]) == [1, 0, 1, 0, 0]
    assert list(scores["right_both"]) == [1, 0, 1, 0, 0]
    assert list(scores["doubles_beaten"]) == [1, 96 / 99, 1, 1, 1]
    assert scores["truth_likeness"][0] == pytest.approx(1.0)
    assert scores["truth_likeness"][2] == pytest.approx(2**-0.5)
    assert asked == [edit_toy(toy, edits["00"]), edit_toy(toy, edits["01"])]
    assert asked[1].colour_name == "purple"


def test_true_renders_are_read_from_their_folder(tmp_path: Path) -> None:
    from safetensors.torch import save_model

    torch.manual_seed(0)
    model = Oracle().eval()
    save_model(model, str(tmp_path / "oracle.safetensors"))
    toy = concept_toy(2)
    prompts = custom_suite(["a photo of a {}", "a photo of a {} in the snow"])
    for prompt in prompts:
        for index, pixels in enumerate(true_pictures(toy, prompt.template, 3) or []):
            Image.fromarray(pixels).save(tmp_path / f"{prompt.id}-{index}.png")
    known = truth.load_truth(toy, prompts, tmp_path, tmp_path / "oracle.safetensors")
    again = true_pictures(toy, prompts[1].template, 3)
    assert known.renders["01"] == pytest.approx(look(model, np.stack(again)), abs=1e-5)
    ceiling = known.ceiling()
    assert {len(values) for values in ceiling.values()} == {6}
    assert set(read_attributes(model, known.renders["00"])) >= {"setting", "style", "hat"}
    small = [Image.new("RGB", (32, 32), "red")]
    assert as_pixels(small).shape == (1, SIZE, SIZE, 3)


def test_a_prompt_outside_the_language_is_found() -> None:
    toy = concept_toy(2)
    prompts = custom_suite(["a photo of a {}", "Elmo holding a {}"])
    assert truth.outside_language(prompts, toy) == prompts[1]
    assert truth.outside_language(prompts[:1], toy) is None
