"""The contract that every method keeps, and what is special to each."""

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
from pseudoword.methods.base import Method, token_count

CPU = torch.device("cpu")


@dataclass(frozen=True)
class Case:
    """A method with settings, and the parts whose own weights it changes."""

    method: str
    options: dict[str, Any] = field(default_factory=dict)
    changes: tuple[str, ...] = ()
    adapts: tuple[str, ...] = ()


TEXT = {"train_text_encoder": True, "text_learning_rate": 1e-2}
CASES = {
    "textual-inversion": Case("textual-inversion", adapts=("text_encoder",)),
    "dreambooth": Case("dreambooth", changes=("denoiser",)),
    "dreambooth-text": Case("dreambooth", TEXT, changes=("denoiser", "text_encoder")),
    "lora": Case("lora", adapts=("denoiser",)),
    "lora-text": Case("lora", TEXT, adapts=("denoiser", "text_encoder")),
}
over_cases = pytest.mark.parametrize("case", CASES.values(), ids=CASES)


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
    return "lora_" in key or key.endswith(".rows")


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
            if part in case.changes or (part in case.adapts and is_added(key)):
                expected.add(f"{part}.{key}")
    assert names == expected and names


@over_cases
def test_training_changes_what_learns_and_not_a_bit_else(
    case: Case, tiny_model: Path, tmp_path: Path
) -> None:
    trained = train_tiny(tiny_model, case.method, tmp_path, **case.options)
    start = load_tiny(tiny_model)
    make(case).attach(start, NOUN, 0)
    for name, parameter in learnable(start).items():
        assert not torch.equal(parameter, learnable(trained)[name]), name
    before, after = own_weights(load_tiny(tiny_model)), own_weights(trained)
    assert before.keys() == after.keys()
    for name, value in before.items():
        if name.split(".")[0] not in case.changes:
            assert torch.equal(value, after[name]), name


@over_cases
def test_attach_depends_on_the_seed_alone(case: Case, tiny_model: Path) -> None:
    state = torch.random.get_rng_state()
    first, again, other = (load_tiny(tiny_model) for _ in range(3))
    for model, seed in ((first, 0), (again, 0), (other, 1)):
        make(case, **({"vectors": 2} if case.method == "textual-inversion" else {})).attach(
            model, NOUN, seed
        )
    assert torch.equal(torch.random.get_rng_state(), state)
    values = [list(learnable(model).values()) for model in (first, again, other)]
    assert all(torch.equal(p, q) for p, q in zip(values[0], values[1], strict=True))
    draws = case.method != "dreambooth"
    same = [torch.equal(p, q) for p, q in zip(values[0], values[2], strict=True)]
    assert all(same) != draws


@over_cases
def test_loading_gives_back_what_was_learnt_frozen(
    case: Case, tiny_model: Path, tmp_path: Path
) -> None:
    trained = train_tiny(tiny_model, case.method, tmp_path, **case.options)
    run = load_run(tmp_path, CPU)
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
            if part in case.changes:
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
    assert phrase == ("<concept>" if case.method == "textual-inversion" else "sks toy mug")


def test_mistakes_in_settings_are_named() -> None:
    with pytest.raises(UserError, match="use textual-inversion, dreambooth, lora"):
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


# Textual Inversion


def test_inversion_starts_from_the_mean_of_the_nouns_tokens(tiny_model: Path) -> None:
    model = load_tiny(tiny_model)
    noun = "zebra mug"
    count = token_count(model, noun)
    assert count > 2
    method = make_method("textual-inversion", "toybox", {"vectors": 3})
    assert str(count) in method.notes(model, noun)[0]
    assert method.notes(model, "mug") == []
    ids = model.tokenizers[0](noun, add_special_tokens=False).input_ids
    table = model.text_encoders[0].get_input_embeddings().weight.clone()
    ((rows,),) = (group.parameters for group in method.attach(model, noun, 0))
    assert rows.shape == (3, table.shape[1])
    torch.testing.assert_close(rows[0].detach(), table[ids].mean(dim=0))
    assert not torch.equal(rows[1], rows[0]) and not torch.equal(rows[1], rows[2])


