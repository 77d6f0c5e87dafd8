"""Encoders in three roles (CLIP, DINO, Inception): pictures and texts in, vectors out.

The preprocessing is done here with PIL and torch, step by step as published for each encoder, so
that a score means the same on every machine. torch and transformers are imported when an encoder
is loaded.
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from PIL import Image

from pseudoword.disk import download_error
from pseudoword.errors import UserError
from pseudoword.metrics.metric import Role
from pseudoword.metrics.perceptual import coarse_features
from pseudoword.runs import file_sha256

if TYPE_CHECKING:
    import torch

Pooling = Literal["projection", "cls", "average"]
Architecture = Literal["CLIPModel", "Dinov2Model", "ViTModel", "ResNetModel"]
Triple = tuple[float, float, float]

WEIGHTS_FILE = "model.safetensors"
PICKLE = "pytorch_model.bin"
BATCH_SIZE = 32
_JUDGES = Path(__file__).parents[1] / "toybox" / "weights" / "judges"
_HALF: Triple = (0.5, 0.5, 0.5)
_CLIP_MEAN: Triple = (0.48145466, 0.4578275, 0.40821073)
_CLIP_STD: Triple = (0.26862954, 0.26130258, 0.27577711)
_IMAGENET_MEAN: Triple = (0.485, 0.456, 0.406)
_IMAGENET_STD: Triple = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class EncoderRow:
    """Where an encoder's weights are and how it wants its pictures.

    `architecture` is its class in transformers. `resize` is the length in pixels that the shorter
    edge gets, `size` the side of the centre crop. `revision` pins a hub repository to one commit,
    whose file `weights` is then downloaded.
    """

    role: Role
    architecture: Architecture
    source: str
    revision: str | None
    resize: int
    size: int
    resample: Image.Resampling
    mean: Triple
    std: Triple
    pooling: Pooling
    weights: str = WEIGHTS_FILE

    @property
    def preprocessing(self) -> str:
        """The preprocessing in words, for study.json and for the cache's key."""
        mean, std = (" ".join(f"{x:g}" for x in triple) for triple in (self.mean, self.std))
        return (
            f"RGB, {self.resample.name.lower()} to {self.resize} px on the shorter edge, centre "
            f"crop {self.size} px, mean {mean}, std {std}, {self.pooling} pooling"
        )


_BICUBIC = Image.Resampling.BICUBIC

# Every revision is one that public code pins. Two repositories are not known to hold safetensors in
# any commit: their pickles are read by torch's weights-only loader, which makes tensors and nothing
# else.
# fmt: off
ENCODERS: dict[str, EncoderRow] = {
    "toybox-clip": EncoderRow(
        "clip", "CLIPModel", str(_JUDGES / "clip"), None,
        128, 128, _BICUBIC, _HALF, _HALF, "projection"),
    "toybox-dino": EncoderRow(
        "dino", "Dinov2Model", str(_JUDGES / "dino"), None,
        128, 128, _BICUBIC, _HALF, _HALF, "cls"),
    "toybox-inception": EncoderRow(
        "inception", "ResNetModel", str(_JUDGES / "inception"), None,
        128, 128, _BICUBIC, _HALF, _HALF, "average"),
    # The main branch of clip-vit-base-patch32 holds no safetensors: this is its conversion.
    "openai/clip-vit-base-patch32": EncoderRow(
        "clip", "CLIPModel", "openai/clip-vit-base-patch32",
        "c237dc49a33fc61debc9276459120b7eac67e7ef",
        224, 224, _BICUBIC, _CLIP_MEAN, _CLIP_STD, "projection"),
    "openai/clip-vit-large-patch14": EncoderRow(
        "clip", "CLIPModel", "openai/clip-vit-large-patch14",
        "32bd64288804d66eefd0ccbe215aa642df71cc41",
        224, 224, _BICUBIC, _CLIP_MEAN, _CLIP_STD, "projection"),
    # That of CMMD (arXiv 2401.09603, section 4).
    "openai/clip-vit-large-patch14-336": EncoderRow(
        "clip", "CLIPModel", "openai/clip-vit-large-patch14-336",
        "ce19dc912ca5cd21c8a653c79e251e808ccabcd1",
        336, 336, _BICUBIC, _CLIP_MEAN, _CLIP_STD, "projection", PICKLE),
    # DreamBooth's own (arXiv 2208.12242, section 4.1), preprocessed as DINO's evaluation does.
    "facebook/dino-vits16": EncoderRow(
        "dino", "ViTModel", "facebook/dino-vits16",
        "abe3b354cb6a9b6f146096b14a4a9d7eecbcb4bd",
        256, 224, _BICUBIC, _IMAGENET_MEAN, _IMAGENET_STD, "cls", PICKLE),
    "facebook/dinov2-base": EncoderRow(
        "dino", "Dinov2Model", "facebook/dinov2-base",
        "f9e44c814b77203eaa57a6bdbbd535f21ede1415",
        256, 224, _BICUBIC, _IMAGENET_MEAN, _IMAGENET_STD, "cls"),
    "facebook/dinov2-small": EncoderRow(
        "dino", "Dinov2Model", "facebook/dinov2-small",
        "ed25f3a31f01632728cabb09d1542f84ab7b0056",
        256, 224, _BICUBIC, _IMAGENET_MEAN, _IMAGENET_STD, "cls"),
    # That of FD-DINOv2 (arXiv 2306.04675), which takes whole pictures at 224.
    "facebook/dinov2-large": EncoderRow(
        "dino", "Dinov2Model", "facebook/dinov2-large",
        "47b73eefe95e8d44ec3623f8890bd894b6ea2d6c",
        224, 224, _BICUBIC, _IMAGENET_MEAN, _IMAGENET_STD, "cls"),
}
# fmt: on


