"""What is spoilt: whole files that a user gives or a study keeps, and who reads them."""

import importlib
import json
import sys
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageCms

from pseudoword.concept import load_concept
from pseudoword.errors import UserError
from pseudoword.settings import PhotoSettings

TESTS = Path(__file__).parent.parent.parent / "tests"
INTAKE = PhotoSettings(buckets=True, crops=1, flip=True)
MARK = "harmed"
"""The file that a pickle would make if it were run."""


@dataclass(frozen=True)
class Target:
    """Whole files, made once, and how one of them is read when it is spoilt.

    `make` fills a folder, `files` are those to spoil in it, and `read` gets a copy of the folder
    and the spoilt file within: it returns, or raises UserError that names the file, or one of what
    `told` lists for it: an option, or the file that lacks what the spoilt one was to give.
    """

    name: str
    make: Callable[[Path], None]
    files: tuple[str, ...]
    read: Callable[[Path, Path], object]
    told: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def borrowed(name: str) -> Any:
    """A module of the tests, which make small models and studies."""
    if str(TESTS) not in sys.path:
        sys.path.append(str(TESTS))
    return importlib.import_module(name)


def picture(width: int = 72, height: int = 64) -> Image.Image:
    chance = np.random.default_rng(0)
    coarse = chance.integers(0, 256, (8, 9, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)


def make_pictures(folder: Path) -> None:
    """One of every format, with the extras that files of it have."""
    plain = picture()
    grey = np.asarray(plain.convert("L"))
    alpha = plain.copy()
    alpha.putalpha(plain.convert("L"))
    exif = Image.Exif()
    exif[274], exif[315] = 6, "me"
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    plain.save(folder / "plain.png", icc_profile=profile, exif=exif)
    alpha.save(folder / "alpha.png")
    plain.quantize(16).save(folder / "palette.png", transparency=3)
    Image.fromarray(grey.astype(np.uint16) * 257).save(folder / "deep.png")
    plain.save(folder / "plain.jpg", exif=exif, icc_profile=profile)
    plain.convert("CMYK").save(folder / "cmyk.jpg", progressive=True)
    plain.save(folder / "lossy.webp", exif=exif)
    plain.save(folder / "moving.webp", save_all=True, append_images=[alpha], lossless=True)
    plain.save(folder / "moving.gif", save_all=True, append_images=[plain.rotate(90)])
    plain.save(folder / "plain.bmp")
    plain.save(folder / "packed.tif", compression="tiff_lzw", icc_profile=profile)
    plain.save(folder / "jpeg.tif", compression="jpeg")
    Image.fromarray(grey.astype(np.float32) / 255).save(folder / "float.tif")
    alpha.save(folder / "plain.tiff", save_all=True, append_images=[alpha])


PICTURES = (
    *("plain.png", "alpha.png", "palette.png", "deep.png", "plain.jpg", "cmyk.jpg", "lossy.webp"),
    *("moving.webp", "moving.gif", "plain.bmp", "packed.tif", "jpeg.tif", "float.tif"),
    "plain.tiff",
)


def read_pictures(folder: Path, file: Path) -> None:
    load_concept([file], "mug", 64, intake=INTAKE)


def make_captions(folder: Path) -> None:
    """A photo with a mask and every kind of caption, each where it is alone."""
    import pandas as pd

    for kind in ("txt", "csv", "jsonl", "parquet"):
        inside = folder / kind
        inside.mkdir()
        for index in range(2):
            picture().rotate(90 * index).save(inside / f"{index}.png")
        rows = [{"file_name": f"{i}.png", "text": f"a mug {i}", "n": i} for i in range(2)]
        if kind == "txt":
            (inside / "0.txt").write_text("a photo of a mug, on a table")
            picture().convert("L").save(inside / "0.mask.png")
        elif kind == "csv":
            (inside / "metadata.csv").write_text('file_name,text\n0.png,"a mug, red"\n1.png,mug\n')
        elif kind == "jsonl":
            lines = "\n".join(json.dumps(row) for row in rows)
            (inside / "metadata.jsonl").write_text(lines)
        else:
            pd.DataFrame(rows).to_parquet(inside / "metadata.parquet")


CAPTIONS = (
    *("txt/0.txt", "txt/0.mask.png", "csv/metadata.csv", "jsonl/metadata.jsonl"),
    "parquet/metadata.parquet",
)


def read_captions(folder: Path, file: Path) -> None:
    load_concept([file.parent], "mug", 64, intake=INTAKE)


def make_concepts(folder: Path) -> None:
    from pseudoword.toybox.photos import render_photo_set

    render_photo_set(3, folder / "a-1", count=1)
    (folder / "b").mkdir()
    picture().save(folder / "b/0.png")
    (folder / "concepts.yaml").write_text('b: red cup\na-1: ""\n')


def read_concepts(folder: Path, file: Path) -> None:
    from pseudoword.concept_folders import find_concepts
    from pseudoword.toybox.photos import find_toy, true_pictures

    find_concepts(folder, "", [])
    toy = find_toy([folder / "a-1"])
    if toy is not None and file.name == "toy.json":
        true_pictures(toy, "a photo of a {} in the snow", 1)


def make_configs(folder: Path) -> None:
    from argparse import Namespace

    from pseudoword.cli_arguments import config_text
    from pseudoword.settings import Settings, StudySettings, TrainSettings

    kinds: dict[str, type[Settings]] = {"study": StudySettings, "train": TrainSettings}
    for name, kind in kinds.items():
        text = config_text(Namespace(**{"settings.class_noun": "mug"}), kind)
        lines = [line for line in text.splitlines() if not line.startswith("#")]
        if name == "study":
            lines[lines.index("options: {}")] = "options: {lora: {steps: 5, rank: 2}}"
            lines[lines.index("prompts: []")] = "prompts: ['a photo of a {}', 'style: a {} sketch']"
        else:
            lines[lines.index("options: {}")] = "options: {steps: 5, rank: 2}"
        (folder / f"{name}.yaml").write_text("\n".join(lines))


def read_configs(folder: Path, file: Path) -> None:
    from argparse import Namespace

    from pseudoword.cli_arguments import config_text, read_settings
    from pseudoword.foreign.given import parse_artefacts
    from pseudoword.methods import make_method
    from pseudoword.plan import check_settings, chosen_encoders
    from pseudoword.settings import StudySettings, TrainSettings

    arguments = Namespace(config=file)
    if file.name == "study.yaml":
        settings = read_settings(arguments, StudySettings)
        chosen_encoders(settings)
        check_settings(settings)
        parse_artefacts(settings.artefacts, settings.compute.quantise)
        config_text(arguments, StudySettings)
    else:
        single = read_settings(arguments, TrainSettings)
        make_method(single.method, "toybox", single.options)


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


def make_large(folder: Path) -> None:
    """A hundred megapixels, and gigabytes, in kilobytes: what is asked is what they become."""
    import torch

    for name, mode in {"large.png": "RGBA", "large.gif": "P"}.items():
        Image.new(mode, (10_900, 11_000)).save(folder / name)
    grey = Image.new("F", (10_900, 11_000))
    grey.save(folder / "large.tif", compression="tiff_adobe_deflate")
    torch.save({"*": torch.zeros(3, 24)}, folder / "bomb.pt")
    with zipfile.ZipFile(folder / "bomb.pt") as file:
        members = {name: file.read(name) for name in file.namelist()}
    with zipfile.ZipFile(folder / "bomb.pt", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as file:
        for name, content in members.items():
            with file.open(name, "w", force_zip64=True) as inside:
                inside.write(content)
                for _ in range(160 if name.endswith("data/0") else 0):
                    inside.write(bytes(16 * 2**20))


LARGE = ("large.png", "large.tif", "large.gif", "bomb.pt")


def read_large(folder: Path, file: Path) -> None:
    from pseudoword.foreign.embedding import pickled_embedding

    if file.suffix == ".pt":
        pickled_embedding(file)
    else:
        read_pictures(folder, file)


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
    from pseudoword.foreign.given import parse_artefact
    from pseudoword.foreign.load import put_given

    path = file.parent if file.parent.name.startswith("peft") else file
    model = borrowed("tiny").load_tiny(folder.parent / "whole/foreign/model")
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


def make_run(folder: Path) -> None:
    """A short training, as it lies in a study."""
    from pseudoword.runs import Choice, write_choice

    borrowed("tiny_families").build_sd1(folder / "model", "v_prediction")
    borrowed("tiny").train_tiny(folder / "model", "lora", folder / "run", steps=2, snapshots=2)
    write_choice(folder / "run", Choice(2, "artefact.safetensors", 0.5))


RUN = ("run/artefact.safetensors", "run/run.json", "run/chosen.json")


def read_run(folder: Path, file: Path) -> None:
    import torch

    from pseudoword.artefact import load_run

    model = folder.parent / "whole/run/model"
    load_run(folder / "run", torch.device("cpu"), str(model))


def make_study(folder: Path) -> None:
    studies = borrowed("synthetic_study")
    prompts = studies.TOYBOX_PROMPTS[:3]
    given = ["given-embed"]
    studies.build_study(folder / "study", ["lora", "dora"], prompts, [0, 1], [0], 32, given=given)


STUDY = (
    *("study/study.json", "study/results.json", "study/results.json", "study/scores.parquet"),
    *("study/runs/lora-s0/run.json", "study/runs/lora-s0/log.jsonl"),
    *("study/runs/lora-s0/images/00-0.png", "study/photos/00.png"),
)


def read_study(folder: Path, file: Path) -> None:
    from pseudoword.report.write import write_report

    write_report(folder / "study")


def make_summary(folder: Path) -> None:
    from pseudoword.metrics.concepts import summarise_concepts
    from pseudoword.runs import write_json

    studies = borrowed("synthetic_study")
    folders = {name: folder / name for name in ("a", "b", "c")}
    for name, place in folders.items():
        studies.build_study(
            place, ["lora", "dora"], studies.TOYBOX_PROMPTS[:3], [0, 1], [0], 32, class_noun=name
        )
    found = {"pseudoword": "0", **summarise_concepts(folders), "notes": []}
    write_json(folder / "summary.json", found, sealed=True)


SUMMARY = ("summary.json", "b/results.json", "b/scores.parquet", "b/study.json")


def read_summary(folder: Path, file: Path) -> None:
    from pseudoword.metrics.concepts import summarise_concepts
    from pseudoword.report.across import write_summary

    if file.name == "summary.json":
        write_summary(folder)
    else:
        summarise_concepts({name: folder / name for name in ("a", "b", "c")})


def make_cache(folder: Path) -> None:
    read_cache(folder, folder)


class Means:
    """An encoder in name: a picture's vector is its mean colour."""

    name, sha256, preprocessing = "means", "0", "none"

    def embed_images(self, images: Any) -> np.ndarray:
        return np.array([np.asarray(i).mean((0, 1)) for i in images], np.float32)

    def look(self, images: Any) -> tuple[np.ndarray, np.ndarray]:
        vectors = self.embed_images(images)
        return vectors, vectors.astype(np.float16)


def read_cache(folder: Path, file: Path) -> None:
    from pseudoword.metrics.cache import EmbeddingCache

    cache = EmbeddingCache(folder)
    vectors, _ = cache.look(Means(), [picture(), picture(32, 32)])
    cache.embed(Means(), [picture(33, 33)])
    assert vectors.shape == (2, 3), "vectors of another shape than the encoder's"


def cache_files() -> tuple[str, ...]:
    from pseudoword.metrics.cache import EmbeddingCache
    from pseudoword.metrics.lazily import pixel_hashes
    from pseudoword.metrics.perceptual import RECIPE
    from pseudoword.runs import hash_bytes

    cache = EmbeddingCache(Path())
    both = hash_bytes(*pixel_hashes([picture(), picture(32, 32)]))[:24]
    return tuple(str(cache.path_for(Means(), what)) for what in ("", f"-{RECIPE}-{both}"))


TARGETS = (
    Target("pictures", make_pictures, PICTURES, read_pictures),
    Target("captions", make_captions, CAPTIONS, read_captions),
    Target("concepts", make_concepts, ("concepts.yaml", "a-1/toy.json"), read_concepts),
    Target("configs", make_configs, ("study.yaml", "study.yaml", "train.yaml"), read_configs),
    Target("foreign", make_foreign, FOREIGN, read_foreign),
    Target("single", make_single, SINGLE, read_single),
    Target("run", make_run, RUN, read_run),
    Target("study", make_study, STUDY, read_study),
    Target("summary", make_summary, SUMMARY, read_summary),
    Target("large", make_large, (), read_large),
    Target("cache", make_cache, cache_files(), read_cache),
)
WHOLE = {"foreign": STRANGE, "large": LARGE}
"""Files that are spoilt as they were made, by target."""

__all__ = ["MARK", "TARGETS", "WHOLE", "Target", "UserError"]
