"""The training loop: it learns, repeats itself, and goes on after an interruption."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny import NOUN, OPTIONS, SIDE, load_tiny, make_photo, make_photos, train_tiny

import pseudoword
from pseudoword import checkpoint
from pseudoword import train as loop
from pseudoword.artefact import load_run
from pseudoword.checksum import check_seal, save_sealed
from pseudoword.dataset import Batch, Examples, draw_batch
from pseudoword.encoded import encode_photos
from pseudoword.errors import UserError
from pseudoword.families.model import Model
from pseudoword.generate import Request, generate
from pseudoword.kept import Kept
from pseudoword.methods import METHODS, make_method
from pseudoword.objective import squared_errors
from pseudoword.runs import read_json, write_json
from pseudoword.settings import GenerateSettings, ObjectiveSettings
from pseudoword.views import View

CPU = torch.device("cpu")
ARTEFACT = "artefact.safetensors"
TEXT = {"train_text_encoder": True, "text_learning_rate": 1e-2}
VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {
    **{name: (name, {}) for name in ("textual-inversion", "dreambooth", "lora", "pivotal-tuning")},
    "dreambooth-text": ("dreambooth", TEXT),
    "lora-text": ("lora", TEXT),
    "three-vectors": ("textual-inversion", {"vectors": 3}),
    "averaged": ("lora", {"average": 0.9, "schedule": "cosine"}),
}
over_variants = pytest.mark.parametrize(("name", "options"), VARIANTS.values(), ids=VARIANTS)


class InterruptionError(Exception):
    """Stands for whatever ends a training early."""


def prior_of(model: Model) -> torch.Tensor:
    generator = torch.Generator().manual_seed(3)
    return torch.randn(2, *model.latent_shape, generator=generator)


@torch.no_grad()
def fixed_loss(model: Model, phrase: str) -> float:
    """Mean loss over noise and timesteps that no training step draws."""
    prompt = "a photo of a {}"
    photos = make_photos()
    kinds = (loop.photo_examples(photos, encode_photos(model, photos), (prompt,), phrase),)
    losses = []
    for step in range(4):
        (batch,) = draw_batch(kinds, 12, model.objective, 99, step)
        noisy = model.objective.add_noise(batch.latents, batch.noise, batch.timesteps)
        target = model.objective.target(batch.latents, batch.noise, batch.timesteps)
        states = model.encode_prompts(batch.prompts)
        prediction = model.predict(noisy, batch.timesteps, states)
        losses.append(squared_errors(prediction, target).mean())
    return float(torch.stack(losses).mean())


@pytest.mark.parametrize("name", ["textual-inversion", "dreambooth", "lora"])
@pytest.mark.parametrize("folder", ["tiny_model", "tiny_epsilon_model"])
def test_loss_falls(name: str, folder: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    model_folder = request.getfixturevalue(folder)
    start = load_tiny(model_folder)
    method = make_method(name, "stable-diffusion", OPTIONS[name])
    method.attach(start, NOUN, 0)
    phrase = method.noun_phrase(NOUN)
    trained = train_tiny(model_folder, name, tmp_path, steps=25)
    assert fixed_loss(trained, phrase) < 0.995 * fixed_loss(start, phrase)


@over_variants
def test_resumed_equals_uninterrupted(
    name: str,
    options: dict[str, Any],
    tiny_model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    more = {"steps": 20, "warmup_steps": 15, "prior_weight": 0.5, "snapshots": 2, **options}
    prior = Kept(prior_of(load_tiny(tiny_model)), 1.5)
    train_tiny(tiny_model, name, tmp_path / "whole", prior, **more)

    def stop(progress: loop.Progress) -> None:
        raise InterruptionError

    monkeypatch.setattr(checkpoint, "CHECKPOINT_SECONDS", -1.0)
    monkeypatch.setattr(checkpoint, "CHECKPOINT_SHARE", 0.0)
    folder = tmp_path / "resumed"
    with pytest.raises(InterruptionError):
        train_tiny(tiny_model, name, folder, prior, progress=stop, **more)
    assert not (folder / ARTEFACT).exists()
    steps: list[int] = []

    def count(*arguments: Any) -> list[Batch]:
        steps.append(arguments[4])
        return draw_batch(*arguments)

    monkeypatch.setattr(loop, "draw_batch", count)
    train_tiny(tiny_model, name, folder, prior, **more)
    assert steps == list(range(9, 20))
    for file in (ARTEFACT, "snapshots/000010.safetensors", "snapshots/000020.safetensors"):
        assert (folder / file).read_bytes() == (tmp_path / "whole" / file).read_bytes()
    logs = [
        [(line["step"], line["loss"]) for line in map(json.loads, text.splitlines())]
        for text in ((tmp_path / run / "log.jsonl").read_text() for run in ("whole", "resumed"))
    ]
    assert logs[0] == logs[1] and [step for step, _ in logs[0]] == [10, 20]
    assert not (folder / "checkpoint.safetensors").exists()


def test_checkpoint_of_other_settings_is_not_taken_up(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(progress: loop.Progress) -> None:
        raise InterruptionError

    monkeypatch.setattr(checkpoint, "CHECKPOINT_SECONDS", -1.0)
    monkeypatch.setattr(checkpoint, "CHECKPOINT_SHARE", 0.0)
    with pytest.raises(InterruptionError):
        train_tiny(tiny_model, "lora", tmp_path / "a", steps=12, progress=stop)
    train_tiny(tiny_model, "lora", tmp_path / "a", steps=12, learning_rate=3e-3)
    train_tiny(tiny_model, "lora", tmp_path / "b", steps=12, learning_rate=3e-3)
    assert (tmp_path / "a" / ARTEFACT).read_bytes() == (tmp_path / "b" / ARTEFACT).read_bytes()


@pytest.mark.parametrize("name", METHODS)
def test_seeds_repeat_and_differ(name: str, tiny_model: Path, tmp_path: Path) -> None:
    for folder, seed in (("first", 0), ("again", 0), ("other", 1)):
        train_tiny(tiny_model, name, tmp_path / folder, steps=2, seed=seed)
    first, again, other = (
        (tmp_path / folder / ARTEFACT).read_bytes() for folder in ("first", "again", "other")
    )
    assert first == again != other


def test_methods_see_the_same_noise(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    batches: dict[str, list[Batch]] = {}
    for name in METHODS:
        seen = batches.setdefault(name, [])

        def record(*arguments: Any, seen: list[Batch] = seen) -> list[Batch]:
            drawn = draw_batch(*arguments)
            seen += drawn
            return drawn

        monkeypatch.setattr(loop, "draw_batch", record)
        train_tiny(tiny_model, name, tmp_path / name, steps=3)
    reference = batches["lora"]
    for seen in batches.values():
        for batch, other in zip(seen, reference, strict=True):
            assert torch.equal(batch.noise, other.noise)
            assert torch.equal(batch.timesteps, other.timesteps)
            assert torch.equal(batch.latents, other.latents)


def test_class_pictures_add_their_weighted_loss(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prior = Kept(prior_of(load_tiny(tiny_model)), 1.5)
    drawn: list[tuple[Examples, ...]] = []

    def record(kinds: tuple[Examples, ...], *rest: Any) -> list[Batch]:
        drawn.append(kinds)
        return draw_batch(kinds, *rest)

    monkeypatch.setattr(loop, "draw_batch", record)
    for weight in (0.0, 0.5):
        train_tiny(
            tiny_model, "dreambooth", tmp_path / str(weight), prior, steps=2, prior_weight=weight
        )
    train_tiny(tiny_model, "dreambooth", tmp_path / "none", steps=2, prior_weight=0.5)
    without, with_prior, none = drawn[0], drawn[2], drawn[4]
    assert len(without) == len(none) == 1 and len(with_prior) == 2
    assert with_prior[0].pictures[0].prompts == ("a photo of a sks mug",)
    assert with_prior[1].pictures[0].prompts == ("a photo of a mug",)
    assert with_prior[1].weight == 0.5
    latents = [picture.views[0].latents for picture in with_prior[1].pictures]
    assert torch.equal(torch.stack(latents), prior.latents)
    first, second, third = (
        torch.from_numpy(np.frombuffer((tmp_path / f / ARTEFACT).read_bytes()[-4000:], np.uint8))
        for f in ("0.0", "none", "0.5")
    )
    assert torch.equal(first, second) and not torch.equal(first, third)


def test_gradient_is_that_of_photos_plus_weighted_class_pictures(tiny_model: Path) -> None:
    """One step of plain arithmetic beside the loop's: same first update of the factors."""
    model = load_tiny(tiny_model)
    photos, template = make_photos(), ("a photo of a {}",)
    kinds = (
        loop.photo_examples(photos, encode_photos(model, photos), template, "sks mug"),
        loop.prior_examples(model, Kept(prior_of(model), 0.0), template, "mug", 0.5),
    )
    (batch,) = draw_batch(kinds, 2, model.objective, 0, 0)
    with torch.no_grad():
        noisy = model.objective.add_noise(batch.latents, batch.noise, batch.timesteps)
        target = model.objective.target(batch.latents, batch.noise, batch.timesteps)
        states = model.encode_prompts(batch.prompts)
        error = (model.predict(noisy, batch.timesteps, states) - target) ** 2
    photo_error, prior_error = error[:2].mean(), error[2:].mean()
    losses = squared_errors(model.predict(noisy, batch.timesteps, states), target)
    total = (losses * batch.weights).sum() / 2
    torch.testing.assert_close(total.detach(), photo_error + 0.5 * prior_error)


