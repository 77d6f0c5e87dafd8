"""Artefacts and models that somebody else trained, honest and not."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from target import MARK, borrowed


class Harmful:
    """Leaves a mark where a pickle is read carelessly."""

    def __reduce__(self) -> Any:
        return Path.touch, (Path(MARK),)


def make_foreign(folder: Path) -> None:
    """Artefacts of other trainers for the tests' tiny model, which lies beside them."""
    import torch
    from safetensors.torch import load_file, save_file

    borrowed("tiny_families").build_sd1(folder / "model", "v_prediction")
    files = borrowed("foreign_files")
    base = borrowed("tiny").load_tiny(folder / "model")
    named = dict(list(files.kohya_layers(base).items())[::4])
    kohya = load_file(files.write_kohya(folder / "kohya.safetensors", named))
    save_file(kohya, folder / "kohya.safetensors", {"ss_network_dim": "2", "ss_tags": "{}"})
    chance = files.Chance()
    tensors: dict[str, Any] = {}
    for name, layer in list(files.layers(base.denoiser, files.ATTENTION).items())[::4]:
        down, up = files.lora_of(layer, chance)
        tensors |= {f"unet.{name}.lora_A.weight": down, f"unet.{name}.lora_B.weight": up}
    told = {
        "unet.r": 2,
        "unet.lora_alpha": 3,
        "unet.alpha_pattern": {"x": 1},
        "unet.rank_pattern": {},
    }
    save_file(
        tensors, folder / "diffusers.safetensors", {"lora_adapter_metadata": json.dumps(told)}
    )
    hada: dict[str, Any] = {}
    for name, layer in list(files.kohya_layers(base).items())[:2]:
        out, into = layer.weight.shape
        for side in ("w1", "w2"):
            hada |= {
                f"{name}.hada_{side}_a": chance(out, 2),
                f"{name}.hada_{side}_b": chance(2, into),
            }
        hada[f"{name}.dora_scale"] = chance(out, 1)
    save_file(hada, folder / "loha.safetensors")
    for kind in ("lora", "oft"):
        files.peft_folder(
            borrowed("tiny").load_tiny(folder / "model"), kind, folder / f"peft-{kind}"
        )
    rows = files.Chance(scale=1.0)(3, 24)
    save_file({"emb_params": rows}, folder / "mug.safetensors")
    torch.save({"<my-mug>": rows}, folder / "learned.bin")
    held = {"string_to_token": {"*": 265}, "string_to_param": {"*": torch.nn.Parameter(rows)}}
    torch.save(held | {"name": "my-mug", "step": 3}, folder / "a1111.pt")
    _make_pickles(folder, rows)


def _make_pickles(folder: Path, rows: Any) -> None:
    """Embeddings that are no honest ones, whole as they are."""
    import torch

    strange = {
        "wide": rows[:1, :1].expand(10**7, 10**7),
        "half": rows.half()[:1, :1].expand(10**6, 10**7),
        "complex": rows.to(torch.complex64),
        "whole": rows.to(torch.int64),
        "sparse": rows.to_sparse(),
        "meta": rows.to("meta"),
        "none": rows[:0],
        "single": rows[0, 0],
        "nan": rows * torch.nan,
        "quantised": torch.quantize_per_tensor(rows, 0.1, 0, torch.qint8),
        "bits": rows > 0,
        "eight": rows.to(torch.float8_e5m2),
    }
    for name, value in strange.items():
        torch.save({"string_to_param": {"*": value}}, folder / f"strange-{name}.pt")
    torch.save({"string_to_param": {"*": Harmful()}}, folder / "harmful.pt")
    torch.save(Harmful(), folder / "harmful.bin")
    torch.save(
        {"string_to_param": Harmful()}, folder / "old.pt", _use_new_zipfile_serialization=False
    )
    torch.save({"*": rows}, folder / "legacy.bin", _use_new_zipfile_serialization=False)


FOREIGN = (
    *("kohya.safetensors", "diffusers.safetensors", "loha.safetensors"),
    *("peft-lora/adapter_config.json", "peft-lora/adapter_model.safetensors"),
    *("peft-oft/adapter_config.json", "peft-oft/adapter_model.safetensors"),
    *("mug.safetensors", "learned.bin", "a1111.pt", "legacy.bin", "harmful.pt"),
)
STRANGE = (
    *("strange-wide.pt", "strange-half.pt", "strange-complex.pt", "strange-whole.pt"),
    *("strange-sparse.pt", "strange-meta.pt", "strange-none.pt", "strange-single.pt"),
    *("strange-nan.pt", "strange-quantised.pt", "strange-bits.pt", "strange-eight.pt"),
    *("harmful.pt", "harmful.bin", "old.pt"),
)


def read_foreign(folder: Path, file: Path) -> None:
    put_foreign(borrowed("tiny").load_tiny(folder.parent / "whole/foreign/model"), file)


def put_foreign(model: Any, file: Path) -> None:
    """Reads a file into a model and draws a text's states with it."""
    from pseudoword.foreign.given import parse_artefact
    from pseudoword.foreign.load import put_given

    path = file.parent if file.parent.name.startswith("peft") else file
    loaded = put_given(model, parse_artefact(f"<my-mug>={path}"))
    loaded.model.encode_prompts([f"a photo of a {loaded.noun_phrase}"])


def make_single(folder: Path) -> None:
    """A whole model in one file, beside the folder that tells its sizes, and headers of others."""
    from pseudoword.families.configurations import CONFIGURATIONS
    from pseudoword.families.detect import SIGNATURES
    from pseudoword.families.layouts import DENOISER
    from pseudoword.families.single_file import write_single_file

    borrowed("tiny_families").build_sd1(folder / "model", "epsilon")
    tiny = borrowed("tiny").load_tiny(folder / "model")
    write_single_file(
        folder / "single.safetensors", tiny.denoiser, tiny.autoencoder, tiny.text_encoders
    )
    assert set(SIGNATURES) <= set(CONFIGURATIONS)
    header: dict[str, Any] = {
        DENOISER + key: {"dtype": "F16", "shape": list(shape), "data_offsets": [0, 0]}
        for key, shape in SIGNATURES["sd-2.1"].items()
    }
    end = 0
    for entry in header.values():
        size = 2 * int(np.prod(entry["shape"]))
        entry["data_offsets"], end = [end, end + size], end + size
    text = json.dumps(header).encode()
    whole = len(text).to_bytes(8, "little") + text + bytes(end)
    (folder / "sd2.safetensors").write_bytes(whole)


SINGLE = ("single.safetensors", "sd2.safetensors")


def read_single(folder: Path, file: Path) -> None:
    import torch

    from pseudoword.families import load_model
    from pseudoword.settings import LoadSettings

    own = "" if file.name == "sd2.safetensors" else str(folder / "model")
    load_model(str(file), torch.device("cpu"), LoadSettings(config_folder=own))
