"""The contract that every method keeps, and what is special to each."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from tiny import NOUN, OPTIONS, load_tiny, train_tiny
from torch import Tensor, nn

from pseudoword.artefact import load_run
from pseudoword.errors import UserError
from pseudoword.families.model import Model
from pseudoword.methods import METHODS, make_method
from pseudoword.methods.base import Method

CPU = torch.device("cpu")


@dataclass(frozen=True)
class Case:
    """A method with settings, and what it does to a model.

    `changes` matches the names of the weights that it changes in place, `adapts` those of parts
    that get new parameters; `draws` tells whether what it starts from depends on the seed.
    """

    method: str
    options: dict[str, Any] = field(default_factory=dict)
    changes: str = "(?!)"
    adapts: str = "(?!)"
    draws: bool = True
    phrase: str = "sks toy mug"


TEXT = {"train_text_encoder": True, "text_learning_rate": 1e-2}
BOTH = "denoiser|text_encoder"
CROSS = r"denoiser\..*attn2\.to_[kv]\.weight"
LORA_PLUS = {"targets": "all", "rslora": True, "plus_ratio": 4.0}
CASES = {
    "textual-inversion": Case("textual-inversion", adapts="text_encoder", phrase="<concept>"),
    "dreambooth": Case("dreambooth", changes="denoiser", draws=False),
    "dreambooth-text": Case("dreambooth", TEXT, changes=BOTH, draws=False),
    "full-fine-tuning": Case("full-fine-tuning", changes=BOTH, draws=False),
    "lora": Case("lora", adapts="denoiser"),
    "lora-text": Case("lora", TEXT, adapts=BOTH),
    "lora-plus": Case("lora", LORA_PLUS, adapts="denoiser"),
    "dora": Case("dora", TEXT, adapts=BOTH),
    "loha": Case("loha", adapts="denoiser"),
    "lokr": Case("lokr", adapts="denoiser"),
    "oft": Case("oft", adapts="denoiser", draws=False),
    "boft": Case("boft", adapts="denoiser", draws=False),
    "custom-diffusion": Case(
        "custom-diffusion", changes=CROSS, adapts="text_encoder", phrase="<concept> toy mug"
    ),
    "pivotal-tuning": Case("pivotal-tuning", adapts=BOTH, phrase="<concept>"),
    "pivotal-tuning-text": Case("pivotal-tuning", TEXT, adapts=BOTH, phrase="<concept>"),
}
over_cases = pytest.mark.parametrize("case", CASES.values(), ids=CASES)
ADDED = ("lora_", "hada_", "lokr_", "oft_", "boft_", ".rows")
"""Parts of the names of parameters that a method adds."""


def make(case: Case, **more: Any) -> Method:
    changes = {**OPTIONS[case.method], **case.options, **more}
    return make_method(case.method, "stable-diffusion", changes)


def parts(model: Model) -> dict[str, nn.Module]:
    return {
        "denoiser": model.denoiser,
        "autoencoder": model.autoencoder,
        "text_encoder": model.text_encoders[0],
    }


def is_added(key: str) -> bool:
    return any(mark in key for mark in ADDED)


def own_weights(model: Model) -> dict[str, Tensor]:
    """Every weight of the base model, by the name it has before a method wraps its module."""
    return {
        f"{part}.{key.replace('.base_layer', '').replace('.table', '')}": value
        for part, module in parts(model).items()
        for key, value in module.state_dict().items()
        if not is_added(key)
    }


def learnable(model: Model) -> dict[str, nn.Parameter]:
    return {
        f"{part}.{key}": parameter
        for part, module in parts(model).items()
        for key, parameter in module.named_parameters()
        if parameter.requires_grad
    }


def test_every_method_is_in_the_battery() -> None:
    assert {case.method for case in CASES.values()} == set(METHODS)
    assert all(name == method.name for name, method in METHODS.items())


@over_cases
def test_attach_makes_the_intended_parameters_learn(case: Case, tiny_model: Path) -> None:
    model = load_tiny(tiny_model)
    assert not learnable(model)
    groups = make(case).attach(model, NOUN, 0)
    grouped = [p for group in groups for p in group.parameters]
    assert {id(p) for p in grouped} == {id(p) for p in learnable(model).values()}
    assert len(grouped) == len({id(p) for p in grouped})
    names = set(learnable(model))
    expected = set()
    for part, module in parts(model).items():
        for key, _ in module.named_parameters():
            pattern = case.adapts if is_added(key) else case.changes
            if re.match(pattern, f"{part}.{key}"):
                expected.add(f"{part}.{key}")
    assert names == expected and names


@over_cases
def test_training_changes_what_learns_and_not_a_bit_else(
    case: Case, tiny_trained: Callable[..., tuple[Model, Path]], tiny_model: Path
) -> None:
    trained, _ = tiny_trained(case.method, **case.options)
    start = load_tiny(tiny_model)
    make(case).attach(start, NOUN, 0)
    for name, parameter in learnable(start).items():
        assert not torch.equal(parameter, learnable(trained)[name]), name
    before, after = own_weights(load_tiny(tiny_model)), own_weights(trained)
    assert before.keys() == after.keys()
    for name, value in before.items():
        if not re.match(case.changes, name):
            assert torch.equal(value, after[name]), name


@over_cases
def test_attach_depends_on_the_seed_alone(case: Case, tiny_model: Path) -> None:
    state = torch.random.get_rng_state()
    first, again, other = (load_tiny(tiny_model) for _ in range(3))
    for model, seed in ((first, 0), (again, 0), (other, 1)):
        make(case, **({"vectors": 2} if "<concept>" in case.phrase else {})).attach(
            model, NOUN, seed
        )
    assert torch.equal(torch.random.get_rng_state(), state)
    values = [list(learnable(model).values()) for model in (first, again, other)]
    assert all(torch.equal(p, q) for p, q in zip(values[0], values[1], strict=True))
    same = [torch.equal(p, q) for p, q in zip(values[0], values[2], strict=True)]
    assert all(same) != case.draws


@over_cases
def test_loading_gives_back_what_was_learnt_frozen(
    case: Case, tiny_trained: Callable[..., tuple[Model, Path]], tiny_model: Path
) -> None:
    trained, folder = tiny_trained(case.method, **case.options)
    run = load_run(folder, CPU)
    assert not learnable(run.model)
    wanted = {
        f"{part}.{key}": value
        for part, module in parts(trained).items()
        for key, value in module.state_dict().items()
    }
    before = own_weights(load_tiny(tiny_model))
    for part, module in parts(run.model).items():
        for key, value in module.state_dict().items():
            expected = wanted.pop(f"{part}.{key}")
            if re.match(case.changes, f"{part}.{key}"):
                # A change is stored in 16 bits: 8 of them hold the fraction.
                base = before[f"{part}.{key}"]
                error = (value - expected).abs()
                assert torch.all(error <= (expected - base).abs() * 2**-8 + 1e-7), key
            else:
                assert torch.equal(value, expected), key
    assert not wanted


@over_cases
@pytest.mark.parametrize("fault", ["shape", "missing", "foreign"])
def test_tensors_that_do_not_fit_are_refused(
    case: Case, fault: str, tiny_run: Callable[..., Path], tiny_model: Path
) -> None:
    tensors = load_file(tiny_run(case.method, **case.options) / "artefact.safetensors")
    first = next(iter(tensors))
    if fault == "shape":
        tensors[first] = tensors[first][..., :1].contiguous()
    elif fault == "missing":
        del tensors[first]
    else:
        tensors["denoiser.nowhere"] = torch.zeros(1)
    with pytest.raises(UserError) as error:
        make(case).load(load_tiny(tiny_model), NOUN, tensors)
    assert str(error.value).count("\n") <= 1


@over_cases
def test_noun_phrase_holds_the_concept_and_no_article(case: Case) -> None:
    phrase = make(case).noun_phrase("toy mug")
    assert not phrase.startswith(("a ", "the "))
    assert phrase == case.phrase
    assert phrase.endswith(" toy mug") or phrase == "<concept>"


def test_mistakes_in_settings_are_named() -> None:
    with pytest.raises(UserError, match="use textual-inversion, dreambooth, lora, .* FILE.py:NAME"):
        make_method("hypernetwork", "toybox")
    with pytest.raises(UserError, match="learning_rat"):
        make_method("lora", "toybox", {"learning_rat": 1})
    with pytest.raises(UserError, match="rank"):
        make_method("lora", "toybox", {"rank": 0})


@pytest.mark.parametrize("name", METHODS)
def test_presets_are_settings_of_the_method(name: str) -> None:
    for preset, values in METHODS[name].presets.items():
        chosen = make_method(name, preset).settings.model_dump()
        assert values.items() <= chosen.items()


@torch.no_grad()
def drawn(model: Model, prompt: str = "a photo of a mug") -> Tensor:
    """A prediction from fixed noise."""
    noise = torch.randn(1, *model.latent_shape, generator=torch.Generator().manual_seed(0))
    return model.predict(noise, torch.tensor([500]), model.encode_prompts([prompt]))


@over_cases
def test_untrained_it_changes_no_prediction(case: Case, tiny_model: Path) -> None:
    model, untouched = load_tiny(tiny_model), load_tiny(tiny_model)
    make(case).attach(model, NOUN, 0)
    assert torch.equal(drawn(model), drawn(untouched))


@over_cases
def test_strength_goes_from_untouched_to_trained(
    case: Case, tiny_run: Callable[..., Path], tiny_model: Path
) -> None:
    run = load_run(tiny_run(case.method, **case.options), CPU)
    if not run.method.has_strength:
        assert run.method.learns == {"words"}
        with pytest.raises(UserError, match="no strength"):
            run.method.set_strength(run.model, 0.5)
        return
    trained, untouched = drawn(run.model), drawn(load_tiny(tiny_model))
    assert not torch.equal(trained, untouched)
    for strength, expected in ((0.0, untouched), (0.5, None), (0.0, untouched), (1.0, trained)):
        run.method.set_strength(run.model, strength)
        now = drawn(run.model)
        if expected is None:
            assert not torch.equal(now, trained) and not torch.equal(now, untouched)
        else:
            assert torch.equal(now, expected)


@over_cases
def test_what_learns_is_what_is_told(case: Case) -> None:
    method = make(case)
    words = "<concept>" in case.phrase
    told = {"words": words, "weights": case.changes != "(?!)"}
    assert {kind: kind in method.learns for kind in told} == told
    assert ("adapters" in method.learns) == ("denoiser" in case.adapts)


def test_full_weights_are_exact_and_differences_half_as_large(
    tiny_model: Path, tmp_path: Path
) -> None:
    folders = {store: tmp_path / store for store in ("full", "difference")}
    trained = {
        store: train_tiny(tiny_model, "dreambooth", folder, store=store)
        for store, folder in folders.items()
    }
    wanted = own_weights(trained["full"])
    assert all(torch.equal(v, wanted[k]) for k, v in own_weights(trained["difference"]).items())
    loaded = own_weights(load_run(folders["full"], CPU).model)
    assert all(torch.equal(value, wanted[name]) for name, value in loaded.items())
    full, half = (load_file(folders[store] / "artefact.safetensors") for store in folders)
    bytes_of = [sum(v.nbytes for v in tensors.values()) for tensors in (full, half)]
    assert bytes_of[0] == 2 * bytes_of[1]
