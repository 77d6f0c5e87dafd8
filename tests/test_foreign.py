"""Artefacts of other trainers: put into a model, they draw what the reference libraries draw."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from foreign_files import (
    ATTENTION,
    PEFT_CONFIGS,
    Chance,
    kohya_layers,
    layers,
    lora_of,
    peft_folder,
    put,
    write_kohya,
)
from safetensors.torch import load_file, save_file
from tiny import load_tiny
from torch import Tensor, nn

from pseudoword.errors import UserError
from pseudoword.families.model import Model
from pseudoword.generate import Request, generate, initial_noise, make_sampler
from pseudoword.settings import GenerateSettings

PROMPT = "a photo of a {} in the snow"
DRAWING = GenerateSettings(sampling_steps=4)
FAMILIES = ["tiny_model", "tiny_sd2_model", "tiny_xl_model", "tiny_sd3_model"]


def drawn(model: Model, phrase: str) -> np.ndarray:
    """A picture as numbers 0 to 255."""
    return generate(model, [Request(PROMPT.format(phrase), 3)], DRAWING)[0].astype(int)


def drawn_by(pipeline: Any, model: Model, phrase: str) -> np.ndarray:
    """The same by a pipeline of diffusers, from the same noise."""
    pipeline.scheduler = make_sampler(model, DRAWING)
    pipeline.set_progress_bar_config(disable=True)
    image = pipeline(
        PROMPT.format(phrase),
        latents=initial_noise(model, [3]),
        num_inference_steps=DRAWING.sampling_steps,
        guidance_scale=DRAWING.guidance_scale,
        output_type="np",
    ).images[0]
    return (image * 255).round().astype(int)


def pipeline_of(model: Model) -> Any:
    return model.pipeline(make_sampler(model, DRAWING))


def weights(model: Model) -> dict[str, Tensor]:
    """Every parameter that an adapter may change."""
    parts = [model.denoiser, *model.text_encoders]
    return {f"{i}.{n}": p for i, part in enumerate(parts) for n, p in part.named_parameters()}


def require_same(ours: np.ndarray, theirs: np.ndarray, untouched: np.ndarray) -> None:
    """Equal but for rounding, and the artefact matters far more than that.

    How much sums in another order become in a picture by chance weights differs between kinds of
    processors: 2 grey levels at most on some, 4 on others.
    """
    apart = np.abs(ours - theirs)
    assert apart.max() <= 8
    assert 10 * apart.mean() < np.abs(ours - untouched).mean()


@pytest.mark.parametrize(
    ("family", "sgm", "alpha"),
    [
        ("tiny_model", False, 1.0),
        ("tiny_model", False, 3.0),
        ("tiny_xl_model", False, 0.5),
        ("tiny_xl_model", True, 3.0),
    ],
)
def test_kohya_draws_as_diffusers_does(
    family: str, sgm: bool, alpha: float, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    folder = request.getfixturevalue(family)
    chance = Chance(scale=0.15 if sgm else 0.3)
    named = kohya_layers(load_tiny(folder), sgm)
    path = write_kohya(tmp_path / "mug.safetensors", named, alpha, chance)
    require_as_diffusers_does(folder, path)


def require_as_diffusers_does(folder: Path, path: Path) -> None:
    """The same weights as diffusers fuses, and the same picture as it draws without that."""
    loaded, base = put(folder, path), load_tiny(folder)
    pipeline = pipeline_of(base)
    untouched = drawn(base, "red mug")
    pipeline.load_lora_weights(path.parent, weight_name=path.name, local_files_only=True)
    theirs = drawn_by(pipeline, base, "red mug")
    pipeline.fuse_lora()
    pipeline.unload_lora_weights()
    merged = weights(base)
    for key, value in weights(loaded.model).items():
        torch.testing.assert_close(value, merged[key], atol=1e-6, rtol=1e-5)
    require_same(drawn(loaded.model, "red mug"), theirs, untouched)


def test_a_missing_alpha_is_the_rank(tiny_model: Path, tmp_path: Path) -> None:
    named = kohya_layers(load_tiny(tiny_model))
    without = put(tiny_model, write_kohya(tmp_path / "a.safetensors", named, None))
    stated = put(tiny_model, write_kohya(tmp_path / "b.safetensors", named, 2.0))
    other = put(tiny_model, write_kohya(tmp_path / "c.safetensors", named, 1.0))
    key = "0.down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q.weight"
    assert torch.equal(weights(without.model)[key], weights(stated.model)[key])
    assert not torch.equal(weights(without.model)[key], weights(other.model)[key])


@pytest.mark.parametrize("family", FAMILIES)
def test_diffusers_lora_draws_as_diffusers_does(
    family: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """With the metadata in which newer versions keep alpha, by part and by pattern."""
    from diffusers.loaders.lora_base import LORA_ADAPTER_METADATA_KEY

    folder = request.getfixturevalue(family)
    base = load_tiny(folder)
    chance = Chance(scale=0.25)
    tensors = {}
    for name, layer in layers(base.denoiser, ATTENTION).items():
        down, up = lora_of(layer, chance)
        tensors[f"{base.DENOISER}.{name}.lora_A.weight"] = down
        tensors[f"{base.DENOISER}.{name}.lora_B.weight"] = up
    settings = {"r": 2, "lora_alpha": 3, "target_modules": list(ATTENTION), "use_rslora": True}
    settings["alpha_pattern"] = {"to_k": 5}
    text = json.dumps({f"{base.DENOISER}.{key}": value for key, value in settings.items()})
    save_file(
        tensors,
        tmp_path / "pytorch_lora_weights.safetensors",
        {"format": "pt", LORA_ADAPTER_METADATA_KEY: text},
    )
    require_as_diffusers_does(folder, tmp_path / "pytorch_lora_weights.safetensors")


def test_old_diffusers_names_mean_the_same(tiny_model: Path, tmp_path: Path) -> None:
    base = load_tiny(tiny_model)
    new, old = {}, {}
    chance = Chance()
    for name, layer in layers(base.denoiser, ATTENTION).items():
        down, up = lora_of(layer, chance)
        new |= {f"unet.{name}.lora_A.weight": down, f"unet.{name}.lora_B.weight": up}
        head, _, last = name.removesuffix(".0").rpartition(".")
        key = f"unet.{head}.processor.{last}_lora"
        old |= {f"{key}.down.weight": down, f"{key}.up.weight": up}
    for name, layer in layers(base.text_encoders[0], ("q_proj", "out_proj")).items():
        down, up = lora_of(layer, chance)
        own = f"text_encoder.text_model.{name.removeprefix('text_model.')}"
        new |= {f"{own}.lora.down.weight": down, f"{own}.lora.up.weight": up}
        key = f"{own.rpartition('.')[0]}.{ {'q': 'to_q', 'o': 'to_out'}[name.split('.')[-1][0]] }"
        old |= {f"{key}_lora.down.weight": down, f"{key}_lora.up.weight": up}
    save_file(new, tmp_path / "new.safetensors")
    save_file(old, tmp_path / "old.safetensors")
    one = weights(put(tiny_model, tmp_path / "new.safetensors").model)
    two = weights(put(tiny_model, tmp_path / "old.safetensors").model)
    untouched = weights(base)
    assert all(torch.equal(one[key], two[key]) for key in one)
    assert sum(not torch.equal(one[key], untouched[key]) for key in one) == len(old) // 2


def test_fused_names_of_sd3_reach_queries_keys_and_values(
    tiny_sd3_model: Path, tmp_path: Path
) -> None:
    base = load_tiny(tiny_sd3_model)
    chance = Chance()
    down, up = chance(2, 32), chance(96, 2)
    name = "lora_unet_joint_blocks_1_context_block_attn_qkv"
    save_file(
        {f"{name}.lora_down.weight": down, f"{name}.lora_up.weight": up}, tmp_path / "m.safetensors"
    )
    loaded = put(tiny_sd3_model, tmp_path / "m.safetensors")
    block, plain = (m.denoiser.transformer_blocks[1].attn for m in (loaded.model, base))
    parts = ("add_q_proj", "add_k_proj", "add_v_proj")
    added = torch.cat([getattr(block, p).weight - getattr(plain, p).weight for p in parts])
    torch.testing.assert_close(added, up @ down, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("kind", PEFT_CONFIGS)
def test_adapters_of_peft_draw_as_peft_does(kind: str, tiny_model: Path, tmp_path: Path) -> None:
    from peft import PeftModel

    folder = peft_folder(load_tiny(tiny_model), kind, tmp_path / "adapter")
    loaded = put(tiny_model, folder)
    base = load_tiny(tiny_model)
    untouched = drawn(base, "red mug")
    assert loaded.model.denoiser.state_dict().keys() == base.denoiser.state_dict().keys()
    PeftModel.from_pretrained(base.denoiser, str(folder))
    require_same(drawn(loaded.model, "red mug"), drawn(base, "red mug"), untouched)


@pytest.mark.parametrize("kind", ["dora", "loha", "lokr"])
def test_lycoris_types_equal_merged_layers_of_peft(
    kind: str, tiny_model: Path, tmp_path: Path
) -> None:
    """The same factors under LyCORIS' names, linear and convolutional."""
    base = load_tiny(tiny_model)
    adapter = load_file(peft_folder(base, kind, tmp_path / "p") / "adapter_model.safetensors")
    ends = {"lora_A": "lora_down", "lora_B": "lora_up", "lora_magnitude_vector": "dora_scale"}
    tensors = {}
    for key, value in adapter.items():
        name, _, end = key.removeprefix("base_model.model.").partition(".lo")
        if kind != "dora":
            name, _, end = key.removeprefix("base_model.model.").rpartition(".")
            renamed = f"lora_unet_{name.replace('.', '_')}.{end}"
        else:
            end = "lo" + end
            for old, new in ends.items():
                end = end.replace(old, new)
            renamed = f"lora_unet_{name.replace('.', '_')}.{end}"
            if "dora_scale" in renamed:
                renamed = renamed.removesuffix(".weight")
                value = value.reshape(-1, *[1] * (3 if "conv" in name else 1))
        tensors[renamed] = value.contiguous()
        tensors[f"lora_unet_{name.replace('.', '_')}.alpha"] = torch.tensor(3.0)
    save_file(tensors, tmp_path / "lycoris.safetensors")
    one = weights(put(tiny_model, tmp_path / "lycoris.safetensors").model)
    two = weights(put(tiny_model, tmp_path / "p").model)
    untouched = weights(load_tiny(tiny_model))
    for key, value in one.items():
        torch.testing.assert_close(value, two[key], atol=1e-5, rtol=1e-4)
    assert any("conv1" in k and not torch.equal(one[k], untouched[k]) for k in one)