class Encoder:
    """A loaded encoder. Vectors are float32 and not normalised."""

    def __init__(self, name: str, row: EncoderRow, folder: Path, device: str) -> None:
        self.name = name
        self.row = row
        self.preprocessing = row.preprocessing
        self.sha256 = file_sha256(folder / row.weights)
        self._device = device
        self._model: Any = _load_model(row, folder).float().to(device).eval()
        self._tokenizer: Any = _load_tokenizer(folder) if row.role == "clip" else None

    def embed_images(self, images: Sequence[Image.Image]) -> np.ndarray:
        """The vectors of `images`: float32 (n, d)."""
        batches = [np.empty((0, self.dimension), dtype=np.float32)]
        for pixels in self._batches(images):
            batches.append(self._vectors(self._forward(pixels)))
        return np.concatenate(batches)

    def look(self, images: Sequence[Image.Image]) -> tuple[np.ndarray, np.ndarray]:
        """The vectors of `images`, float32 (n, d), and where in them is what: float16 (n, p).

        Both come of one pass. The latter are `perceptual.coarse_features`: the squared distance of
        two rows is how different two pictures look, place by place.
        """
        import torch

        vectors, places = [np.empty((0, self.dimension), dtype=np.float32)], []
        for pixels in self._batches(images):
            output = self._forward(pixels, output_hidden_states=True)
            vectors.append(self._vectors(output))
            with torch.inference_mode():
                coarse = coarse_features(output.hidden_states, self._final_norm())
            places.append(coarse.half().cpu().numpy())
        return np.concatenate(vectors), np.concatenate(places or [np.empty((0, 0), np.float16)])

    def embed_texts(self, texts: list[str]) -> np.ndarray:
        """The vectors of `texts` in the pictures' space: float32 (n, d); role clip only."""
        import torch

        if self._tokenizer is None:
            raise ValueError(f"{self.name} has the role {self.row.role}: it embeds no text")
        batches = [np.empty((0, self.dimension), dtype=np.float32)]
        length = self._model.config.text_config.max_position_embeddings
        for start in range(0, len(texts), BATCH_SIZE):
            tokens = self._tokenizer(
                texts[start : start + BATCH_SIZE],
                padding="max_length",
                truncation=True,
                max_length=length,
                return_tensors="pt",
            ).to(self._device)
            with torch.inference_mode():
                output = self._model.get_text_features(tokens.input_ids, tokens.attention_mask)
            batches.append(output.pooler_output.float().cpu().numpy())
        return np.concatenate(batches)

    @property
    def dimension(self) -> int:
        """The length d of the vectors."""
        config = self._model.config
        if self.row.pooling == "projection":
            return int(config.projection_dim)
        return int(config.hidden_size if self.row.pooling == "cls" else config.hidden_sizes[-1])

    def _batches(self, images: Sequence[Image.Image]) -> "Iterator[torch.Tensor]":
        import torch

        for start in range(0, len(images), BATCH_SIZE):
            batch = [preprocess(image, self.row) for image in images[start : start + BATCH_SIZE]]
            yield torch.stack(batch).to(self._device)

    def _forward(self, pixels: "torch.Tensor", **options: bool) -> Any:
        import torch

        projects = self.row.pooling == "projection"
        run = self._model.get_image_features if projects else self._model
        with torch.inference_mode():
            return run(pixels, **options)

    def _vectors(self, output: Any) -> np.ndarray:
        pooling = self.row.pooling
        pooled = output.last_hidden_state[:, 0] if pooling == "cls" else output.pooler_output
        vectors: np.ndarray = pooled.flatten(1).float().cpu().numpy()
        return vectors

    def _final_norm(self) -> Any:
        """The norm that the encoder applies to its last layer; a ResNet has none."""
        if self.row.architecture == "CLIPModel":
            return self._model.vision_model.post_layernorm
        return getattr(self._model, "layernorm", None)


