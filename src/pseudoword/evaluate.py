"""Scoring pictures against photos and prompts, by encoders in the roles of CLIP and DINO."""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, UnidentifiedImageError

from pseudoword.concept import Concept, load_concept
from pseudoword.device import pick_device
from pseudoword.errors import UserError, printable
from pseudoword.families import model_row
from pseudoword.metrics import Role
from pseudoword.metrics.cache import EmbeddingCache
from pseudoword.metrics.distances import (
    cosine_matrix,
    directional_cosine,
    leave_one_out_cosine,
)
from pseudoword.metrics.diversity import embedding_diversity, perceptual_diversity, vendi
from pseudoword.metrics.encoders import ENCODERS, Encoder, load_encoder
from pseudoword.metrics.lazily import PictureFiles
from pseudoword.metrics.memorisation import copied, copy_limit, nearest_cosine
from pseudoword.pictures import DECODE_ERRORS, check_png, find_pictures, read_picture
from pseudoword.prompts import Prompt, fill
from pseudoword.settings import PhotoSettings

IMAGE_ROLES: dict[str, Role] = {"dino": "dino", "clip_i": "clip"}
"""Likeness metrics and the role of their encoder."""


@dataclass(frozen=True, eq=False)
class Judges:
    """The encoders of a study by role, and where embeddings are kept (None: nowhere)."""

    encoders: Mapping[Role, Encoder]
    cache: EmbeddingCache | None

    @staticmethod
    def load(
        names: Mapping[str, str],
        device: str,
        cache: Path | None,
        roles: Sequence[Role] = ("clip", "dino", "inception"),
        note: Callable[[str], None] | None = None,
    ) -> "Judges":
        """Loads the encoders that `names` gives by role; `note` is told of a damaged cache."""
        loaded = {role: load_encoder(names[role], device) for role in roles}
        return Judges(loaded, EmbeddingCache(cache, note) if cache else None)

    def embed(self, role: Role, pictures: Sequence[Image.Image]) -> np.ndarray:
        """Vectors (n, d) of pictures, computed once per content where there is a cache."""
        encoder = self.encoders[role]
        if self.cache is None:
            return encoder.embed_images(pictures)
        return self.cache.embed(encoder, pictures)

    def look(self, pictures: Sequence[Image.Image]) -> tuple[np.ndarray, np.ndarray]:
        """In DINO's role the vectors (n, d) of pictures and their perceptual features (n, p)."""
        encoder = self.encoders["dino"]
        if self.cache is None:
            return encoder.look(pictures)
        return self.cache.look(encoder, pictures)


def score_pictures(
    judges: Judges, pictures: Sequence[Image.Image], prompts: Sequence[str] | None, concept: Concept
) -> dict[str, np.ndarray]:
    """Every metric of single pictures as (n,): likeness to the photos, copying, CLIP-T.

    `prompts` (one a picture) name the class noun in the placeholder's place; without them there is
    no CLIP-T. Whether a picture is copied is not known for one training photo.
    """
    training = photo_images(concept, held_out=False)
    fresh = photo_images(concept, held_out=True) or training
    scores = {}
    for metric, role in IMAGE_ROLES.items():
        vectors = judges.embed(role, pictures)
        scores[metric] = cosine_matrix(vectors, judges.embed(role, fresh)).mean(axis=1)
        known = judges.embed(role, training)
        scores[f"{metric}_train"] = cosine_matrix(vectors, known).mean(axis=1)
    photos = judges.embed("dino", training)
    scores["nearest"] = nearest_cosine(judges.embed("dino", pictures), photos)
    limit = copy_limit(photos)
    if limit is not None:
        scores["copied"] = copied(scores["nearest"], limit)
    if prompts is not None:
        scores["clip_t"] = text_scores(judges, pictures, prompts)
    return scores


def direction_scores(
    judges: Judges,
    pictures: Sequence[Image.Image],
    plain_pictures: Sequence[Image.Image],
    prompts: Sequence[str],
    plain_prompt: str,
) -> np.ndarray:
    """Directional CLIP (n,) of each picture and prompt against its plain picture and the prompt of
    that: see `metrics.distances.directional_cosine`."""
    texts = list(dict.fromkeys([plain_prompt, *prompts]))
    words = judges.encoders["clip"].embed_texts(texts)
    return directional_cosine(
        judges.embed("clip", pictures),
        judges.embed("clip", plain_pictures),
        words[[texts.index(prompt) for prompt in prompts]],
        words[[0] * len(prompts)],
    )


def within_scores(vectors: np.ndarray, places: np.ndarray) -> dict[str, float]:
    """Diversity of pictures of one prompt from one training, from `Judges.look`; none for one."""
    if len(vectors) < 2:
        return {}
    return {"diversity": embedding_diversity(vectors), "lpips": perceptual_diversity(places)}


def text_scores(
    judges: Judges, pictures: Sequence[Image.Image], prompts: Sequence[str]
) -> np.ndarray:
    """CLIP-T (n,): the cosine of each picture with its prompt (arXiv 2208.12242, section 4.1)."""
    texts = list(dict.fromkeys(prompts))
    words = judges.encoders["clip"].embed_texts(texts)
    table = cosine_matrix(judges.embed("clip", pictures), words)
    columns = [texts.index(prompt) for prompt in prompts]
    chosen: np.ndarray = table[np.arange(len(columns)), columns]
    return chosen


