"""The whole recipe: every stage in order, each resumable, then the folder that ships."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pseudoword.disk import sync_all
from pseudoword.errors import UserError
from pseudoword.progress import Reporter
from pseudoword.runs import hash_json, names_in, prepare_folder, read_json, write_json
from pseudoword.settings import CheckpointSettings
from pseudoword.toybox.recipe.autoencoder import psnr, train_autoencoder
from pseudoword.toybox.recipe.data import HELD_OUT_SEED, Pictures, render_pictures
from pseudoword.toybox.recipe.denoiser import (
    build_scheduler,
    build_unet,
    grow_unet,
    start_text_encoder,
    train_denoiser,
)
from pseudoword.toybox.recipe.files import check_stage, finish_stage, is_done
from pseudoword.toybox.recipe.fit import Place, Schedule
from pseudoword.toybox.recipe.judges import (
    TRAINING_TOYS,
    VIEWS,
    reader_accuracy,
    render_subjects,
    subject_accuracy,
    subject_view,
    train_reader,
    train_subject_encoder,
)
from pseudoword.toybox.recipe.layout import COARSE, FINE, Layout
from pseudoword.toybox.recipe.oracle import (
    ORACLE_TOYS,
    Lessons,
    oracle_accuracy,
    train_oracle,
)
from pseudoword.toybox.recipe.pair import train_pair
from pseudoword.toybox.recipe.tokenizer import build_tokenizer
from pseudoword.toybox.world.compiled import sources_hash
from pseudoword.toybox.world.concepts import concept_toy
from pseudoword.toybox.world.vocabulary import WORDS

PICTURES = 40_000
HELD_OUT = 2_000
SUBJECTS = 4_000
"""Concept toys that the subject encoder learns from; twice as many others are the oracle's."""

ORIGIN = "origin.json"
"""In a stage's folder: what its result depends on."""

_HERE = Path(__file__).parent
RECIPE = (*_HERE.glob("*.py"), *(_HERE.parent / f"{n}.py" for n in ("oracle", "pixels", "reader")))
"""Sources on which a stage's result depends, beside those of the world."""

STEPS = {
    "coarse-autoencoder": 11_000,
    "pair": 500,
    "coarse-denoiser": 9_000,
    "autoencoder": 10_500,
    "denoiser": 12_000,
    "clip": 600,
    "dino": 1_600,
    "inception": 4_000,
    "reader": 8_000,
    "oracle": 18_000,
}


class Work:
    """A work folder: pictures, checkpoints and finished stages."""

    def __init__(
        self,
        folder: Path,
        device: torch.device,
        reporter: Reporter,
        steps: dict[str, int],
        checkpoints: CheckpointSettings,
    ) -> None:
        self.folder = folder
        self.device = device
        self.reporter = reporter
        self.steps = steps
        self.checkpoints = checkpoints
        self.tokenizer = build_tokenizer(WORDS)

        # Pictures of a world that has changed since are not taken for this one's.
        self.rendered = folder / f"pictures-{sources_hash()[:8]}"

    def place(self, folder: Path) -> Place:
        """How a stage trains in its folder."""
        return Place(folder, self.reporter, self.checkpoints)

    def pictures(self, layout: Layout, share: float = 1.0) -> Pictures:
        count = round(share * PICTURES)
        return render_pictures(count, layout.size, 0, self.rendered, self.reporter)

    def held_out(self, layout: Layout) -> Pictures:
        return render_pictures(HELD_OUT, layout.size, HELD_OUT_SEED, self.rendered, self.reporter)

    def subjects(self, first_seed: int, count: int) -> np.ndarray:
        return render_subjects(first_seed, count, FINE.size, self.rendered, self.reporter)

    def origin(self, stage: str) -> str:
        """A hash of what the stage's result depends on: world, recipe, steps, earlier stages."""
        needs = [self.origin(name) for name in NEEDS.get(stage, ())]
        sources = [sources_hash(), sources_hash(RECIPE)]
        return hash_json([sources, PICTURES, SUBJECTS, self.steps[stage], needs])


Stage = Callable[[Work, Path], dict[str, float]]


def _autoencoder(layout: Layout, share: float) -> Stage:
    def stage(work: Work, folder: Path) -> dict[str, float]:
        steps = work.steps[folder.name]
        pictures = work.pictures(layout, share)
        model = train_autoencoder(layout, pictures, work.place(folder), steps, work.device)
        model.save_pretrained(folder / "model")
        return {"psnr": psnr(model, work.held_out(layout))}

    return stage


def _pair(layout: Layout, seed: int, text_layers: int) -> Stage:
    def stage(work: Work, folder: Path) -> dict[str, float]:
        model = train_pair(
            work.pictures(layout),
            work.tokenizer,
            work.place(folder),
            work.steps[folder.name],
            work.device,
            seed,
            text_layers,
        )
        model.save_pretrained(folder / "model")
        work.tokenizer.save_pretrained(folder / "model")
        return {}

    return stage


