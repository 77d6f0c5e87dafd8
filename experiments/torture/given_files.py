"""Photos, captions, concepts and settings, as a user gives them."""

import json
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms
from target import picture

from pseudoword.concept import load_concept
from pseudoword.settings import PhotoSettings

INTAKE = PhotoSettings(buckets=True, crops=1, flip=True)


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