def load_encoder(name: str, device: str = "cpu", source: Path | None = None) -> Encoder:
    """Loads the encoder of row `name`; a folder given as `source` takes the place of its weights.

    Raises UserError for an unknown name and for weights that are neither here nor downloadable.
    """
    if name not in ENCODERS:
        raise UserError(f"There is no encoder {name!r}.\nThere are: {', '.join(ENCODERS)}.")
    row = ENCODERS[name]
    return Encoder(name, row, _weights_folder(name, row, source), device)


def preprocess(image: Image.Image, row: EncoderRow) -> "torch.Tensor":
    """A picture as the encoder wants it: float32 (3, size, size), normalised."""
    import torch

    rgb = image.convert("RGB")
    short = min(rgb.size)
    width, height = (row.resize * side // short for side in rgb.size)
    if rgb.size != (width, height):
        rgb = rgb.resize((width, height), row.resample)
    left, top = (width - row.size) // 2, (height - row.size) // 2
    rgb = rgb.crop((left, top, left + row.size, top + row.size))
    pixels = torch.from_numpy(np.asarray(rgb, dtype=np.float32) / np.float32(255))
    normalised = (pixels - torch.tensor(row.mean)) / torch.tensor(row.std)
    return normalised.permute(2, 0, 1).contiguous()


def _weights_folder(name: str, row: EncoderRow, source: Path | None) -> Path:
    folder = source or (Path(row.source) if row.revision is None else None)
    if folder is None:
        return _download(name, row)
    if not (folder / row.weights).is_file():
        raise UserError(
            f"Encoder {name}: {folder} holds no {row.weights}.\n"
            "Name a folder in transformers' layout, or install the package again."
        )
    return folder


def _download(name: str, row: EncoderRow) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        folder = snapshot_download(
            row.source,
            revision=row.revision,
            allow_patterns=["*.json", "merges.txt", row.weights],
        )
    except (LocalEntryNotFoundError, HfHubHTTPError, OSError) as error:
        raise download_error(error) or UserError(
            f"Encoder {name} is neither in the hub cache nor downloadable now.\n"
            f"Go online once (hf download {row.source}), or choose one that is shipped: "
            f"toybox-{row.role}."
        ) from None
    if not os.path.isfile(os.path.join(folder, row.weights)):
        # Offline, the hub client hands back a cached snapshot even where it is not whole.
        raise UserError(
            f"Encoder {name} is in the hub cache without its weights ({folder}).\n"
            f"Go online once: hf download {row.source} --revision {row.revision}"
        )
    return Path(folder)


def _load_model(row: EncoderRow, folder: Path) -> Any:
    import transformers

    # DINO's checkpoints have no weights for the pooler that ViTModel would add.
    options = {"add_pooling_layer": False} if row.architecture == "ViTModel" else {}
    return getattr(transformers, row.architecture).from_pretrained(
        folder,
        use_safetensors=row.weights == WEIGHTS_FILE,
        weights_only=True,
        local_files_only=True,
        **options,
    )


def _load_tokenizer(folder: Path) -> Any:
    from transformers import CLIPTokenizer

    return CLIPTokenizer.from_pretrained(folder, local_files_only=True)