def _coarse_denoiser(work: Work, folder: Path) -> dict[str, float]:
    from transformers import CLIPModel

    pair = CLIPModel.from_pretrained(work.folder / "pair" / "model")
    torch.manual_seed(31)
    unet = build_unet(COARSE)
    text_encoder = start_text_encoder(pair, work.tokenizer)
    return _train_denoiser(work, folder, COARSE, unet, text_encoder, plateau=0.0)


def _denoiser(work: Work, folder: Path) -> dict[str, float]:
    from diffusers import UNet2DConditionModel
    from transformers import CLIPTextModel

    coarse = work.folder / "coarse-denoiser"
    torch.manual_seed(32)
    unet = grow_unet(UNet2DConditionModel.from_pretrained(coarse / "unet"), FINE)
    text_encoder = CLIPTextModel.from_pretrained(coarse / "text_encoder")
    return _train_denoiser(work, folder, FINE, unet, text_encoder, plateau=0.6)


def _train_denoiser(
    work: Work, folder: Path, layout: Layout, unet: Any, text_encoder: Any, plateau: float
) -> dict[str, float]:
    from diffusers import AutoencoderKL

    source = folder.name.replace("denoiser", "autoencoder")
    unet, text_encoder = train_denoiser(
        unet,
        text_encoder,
        work.pictures(layout),
        AutoencoderKL.from_pretrained(work.folder / source / "model"),
        work.tokenizer,
        work.place(folder),
        Schedule(work.steps[folder.name], plateau=plateau),
        work.device,
    )
    unet.save_pretrained(folder / "unet")
    text_encoder.save_pretrained(folder / "text_encoder")
    return {}


def _dino(work: Work, folder: Path) -> dict[str, float]:
    subjects = work.subjects(TRAINING_TOYS, SUBJECTS)
    steps = work.steps["dino"]
    model = train_subject_encoder(subjects, work.place(folder), steps, work.device)
    model.save_pretrained(folder / "model")
    return {"accuracy_among_100_of_its_class": subject_accuracy(model)}


def _reader(seed: int) -> Stage:
    def stage(work: Work, folder: Path) -> dict[str, float]:
        from safetensors.torch import save_model

        steps = work.steps[folder.name]
        pictures = work.pictures(FINE)
        model = train_reader(pictures, work.place(folder), steps, work.device, seed)
        model.backbone.save_pretrained(folder / "model")
        save_model(model, str(folder / "reader.safetensors"))
        return reader_accuracy(model, work.held_out(FINE))

    return stage


def _oracle(work: Work, folder: Path) -> dict[str, float]:
    from safetensors.torch import save_model

    pictures, subjects = work.pictures(FINE), work.subjects(ORACLE_TOYS, 2 * SUBJECTS)
    seeds = range(ORACLE_TOYS, ORACLE_TOYS + len(subjects))
    views = [subject_view(concept_toy(s), s, v) for s in seeds for v in range(VIEWS)]
    lessons = (
        Lessons.of(pictures.pixels, [pictures.scene(i) for i in range(len(pictures))], 1),
        Lessons.of(subjects.reshape(-1, *subjects.shape[2:]), views, VIEWS),
    )
    model = train_oracle(lessons, work.place(folder), work.steps["oracle"], work.device)
    save_model(model, str(folder / "oracle.safetensors"))
    return oracle_accuracy(model, FINE.size)


STAGES: dict[str, Stage] = {
    "coarse-autoencoder": _autoencoder(COARSE, share=1.0),
    "pair": _pair(COARSE, seed=21, text_layers=3),
    "coarse-denoiser": _coarse_denoiser,
    "autoencoder": _autoencoder(FINE, share=0.25),
    "denoiser": _denoiser,
    "clip": _pair(FINE, seed=41, text_layers=2),
    "dino": _dino,
    "inception": _reader(seed=61),
    "reader": _reader(seed=71),
    "oracle": _oracle,
}

NEEDS = {
    "coarse-denoiser": ("coarse-autoencoder", "pair"),
    "denoiser": ("autoencoder", "coarse-denoiser"),
}
"""Stages that begin with the results of others."""