def test_run_json_tells_what_was_done(tiny_run: Callable[..., Path], tiny_model: Path) -> None:
    for name in ("textual-inversion", "dreambooth", "lora"):
        folder = tiny_run(name)
        run = json.loads((folder / "run.json").read_text())
        assert run["method"] == name and run["class_noun"] == NOUN and run["steps"] == 6
        assert run["noun_phrase"] == load_run(folder, CPU).noun_phrase
        assert run["cost"]["artefact_bytes"] == (folder / ARTEFACT).stat().st_size
        assert run["cost"]["seconds"] > 0 and run["cost"]["peak_memory_bytes"] > 0
    rows = json.loads((tiny_run("textual-inversion") / "run.json").read_text())
    assert rows["cost"]["trainable_parameters"] == 24


@pytest.mark.parametrize(
    ("steps", "count", "expected"),
    [(300, 3, [100, 200, 300]), (7, 2, [4, 7]), (2, 5, [1, 2]), (10, 0, [])],
)
def test_snapshot_steps(steps: int, count: int, expected: list[int]) -> None:
    assert loop.snapshot_steps(steps, count) == expected


def test_a_snapshot_can_be_drawn_with(tiny_model: Path, tmp_path: Path) -> None:
    train_tiny(tiny_model, "lora", tmp_path, steps=4, snapshots=2)
    last = load_run(tmp_path, CPU, step=4).model
    early = load_run(tmp_path, CPU, step=2).model
    whole = load_run(tmp_path, CPU).model.denoiser.state_dict()
    assert all(torch.equal(v, whole[k]) for k, v in last.denoiser.state_dict().items())
    assert any(not torch.equal(v, whole[k]) for k, v in early.denoiser.state_dict().items())