def test_full_differences_of_layers_and_norms(tiny_model: Path, tmp_path: Path) -> None:
    base, chance = load_tiny(tiny_model), Chance()
    conv, norm = base.denoiser.conv_out, base.denoiser.conv_norm_out
    tensors = {
        "lora_unet_conv_out.diff": chance(*conv.weight.shape),
        "lora_unet_conv_out.diff_b": chance(*conv.bias.shape),
        "lora_unet_conv_norm_out.w_norm": chance(*norm.weight.shape),
        "lora_unet_conv_norm_out.b_norm": chance(*norm.bias.shape),
    }
    save_file(tensors, tmp_path / "full.safetensors")
    changed = put(tiny_model, tmp_path / "full.safetensors", at="@0.5").model.denoiser
    for name in ("conv_out", "conv_norm_out"):
        for kind, ends in {"weight": ("diff", "w_norm"), "bias": ("diff_b", "b_norm")}.items():
            before = getattr(getattr(base.denoiser, name), kind)
            key = next(
                k
                for k in tensors
                if k.split(".")[0] == f"lora_unet_{name}" and k.split(".")[1] in ends
            )
            after = getattr(getattr(changed, name), kind)
            torch.testing.assert_close(after, before + 0.5 * tensors[key])


def test_strength_goes_up_down_and_back_to_the_bit(tiny_model: Path, tmp_path: Path) -> None:
    path = write_kohya(tmp_path / "m.safetensors", kohya_layers(load_tiny(tiny_model)))
    loaded = put(tiny_model, path)
    assert loaded.merge is not None
    full = {key: value.clone() for key, value in weights(loaded.model).items()}
    loaded.merge.set_strength(0.25)
    quarter = {key: value.clone() for key, value in weights(loaded.model).items()}
    loaded.merge.set_strength(0)
    untouched = weights(load_tiny(tiny_model))
    for key, value in weights(loaded.model).items():
        assert torch.equal(value, untouched[key])
        torch.testing.assert_close(quarter[key] - value, (full[key] - value) / 4)
    loaded.merge.set_strength(1)
    assert all(torch.equal(value, full[key]) for key, value in weights(loaded.model).items())
    at = put(tiny_model, path, at="@0.25")
    assert all(torch.equal(value, quarter[key]) for key, value in weights(at.model).items())


