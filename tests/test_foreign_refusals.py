"""What is wrong with an artefact of another trainer, or with how it is named, is told."""

from pathlib import Path
from typing import Any

import pytest
import torch
from foreign_files import Chance, kohya_layers, peft_folder, put, write_kohya
from safetensors.torch import load_file, save_file
from tiny import load_tiny

from pseudoword.errors import UserError
from pseudoword.foreign.files import read_safetensors
from pseudoword.foreign.given import parse_artefact, parse_artefacts


def refused(folder: Path, path: Path, says: str) -> None:
    with pytest.raises(UserError, match=says) as caught:
        put(folder, path)
    assert str(caught.value).count("\n") <= 1


def test_keys_that_fit_nothing_are_named(
    tiny_model: Path, tiny_xl_model: Path, tmp_path: Path
) -> None:
    named = kohya_layers(load_tiny(tiny_xl_model), sgm=True)
    refused(
        tiny_model, write_kohya(tmp_path / "xl.safetensors", named), "124 of 160 .*lora_te2_text"
    )
    tensors = load_file(
        write_kohya(tmp_path / "m.safetensors", kohya_layers(load_tiny(tiny_model)))
    )
    key = next(k for k in tensors if k.endswith("to_q.lora_up.weight"))
    odd = tensors | {key.replace("lora_up.weight", "a1.weight"): torch.ones(2, 2)}
    save_file(odd, tmp_path / "odd.safetensors")
    refused(tiny_model, tmp_path / "odd.safetensors", "1 of .*to_q.a1.weight")
    save_file({k: v for k, v in tensors.items() if k != key}, tmp_path / "lacks.safetensors")
    refused(tiny_model, tmp_path / "lacks.safetensors", "to_q: no up")
    save_file(tensors | {key: torch.ones(7, 2)}, tmp_path / "shape.safetensors")
    refused(tiny_model, tmp_path / "shape.safetensors", "to_q: factors of 7 x 16")
    save_file(tensors | {key: tensors[key] * torch.inf}, tmp_path / "inf.safetensors")
    refused(tiny_model, tmp_path / "inf.safetensors", "not finite")


def test_adapters_that_do_not_fit_are_told(
    tiny_model: Path, tiny_xl_model: Path, tmp_path: Path
) -> None:
    folder = peft_folder(load_tiny(tiny_xl_model), "lora", tmp_path / "xl")
    refused(tiny_model, folder, "fits no part")
    folder = peft_folder(load_tiny(tiny_model), "lora", tmp_path / "sd")
    tensors = load_file(folder / "adapter_model.safetensors")
    tensors.pop(next(iter(tensors)))
    save_file(tensors, folder / "adapter_model.safetensors")
    refused(tiny_model, folder, "1 keys are missing or left over")


def test_layers_that_peft_merges_wrongly_are_refused(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = peft_folder(load_tiny(tiny_model), "lora", tmp_path / "a")
    from peft.tuners.lora import Linear

    monkeypatch.setattr(Linear, "merge", lambda layer, safe_merge: None)
    refused(tiny_model, folder, "otherwise than it draws")


def test_an_untrained_lora_is_told(tiny_model: Path, tmp_path: Path) -> None:
    named = kohya_layers(load_tiny(tiny_model))
    path = write_kohya(tmp_path / "m.safetensors", named, chance=Chance(scale=0))
    assert "changes no weight" in put(tiny_model, path).notes[0]


class Harmful:
    """Leaves a mark where a pickle is read carelessly."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return Path.touch, (self.mark,)


def test_pickles_do_not_run(tiny_model: Path, tmp_path: Path) -> None:
    torch.save({"string_to_param": {"*": Harmful(tmp_path / "ran")}}, tmp_path / "bad.pt")
    refused(tiny_model, tmp_path / "bad.pt", "nothing in it is run")
    torch.save({"lora_unet_x.alpha": torch.ones(()), "b": torch.ones(2, 2, 2)}, tmp_path / "l.pt")
    refused(tiny_model, tmp_path / "l.pt", "no embedding")
    (tmp_path / "m.ckpt").write_bytes(b"x")
    refused(tiny_model, tmp_path / "m.ckpt", "no .safetensors file")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("data", [b"", b"\xff" * 64, (2**40).to_bytes(8, "little") + b"{}"])
def test_damaged_files_are_refused(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "m.safetensors").write_bytes(data)
    with pytest.raises(UserError, match="m.safetensors"):
        read_safetensors(tmp_path / "m.safetensors")


def test_whole_models_and_strange_folders_are_refused(tiny_model: Path, tmp_path: Path) -> None:
    save_file(
        {"model.diffusion_model.out.2.weight": torch.ones(2), "b": torch.ones(2)},
        tmp_path / "m.safetensors",
    )
    refused(tiny_model, tmp_path / "m.safetensors", "--model")
    (tmp_path / "empty").mkdir()
    refused(tiny_model, tmp_path / "empty", "adapter_config.json")


def test_options_name_phrase_file_and_strength(tmp_path: Path) -> None:
    for name in ("My Mug.safetensors", "odd@0.5", "a=b.safetensors"):
        (tmp_path / name).write_bytes(name.encode())
    plain = parse_artefact(f" sks  mug ={tmp_path}/My Mug.safetensors")
    assert (plain.phrase, plain.strength, plain.name) == ("sks mug", 1.0, "given-my-mug")
    assert plain.title == "My Mug.safetensors" and plain.bytes == 18
    weak = parse_artefact(f"mug={tmp_path}/My Mug.safetensors@0.8")
    assert (weak.strength, weak.title) == (0.8, "My Mug.safetensors at 0.8")
    assert parse_artefact(f"mug={tmp_path}/odd@0.5").strength == 1.0
    assert parse_artefact(f"mug={tmp_path}/odd@0.5@0.5").strength == 0.5
    assert parse_artefact(f"mug={tmp_path}/a=b.safetensors").path.name == "a=b.safetensors"
    names = [
        g.name
        for g in parse_artefacts(
            [f"mug={tmp_path}/My Mug.safetensors{at}" for at in ("", "@0.8", "@0.5")]
        )
    ]
    assert names == ["given-my-mug", "given-my-mug-2", "given-my-mug-3"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "mug",
        "=x",
        "mug=",
        "mug=no.safetensors",
        "a {}={}/f",
        "mug={}/f@0",
        "mug={}/f@9",
        "mug={}/f@1.2.3",
    ],
)
def test_wrong_options_are_told(text: str, tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"x")
    with pytest.raises(UserError, match="--artefact"):
        parse_artefact(text.replace("={}", f"={tmp_path}"))


def test_the_same_artefact_twice_is_told(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"x")
    with pytest.raises(UserError, match="twice"):
        parse_artefacts([f"mug={tmp_path}/f", f"mug={tmp_path}/f"])
