"""Every method with every family keeps one contract: learn, leave alone, save, resume, word.

Each pair trains once; the tests look at that run from all sides. A module for each family imports
them (test_contract_*.py) and names it as FAMILY, so that families can run side by side.
"""

import copy
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny import NOUN, OPTIONS, load_tiny, make_photos
from torch import Tensor, nn

from pseudoword import checkpoint, families
from pseudoword import train as loop
from pseudoword.artefact import LoadedRun, load_run
from pseudoword.dataset import Batch, draw_batch
from pseudoword.encoded import encode_photos
from pseudoword.errors import UserError
from pseudoword.export import FORMATS, export_loaded, verify, whole
from pseudoword.export.formats import fitting
from pseudoword.families.model import Model
from pseudoword.generate import Request, generate
from pseudoword.kept import Kept
from pseudoword.methods import METHODS, make_method
from pseudoword.methods.base import Method
from pseudoword.objective import squared_errors
from pseudoword.runs import read_json
from pseudoword.settings import GenerateSettings

CPU = torch.device("cpu")
FAMILIES = {
    "sd1": "tiny_model",
    "sd2": "tiny_sd2_model",
    "sdxl": "tiny_xl_model",
    "sd3": "tiny_sd3_model",
    "sd35-t5": "tiny_sd35_t5_model",
}
STEPS = 4
DRAWING = GenerateSettings(sampling_steps=2)
WORD = "<concept>"
PHRASES = {
    "textual-inversion": WORD,
    "custom-diffusion": f"{WORD} {NOUN}",
    "pivotal-tuning": WORD,
}


@dataclass(frozen=True, eq=False)
class Taught:
    """A pair's run, and the model as training left it."""

    folder: Path
    name: str
    model: Model
    phrase: str
    base: Model

    def untouched(self) -> Model:
        """A copy takes less time than reading the model again."""
        return copy.deepcopy(self.base)

    def method(self) -> Method:
        return make_method(self.name, "stable-diffusion", settings_of(self.name))


def settings_of(name: str) -> dict[str, object]:
    # Whole weights: differences in 16 bits give nearly the same pixels, which other tests look at.
    whole = {"store": "full"} if "store" in METHODS[name].Settings.model_fields else {}
    return {"steps": STEPS, "batch_size": 2, **OPTIONS[name], **whole, "prior_weight": 0.5}


def prior_of(model: Model) -> Kept:
    """Class pictures, which every method can learn along."""
    chance = torch.Generator().manual_seed(3)
    return Kept(torch.randn(2, *model.latent_shape, generator=chance), 0.0)


def teach(pair: Taught, folder: Path) -> Model:
    model = pair.untouched()
    prior = prior_of(model)
    loop.train(model, pair.method(), NOUN, make_photos(), folder, seed=0, prior=prior)
    return model


@pytest.fixture(scope="module")
def family(request: pytest.FixtureRequest) -> str:
    return str(request.module.FAMILY)


@pytest.fixture(scope="module")
def base(request: pytest.FixtureRequest, family: str) -> Model:
    folder: Path = request.getfixturevalue(FAMILIES[family])
    return load_tiny(folder)


@pytest.fixture(scope="module")
def untouched_picture(base: Model) -> np.ndarray:
    """What the base draws of the plain noun."""
    return draw(copy.deepcopy(base), NOUN)


@pytest.fixture(scope="module", params=METHODS)
def taught(
    request: pytest.FixtureRequest, base: Model, tmp_path_factory: pytest.TempPathFactory
) -> Taught:
    name = request.param
    folder = tmp_path_factory.mktemp("contract") / name
    model = copy.deepcopy(base)
    method = make_method(name, "stable-diffusion", settings_of(name))
    loop.train(model, method, NOUN, make_photos(), folder, seed=0, prior=prior_of(model))
    return Taught(folder, name, model, method.noun_phrase(NOUN), base)


@pytest.fixture(scope="module")
def loaded(taught: Taught) -> LoadedRun:
    """The run as it is read from its folder. Who changes it puts it back."""
    return load_run(taught.folder, CPU)


def weights_of(model: Model) -> dict[str, Tensor]:
    parts: list[tuple[str, nn.Module]] = [("denoiser", model.denoiser)]
    parts += [(f"text_encoders.{i}", encoder) for i, encoder in enumerate(model.text_encoders)]
    parts.append(("autoencoder", model.autoencoder))
    return {f"{p}.{k}": v for p, module in parts for k, v in module.named_parameters()}


def draw(model: Model, phrase: str) -> np.ndarray:
    return np.stack(generate(model, [Request(f"a photo of a {phrase} in the snow", 3)], DRAWING))


def test_a_step_lowers_the_loss_of_a_fixed_batch(taught: Taught) -> None:
    """A short step against the gradient: whatever learns must be able to help."""
    model, method = taught.untouched(), taught.method()
    groups = method.attach(model, NOUN, 0)
    photos, prompts = make_photos(), ("a photo of a {}",)
    examples = loop.photo_examples(photos, encode_photos(model, photos), prompts, taught.phrase)
    (batch,) = draw_batch((examples,), 4, model.objective, 0, 0)

    def loss() -> Tensor:
        noisy = model.objective.add_noise(batch.latents, batch.noise, batch.timesteps)
        target = model.objective.target(batch.latents, batch.noise, batch.timesteps)
        text = model.encode_prompts(batch.prompts)
        prediction = model.predict(noisy, batch.timesteps, text, batch.sizes)
        return squared_errors(prediction, target).mean()

    before = loss()
    before.backward()
    parameters = [p for group in groups for p in group.parameters if p.grad is not None]
    norm = torch.stack([p.grad.square().sum() for p in parameters]).sum().sqrt()
    assert norm > 0
    start = [parameter.detach().clone() for parameter in parameters]
    losses = []
    with torch.no_grad():
        # How far the gradient can be trusted depends on the random model.
        for length in (1e-2, 1e-3, 1e-4):
            for parameter, value in zip(parameters, start, strict=True):
                parameter.copy_(value - length * parameter.grad / norm)
            losses.append(loss())
    assert min(losses) < before