def test_inversion_starts_from_initial_words_where_given(tiny_model: Path) -> None:
    model = load_tiny(tiny_model)
    table = model.text_encoders[0].get_input_embeddings().weight.clone()
    (ball,) = model.tokenizers[0]("ball", add_special_tokens=False).input_ids
    method = make_method("textual-inversion", "toybox", {"initial_words": "ball"})
    ((rows,),) = (group.parameters for group in method.attach(model, NOUN, 0))
    assert torch.equal(rows[0], table[ball])


def test_new_words_are_one_token_each_and_old_prompts_stay_the_same(tiny_model: Path) -> None:
    model, untouched = load_tiny(tiny_model), load_tiny(tiny_model)
    method = make_method("textual-inversion", "toybox", {"vectors": 3})
    phrase = method.noun_phrase(NOUN)
    assert phrase == "<concept> <concept>_1 <concept>_2"
    method.attach(model, NOUN, 0)
    ids = model.tokenizers[0](f"a photo of a {phrase}", add_special_tokens=False).input_ids
    assert ids[-3:] == [len(untouched.tokenizers[0]) + i for i in range(3)]
    prompts = ["a photo of a mug", ""]
    with torch.no_grad():
        assert torch.equal(model.encode_prompts(prompts), untouched.encode_prompts(prompts))


def test_gradient_reaches_every_vector_of_the_prompt(tiny_model: Path) -> None:
    model = load_tiny(tiny_model)
    method = make_method("textual-inversion", "toybox", {"vectors": 2})
    ((rows,),) = (group.parameters for group in method.attach(model, NOUN, 0))
    model.encode_prompts(["a photo of a <concept>"]).square().sum().backward()
    assert rows.grad is not None and rows.grad[0].abs().max() > 0
    assert rows.grad[1].abs().max() == 0


def test_a_table_with_spare_rows_is_extended_at_the_tokenizers_end(tiny_model: Path) -> None:
    model = load_tiny(tiny_model)
    encoder = model.text_encoders[0]
    encoder.resize_token_embeddings(len(model.tokenizers[0]) + 5, mean_resizing=False)
    groups = make_method("textual-inversion", "toybox").attach(model, NOUN, 0)
    ((rows,),) = (group.parameters for group in groups)
    model.encode_prompts(["a photo of a <concept>"]).square().sum().backward()
    assert rows.grad is not None and rows.grad.abs().max() > 0


def test_a_placeholder_that_the_model_knows_is_refused(tiny_model: Path) -> None:
    model = load_tiny(tiny_model)
    model.tokenizers[0].add_tokens(["<concept>"])
    with pytest.raises(UserError, match="choose another"):
        make_method("textual-inversion", "toybox").attach(model, NOUN, 0)


# DreamBooth


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


# LoRA


def test_untrained_lora_changes_no_prediction(tiny_model: Path) -> None:
    model, untouched = load_tiny(tiny_model), load_tiny(tiny_model)
    make(CASES["lora-text"]).attach(model, NOUN, 0)
    noise = torch.randn(1, *model.latent_shape, generator=torch.Generator().manual_seed(0))
    predictions = []
    with torch.no_grad():
        for each in (model, untouched):
            states = each.encode_prompts(["a photo of a mug"])
            predictions.append(each.predict(noise, torch.tensor([500]), states))
    assert torch.equal(*predictions)


def test_lora_scales_its_product_by_alpha_over_rank(
    tiny_run: Callable[..., Path], tiny_model: Path
) -> None:
    run = load_run(tiny_run("lora"), CPU)
    plain = dict(load_tiny(tiny_model).denoiser.named_modules())
    x = torch.randn(5, 16, generator=torch.Generator().manual_seed(0))
    (name,) = (n for n in plain if n.startswith("down") and n.endswith("0.attn1.to_q"))
    tensors = load_file(tiny_run("lora") / "artefact.safetensors")
    down = tensors[f"denoiser.{name}.lora_A.weight"]
    up = tensors[f"denoiser.{name}.lora_B.weight"]
    assert down.shape == (2, 16)
    expected = plain[name](x) + 4.0 / 2 * x @ down.T @ up.T
    torch.testing.assert_close(run.model.denoiser.get_submodule(name)(x), expected)