def test_a_photo_without_caption_is_called_by_all_templates(tiny_model: Path) -> None:
    model = load_tiny(tiny_model)
    templates = ("a photo of a {}", "the {}")
    plain, captioned = make_photos(2)
    captioned = replace(captioned, caption="a {} in the snow")
    photos = [plain, captioned]
    encoded = encode_photos(model, photos)
    first, second = loop.photo_examples(photos, encoded, templates, "sks mug").pictures
    assert first.prompts == ("a photo of a sks mug", "the sks mug")
    assert second.prompts == ("a sks mug in the snow",)


def test_views_keep_their_shapes_sizes_and_masks(tiny_model: Path) -> None:
    model = load_tiny(tiny_model)
    wide = np.zeros((SIDE, 2 * SIDE, 3), np.uint8)
    mask = np.zeros((SIDE, 2 * SIDE), np.float32)
    mask[:, :SIDE] = 1.0
    photo = make_photo(wide, views=(View(wide, mask, (40, 80), (3, 5)),))
    (((view,),),) = (encode_photos(model, [photo]).photos,)
    assert view.latents.shape == (4, SIDE // 2, SIDE)
    assert view.sizes == (40, 80, 3, 5, SIDE, 2 * SIDE)
    assert view.mask is not None and view.mask.shape == (1, SIDE // 2, SIDE)
    assert float(view.mask[..., : SIDE // 2].min()) == 1.0
    assert float(view.mask[..., SIDE // 2 :].max()) == 0.0
    expected = model.encode_pixels(-torch.ones(1, 3, SIDE, 2 * SIDE))
    torch.testing.assert_close(view.latents, expected[0])


def test_a_mask_weights_the_loss_and_an_even_one_does_not(tiny_model: Path, tmp_path: Path) -> None:
    (photo,) = make_photos(1)
    half = np.zeros((SIDE, SIDE), np.float32)
    half[:, : SIDE // 2] = 1.0
    losses = {}
    for name, mask in (("none", None), ("even", np.full_like(half, 0.5)), ("half", half)):
        view = View(photo.pixels, mask, (SIDE, SIDE), (0, 0))
        method = make_method("lora", "stable-diffusion", {**OPTIONS["lora"], "steps": 5})
        folder, photos = tmp_path / name, [replace(photo, views=(view,))]
        loop.train(load_tiny(tiny_model), method, NOUN, photos, folder, seed=0)
        losses[name] = json.loads((folder / "log.jsonl").read_text().splitlines()[-1])["loss"]
    assert losses["even"] == pytest.approx(losses["none"], rel=1e-5)
    assert losses["half"] != pytest.approx(losses["none"], rel=1e-2)


@pytest.mark.parametrize(
    "change", [{"min_snr_gamma": 5.0}, {"noise_offset": 0.5}, {"timesteps": "logit-normal"}]
)
def test_the_objectives_options_change_what_is_learnt(
    change: dict[str, Any], tiny_model: Path, tmp_path: Path
) -> None:
    for name, objective in (("plain", ObjectiveSettings()), ("other", ObjectiveSettings(**change))):
        model = load_tiny(tiny_model)
        method = make_method("lora", "stable-diffusion", {**OPTIONS["lora"], "steps": 2})
        folder = tmp_path / name
        loop.train(model, method, NOUN, make_photos(), folder, seed=0, objective=objective)
    artefacts = [(tmp_path / name / ARTEFACT).read_bytes() for name in ("plain", "other")]
    assert artefacts[0] != artefacts[1]
    assert json.loads((tmp_path / "other" / "run.json").read_text())["objective"] == {
        "timesteps": "auto",
        "min_snr_gamma": 0.0,
        "noise_offset": 0.0,
        **change,
    }


def test_a_group_rests_outside_its_share_of_the_run(tiny_model: Path, tmp_path: Path) -> None:
    """Pivotal tuning's word stands still in the second half, its factors in the first."""
    train_tiny(tiny_model, "pivotal-tuning", tmp_path, steps=4, snapshots=4)
    states = [load_file(tmp_path / "snapshots" / f"{step:06d}.safetensors") for step in range(1, 5)]
    words = [state["text_encoders.0"] for state in states]
    factors = [next(v for k, v in sorted(s.items()) if "lora_B" in k) for s in states]
    assert not torch.equal(words[0], words[1]) and torch.equal(words[1], words[3])
    assert not factors[1].any() and factors[2].any()
    assert not torch.equal(factors[2], factors[3])


def test_a_run_of_other_weights_is_refused(
    tiny_run: Callable[..., Path], tiny_epsilon_model: Path
) -> None:
    folder = tiny_run("lora")
    # Both tiny models have the same weights: change those that the run remembers.
    run = read_json(folder / "run.json")
    other = folder.parent / "other"
    other.mkdir()
    write_json(other / "run.json", {**run, "model_fingerprint": "0" * 64})
    with pytest.raises(UserError, match="train it again"):
        load_run(other, CPU)
    write_json(other / "run.json", run)
    with pytest.raises(UserError, match="artefact.safetensors"):
        load_run(other, CPU)


@pytest.mark.parametrize(
    ("model", "says"), [("0" * 64, "other weights than those of"), (None, "of another version")]
)
def test_an_artefact_of_other_weights_is_refused_whatever_its_run_says(
    model: str | None, says: str, tiny_run: Callable[..., Path], tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    shutil.copytree(tiny_run("lora"), folder)
    about = check_seal(folder / ARTEFACT)
    assert about["model"] == read_json(folder / "run.json")["model_fingerprint"]
    other = {**about, "model": model} if model else {k: about[k] for k in about if k != "model"}
    save_sealed(folder / ARTEFACT, load_file(folder / ARTEFACT), other, save_file)
    with pytest.raises(UserError, match=says) as caught:
        load_run(folder, CPU)
    assert ARTEFACT in str(caught.value) and str(caught.value).count("\n") == 1


DRAW = """
import sys
from pathlib import Path
import numpy as np
import torch
from pseudoword.artefact import load_run
from pseudoword.generate import Request, generate
from pseudoword.settings import GenerateSettings
torch.set_num_threads(1)
for folder in sys.argv[1:]:
    run = load_run(Path(folder), torch.device("cpu"))
    requests = [Request(f"a photo of a {run.noun_phrase} in the snow", 5)]
    pictures = generate(run.model, requests, GenerateSettings(sampling_steps=4))
    np.save(Path(folder) / "drawn.npy", pictures[0])
"""


def test_a_new_process_draws_the_same_pixels(
    tiny_run: Callable[..., Path], tiny_model: Path
) -> None:
    folders = [tiny_run(name, **options) for name, options in VARIANTS.values()]
    source = str(Path(pseudoword.__file__).parent.parent)
    environment = {**os.environ, "PYTHONPATH": source, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", DRAW, *map(str, folders)]
    subprocess.run(command, check=True, env=environment, capture_output=True)
    settings = GenerateSettings(sampling_steps=4)
    untouched = generate(
        load_tiny(tiny_model), [Request("a photo of a mug in the snow", 5)], settings
    )
    for folder in folders:
        run = load_run(folder, CPU)
        prompt = f"a photo of a {run.noun_phrase} in the snow"
        (here,) = generate(run.model, [Request(prompt, 5)], settings)
        there = np.load(folder / "drawn.npy", allow_pickle=False)
        assert np.array_equal(here, there), folder.name
        assert not np.array_equal(here, untouched[0])


def test_a_training_that_diverges_is_told(tiny_model: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="diverged") as caught:
        train_tiny(tiny_model, "dreambooth", tmp_path, learning_rate=1e30, steps=30)
    assert "learning_rate" in str(caught.value)
    assert not (tmp_path / ARTEFACT).exists()


def test_encoding_photos_is_a_cost_beside_class_pictures(tiny_model: Path, tmp_path: Path) -> None:
    model, photos = load_tiny(tiny_model), make_photos()
    encoded = replace(encode_photos(model, photos), seconds=5000.0)
    options = {**OPTIONS["dreambooth"], "steps": 1, "prior_weight": 1.0}
    method = make_method("dreambooth", "stable-diffusion", options)
    prior = Kept(prior_of(model), 1000.0)
    loop.train(model, method, NOUN, photos, tmp_path, seed=0, encoded=encoded, prior=prior)
    seconds = json.loads((tmp_path / "run.json").read_text())["cost"]["seconds"]
    assert 6000 < seconds < 6500


def test_drawing_class_pictures_is_a_cost(tiny_model: Path, tmp_path: Path) -> None:
    prior = Kept(prior_of(load_tiny(tiny_model)), 1000.0)
    for name, weight in (("with", 1.0), ("without", 0.0)):
        folder = tmp_path / name
        train_tiny(tiny_model, "dreambooth", folder, prior, steps=2, prior_weight=weight)
        seconds = json.loads((folder / "run.json").read_text())["cost"]["seconds"]
        assert (seconds > 1000) == (weight > 0)


@pytest.mark.parametrize(
    ("text", "message"),
    [("{}", "train the run again"), ("[]", "train the run again"), ("nothing", "not readable")],
)
def test_a_folder_that_is_no_run_is_told(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(UserError, match=message):
        load_run(tmp_path, CPU)
    with pytest.raises(UserError, match="does not exist"):
        load_run(tmp_path / "run.json", CPU)