@pytest.mark.parametrize("form", ["learned_embeds", "bin", "emb_params", "pt"])
def test_embeddings_draw_as_diffusers_does(form: str, tiny_model: Path, tmp_path: Path) -> None:
    rows = Chance(scale=1.0)(3, 24)
    path = tmp_path / {"bin": "my-mug.bin", "pt": "my-mug.pt"}.get(form, "my-mug.safetensors")
    if form == "learned_embeds":
        save_file({"<my-mug>": rows}, path)
    elif form == "bin":
        torch.save({"<my-mug>": rows}, path)
    elif form == "emb_params":
        save_file({"emb_params": rows}, path)
    else:
        held = {"string_to_token": {"*": 265}, "string_to_param": {"*": nn.Parameter(rows)}}
        torch.save(held | {"name": "my-mug", "step": 3}, path)
    loaded = put(tiny_model, path, "<my-mug>")
    base = load_tiny(tiny_model)
    untouched = drawn(base, "mug")
    pipeline = pipeline_of(base)
    token = {} if form in ("learned_embeds", "bin") else {"token": "<my-mug>"}
    pipeline.load_textual_inversion(str(path), local_files_only=True, **token)
    theirs = drawn_by(pipeline, base, "<my-mug>")
    require_same(drawn(loaded.model, loaded.noun_phrase), theirs, untouched)