def test_what_is_declared_learns_and_not_a_bit_else(taught: Taught) -> None:
    start = taught.untouched()
    base = {k: v.detach().clone() for k, v in weights_of(start).items()}
    groups = taught.method().attach(start, NOUN, 0)
    declared = {id(p) for group in groups for p in group.parameters}
    names = {name for name, p in weights_of(start).items() if id(p) in declared}
    assert len(names) == len(declared)
    before, after = weights_of(start), weights_of(taught.model)
    assert before.keys() == after.keys()
    changed = {name for name, value in before.items() if not torch.equal(value, after[name])}
    assert changed <= names and changed
    assert {name for name, p in after.items() if p.requires_grad} == names
    for name, value in base.items():
        if name in after and name not in names:
            assert torch.equal(value, after[name]), name


def test_a_saved_run_draws_the_same_pixels(
    taught: Taught, loaded: LoadedRun, untouched_picture: np.ndarray
) -> None:
    assert loaded.noun_phrase == taught.phrase
    assert not any(p.requires_grad for p in weights_of(loaded.model).values())
    kept = draw(loaded.model, taught.phrase)
    assert np.array_equal(kept, draw(taught.model, taught.phrase))
    assert not np.array_equal(kept, untouched_picture)


def test_resumed_equals_uninterrupted(
    taught: Taught, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class InterruptionError(Exception):
        pass

    steps: list[int] = []

    def stop_at_two(*arguments: object, **options: object) -> list[Batch]:
        steps.append(int(str(arguments[4])))
        if steps == [0, 1, 2]:
            raise InterruptionError
        return draw_batch(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(checkpoint, "CHECKPOINT_SECONDS", -1.0)
    monkeypatch.setattr(checkpoint, "CHECKPOINT_SHARE", 0.0)
    monkeypatch.setattr(loop, "draw_batch", stop_at_two)
    with pytest.raises(InterruptionError):
        teach(taught, tmp_path)
    teach(taught, tmp_path)
    assert steps == [0, 1, 2, 2, 3]
    artefacts = [(folder / loop.ARTEFACT).read_bytes() for folder in (taught.folder, tmp_path)]
    assert artefacts[0] == artefacts[1]


def test_prompts_are_worded_right(taught: Taught) -> None:
    assert taught.phrase == PHRASES.get(taught.name, f"sks {NOUN}")
    prompt = f"a photo of a {taught.phrase}"
    for tokenizer in taught.model.tokenizers:
        words = tokenizer.tokenize(taught.phrase)
        assert (WORD in words) == (WORD in taught.phrase)
    with torch.no_grad():
        states = taught.model.encode_prompts([prompt, f"a photo of a {NOUN}"]).states
    assert not torch.equal(states[0], states[1])


def test_strength_goes_from_nothing_to_all(
    taught: Taught, loaded: LoadedRun, untouched_picture: np.ndarray
) -> None:
    method = loaded.method
    if not method.has_strength:
        with pytest.raises(UserError, match="no strength"):
            method.set_strength(loaded.model, 0.5)
        return
    kept = draw(loaded.model, taught.phrase)
    method.set_strength(loaded.model, 0.0)
    # A method's own word stays where only its weights are scaled, so compare plain words.
    assert np.array_equal(draw(loaded.model, NOUN), untouched_picture)
    method.set_strength(loaded.model, 1.0)
    assert np.array_equal(draw(loaded.model, taught.phrase), kept)


def applying(name: str, family: str) -> set[str]:
    """The formats that should hold what a method learns with a family."""
    if name == "textual-inversion":
        return {"diffusers", "a1111", "checkpoint"}
    if name == "custom-diffusion":
        return {"diffusers", "checkpoint"}
    if name in ("dreambooth", "full-fine-tuning"):
        lost = name == "full-fine-tuning" and family.startswith("sd3")
        return {"diffusers", "checkpoint"} | (set() if lost else {"single-file"})
    formats = {"peft", "checkpoint"}
    formats |= {"diffusers"} if name in ("lora", "dora", "pivotal-tuning") else set()
    formats |= {"single-file"} if name != "pivotal-tuning" else set()
    kohya = name not in ("oft", "boft") and not family.startswith("sd3")
    return formats | ({"kohya"} if kohya else set())


def load_by_copying(base: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exports put themselves into a copy of `base`, which takes less time than reading it."""
    for module in (families, whole):
        monkeypatch.setattr(module, "load_again", lambda model: copy.deepcopy(base))


def test_every_export_draws_the_same_pixels(
    taught: Taught,
    loaded: LoadedRun,
    family: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    load_by_copying(taught.base, monkeypatch)
    # Of all samplers the one that makes the least of rounding, of which random models make much.
    monkeypatch.setattr(verify, "SETTINGS", GenerateSettings(sampling_steps=2, sampler="euler"))
    formats = fitting(loaded)
    assert set(formats) == applying(taught.name, family)
    for name in FORMATS:
        out = tmp_path / name
        if name in formats:
            assert export_loaded(loaded, taught.folder, name, out).exists()
            note = read_json(out / "export.json")
            assert note["largest_difference"] <= verify.TOLERANCE
        else:
            with pytest.raises(UserError, match="does not apply to this run: .*\nFor it use"):
                export_loaded(loaded, taught.folder, name, out)