def train_toybox(
    folder: Path,
    device: torch.device,
    reporter: Reporter,
    stages: Sequence[str] | None = None,
    steps: dict[str, int] | None = None,
    checkpoints: CheckpointSettings | None = None,
) -> Path:
    """Runs the stages that are not done in the work `folder`; returns the assembled weights.

    `stages` names some of STAGES; `steps` overrides STEPS; `checkpoints` tells
    how often a training is saved. Raises UserError for unknown stages,
    for one whose needs are not done, and where the folder was made by another recipe.
    """
    unknown = sorted(set(stages or ()) - set(STAGES))
    if unknown:
        raise UserError(f"--stages {unknown[0]} is no stage: use {', '.join(STAGES)}.")
    prepare_folder(folder)
    work = Work(
        folder, device, reporter, STEPS | (steps or {}), checkpoints or CheckpointSettings()
    )
    for name in stages or STAGES:
        _claim(work, name)
        if is_done(folder / name):
            reporter.note(f"{name}: done before, {check_stage(folder / name)}")
            continue
        clock = time.monotonic()
        measured: dict[str, Any] = dict(STAGES[name](work, folder / name))
        seconds = round(time.monotonic() - clock)
        finish_stage(folder / name, measured | {"seconds_this_time": seconds})
        reporter.note(f"{name}: {measured}")
    if all(is_done(folder / name) for name in STAGES):
        return assemble(work)
    return folder


def _claim(work: Work, stage: str) -> None:
    """Marks a stage's folder with its origin. Raises UserError where it has another."""
    for need in NEEDS.get(stage, ()):
        if not is_done(work.folder / need):
            raise UserError(f"--stages {stage} needs {need}, which is not done: name it before.")
        _require_origin(work, need)
        check_stage(work.folder / need)
    # A kill may leave the folder without its record: then nothing else is in it.
    if names_in(work.folder / stage):
        _require_origin(work, stage)
    else:
        write_json(work.folder / stage / ORIGIN, work.origin(stage))


def _require_origin(work: Work, stage: str) -> None:
    record = work.folder / stage / ORIGIN
    if not record.exists() or read_json(record) != work.origin(stage):
        raise UserError(
            f"{record.parent} was made by another recipe or of another world: "
            "remove it, or name another folder."
        )


def assemble(work: Work) -> Path:
    """The folder `weights` as the package ships it: 16-bit safetensors in the public layouts."""
    from diffusers import AutoencoderKL, UNet2DConditionModel
    from transformers import CLIPModel, CLIPTextModel, Dinov2Model, ResNetModel

    for name in STAGES:
        _require_origin(work, name)
        check_stage(work.folder / name)
    weights = work.folder / "weights"
    model = weights / "model"
    half = torch.float16
    parts = work.folder
    UNet2DConditionModel.from_pretrained(parts / "denoiser" / "unet").to(half).save_pretrained(
        model / "unet"
    )
    AutoencoderKL.from_pretrained(parts / "autoencoder" / "model").to(half).save_pretrained(
        model / "vae"
    )
    CLIPTextModel.from_pretrained(parts / "denoiser" / "text_encoder").to(half).save_pretrained(
        model / "text_encoder"
    )
    # transformers loads in the dtype of the configuration, diffusers in float32 unless asked: one
    # pipeline must not mix the two.
    _edit_config(model / "text_encoder", dtype="float32")
    # Where the parts were trained is nobody's business, and would change the model's fingerprint.
    _edit_config(model / "unet", _name_or_path="")
    _edit_config(model / "vae", _name_or_path="")
    work.tokenizer.save_pretrained(model / "tokenizer")
    build_scheduler().save_pretrained(model / "scheduler")
    write_json(model / "model_index.json", MODEL_INDEX)
    judges = {"clip": CLIPModel, "dino": Dinov2Model, "inception": ResNetModel}
    for name, kind in judges.items():
        judge = kind.from_pretrained(parts / name / "model").to(half)
        judge.save_pretrained(weights / "judges" / name)
    work.tokenizer.save_pretrained(weights / "judges" / "clip")
    for name in ("reader", "oracle"):
        _save_half(parts / name / f"{name}.safetensors", weights / f"{name}.safetensors")
    sync_all(weights)
    return weights


def _edit_config(folder: Path, **values: str) -> None:
    path = folder / "config.json"
    write_json(path, read_json(path) | values)


def _save_half(source: Path, target: Path) -> None:
    from safetensors.torch import load_file, save_file

    tensors = load_file(source)
    save_file({k: v.half() if v.is_floating_point() else v for k, v in tensors.items()}, target)


MODEL_INDEX = {
    "_class_name": "StableDiffusionPipeline",
    "_diffusers_version": "0.42.1",
    "feature_extractor": [None, None],
    "image_encoder": [None, None],
    "requires_safety_checker": False,
    "safety_checker": [None, None],
    "scheduler": ["diffusers", "DDIMScheduler"],
    "text_encoder": ["transformers", "CLIPTextModel"],
    "tokenizer": ["transformers", "CLIPTokenizer"],
    "unet": ["diffusers", "UNet2DConditionModel"],
    "vae": ["diffusers", "AutoencoderKL"],
}