def test_both_encoders_of_xl_get_their_vectors(tiny_xl_model: Path, tmp_path: Path) -> None:
    chance = Chance(scale=1.0)
    tensors = {"clip_l": chance(2, 24), "clip_g": chance(2, 32)}
    save_file(tensors, tmp_path / "mug.safetensors")
    loaded = put(tiny_xl_model, tmp_path / "mug.safetensors", "red mug")
    base = load_tiny(tiny_xl_model)
    untouched = drawn(base, "red mug")
    pipeline = pipeline_of(base)
    parts = zip(tensors.values(), base.text_encoders, base.tokenizers, strict=True)
    for rows, encoder, tokenizer in parts:
        pipeline.load_textual_inversion(
            {"<m>": rows}, token="<m>", text_encoder=encoder, tokenizer=tokenizer
        )
    require_same(
        drawn(loaded.model, loaded.noun_phrase), drawn_by(pipeline, base, "red <m>"), untouched
    )
    # The file is called like the word that it is.
    assert loaded.noun_phrase == "red <given-0> <given-1>"


def test_a_phrase_must_tell_the_word(tiny_model: Path, tmp_path: Path) -> None:
    save_file({"emb_params": torch.ones(1, 24)}, tmp_path / "e.safetensors")
    assert put(tiny_model, tmp_path / "e.safetensors", "mug").noun_phrase == "<given-0>"
    assert put(tiny_model, tmp_path / "e.safetensors", "a <x> mug").noun_phrase == "a <given-0> mug"
    for phrase in ("red mug", "<a> <b>"):
        with pytest.raises(UserError, match="which word"):
            put(tiny_model, tmp_path / "e.safetensors", phrase)
    with pytest.raises(UserError, match="no strength"):
        put(tiny_model, tmp_path / "e.safetensors", "mug", "@0.5")