def photo_ceiling(judges: Judges, concept: Concept) -> dict[str, np.ndarray]:
    """Similarities of photos to other photos, by metric: what a perfect picture would score.

    To the held-out photo where there is one, else each photo to the others; empty for one photo.
    """
    training = photo_images(concept, held_out=False)
    fresh = photo_images(concept, held_out=True)
    ceiling = {}
    for metric, role in IMAGE_ROLES.items():
        known = judges.embed(role, training)
        if fresh:
            ceiling[metric] = cosine_matrix(known, judges.embed(role, fresh)).mean(axis=1)
        elif len(training) > 1:
            ceiling[metric] = leave_one_out_cosine(known)
        else:
            ceiling[metric] = np.empty(0)
    return ceiling


def photos_clip_t(judges: Judges, concept: Concept, prompts: Sequence[Prompt]) -> dict[str, float]:
    """CLIP-T of the training photos by prompt id: what a picture that ignores the prompt scores."""
    photos = photo_images(concept, held_out=False)
    found = {}
    for prompt in prompts:
        texts = [fill(prompt.template, concept.class_noun)] * len(photos)
        found[prompt.id] = float(text_scores(judges, photos, texts).mean())
    return found


def picture_files(paths: Sequence[Path]) -> PictureFiles:
    """Pictures that this project drew, each opened when it is asked for."""
    return PictureFiles(paths, open_picture)


def open_picture(path: Path) -> Image.Image:
    """A picture that this project drew, as RGB. Raises UserError where it is missing or damaged."""
    try:
        check_png(path)
        with Image.open(path, formats=("PNG",)) as image:
            return image.convert("RGB")
    except FileNotFoundError:
        raise UserError(f"{path} is missing: run the same command again.") from None
    except (UnidentifiedImageError, Image.DecompressionBombError, *DECODE_ERRORS) as error:
        raise UserError(
            f"{path} is damaged ({printable(str(error))[:100]}):\n"
            "remove it and run the same command again."
        ) from None


def photo_images(concept: Concept, *, held_out: bool) -> list[Image.Image]:
    """The held-out photo (in a list, empty if there is none) or the training photos."""
    return [Image.fromarray(p.pixels) for p in concept.photos if p.held_out == held_out]


def encoder_names(model: str, chosen: Mapping[str, str]) -> dict[str, str]:
    """The encoder of each role: the one chosen, or with "auto" the one that suits the model.

    Raises UserError for one that is not known or, in CLIP's role, reads no text.
    """
    suited = model_row(model).encoders
    for role, name in chosen.items():
        fitting = [n for n, row in ENCODERS.items() if role != "clip" or row.role == "clip"]
        if name not in ("auto", *fitting):
            raise UserError(
                f"--{role}-encoder {name} is none for this role: use auto, {', '.join(fitting)}."
            )
    return {role: suited[role] if name == "auto" else name for role, name in chosen.items()}


AUTO = {"clip": "auto", "dino": "auto", "inception": "auto"}


def evaluate_pictures(
    images: Sequence[Path],
    references: Sequence[Path],
    class_noun: str,
    prompt: str | None = None,
    model: str = "toybox",
    device: str = "auto",
) -> dict[str, Any]:
    """Scores any pictures against photos; `prompt` (with `{}` or the noun itself) adds CLIP-T.

    Returns {"scores": {metric: {"value", "n"}}, "images": [{"file", metric: value}], "ceiling",
    "copy_limit", "notes"}. Diversity and the Vendi score take all pictures for one set.
    """
    where = str(pick_device(device))
    # Kept for as long as this takes: several metrics ask for the same embeddings.
    with tempfile.TemporaryDirectory() as cache:
        judges = Judges.load(encoder_names(model, AUTO), where, Path(cache), ("clip", "dino"))
        return _evaluate(judges, images, references, class_noun, prompt)


def _evaluate(
    judges: Judges,
    images: Sequence[Path],
    references: Sequence[Path],
    class_noun: str,
    prompt: str | None,
) -> dict[str, Any]:
    # Not smaller than the encoders want them, lest the photos alone be blurred by enlarging.
    size = max(encoder.row.resize for encoder in judges.encoders.values())
    plain = PhotoSettings(captions=False, masks=False)
    concept = load_concept(references, class_noun, size, hold_out=False, intake=plain)
    notes = [*concept.notes, *concept.warnings]
    files = find_pictures(images, notes)
    pictures = PictureFiles(files, lambda path: read_picture(path)[0])
    texts = None
    if prompt is not None:
        texts = [prompt.replace("{}", concept.class_noun)] * len(pictures)
    sets = within_scores(*judges.look(pictures))
    scores = score_pictures(judges, pictures, texts, concept)
    scores = {name: values for name, values in scores.items() if not name.endswith("_train")}
    if len(pictures) > 1:
        sets["vendi"] = vendi(judges.embed("dino", pictures))
    photos = judges.embed("dino", photo_images(concept, held_out=False))
    means = {name: float(values.mean()) for name, values in scores.items()}
    return {
        "scores": {name: {"value": v, "n": len(files)} for name, v in {**means, **sets}.items()},
        "images": [
            {"file": str(path), **{name: float(values[i]) for name, values in scores.items()}}
            for i, path in enumerate(files)
        ],
        "ceiling": {
            name: {"value": float(values.mean()), "n": len(values)}
            for name, values in photo_ceiling(judges, concept).items()
            if len(values)
        },
        "copy_limit": copy_limit(photos),
        "notes": notes,
    }
