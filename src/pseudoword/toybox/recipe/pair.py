"""A CLIP-style pair of towers, trained by contrast on renders and captions (arXiv 2103.00020).

It is trained twice with different seeds: once so that its text tower can start the model's text
encoder, and once as the judge in CLIP's role, so that the model is never judged by its own parent.
"""

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from transformers import CLIPConfig, CLIPModel, CLIPTokenizer

from pseudoword.toybox.recipe.data import Pictures, batch_indices
from pseudoword.toybox.recipe.fit import Group, Place, Schedule, fit
from pseudoword.toybox.recipe.tokenizer import MAX_LENGTH

TEXT_WIDTH = 192
BATCH = 96


def text_config(tokenizer: CLIPTokenizer, layers: int) -> dict[str, object]:
    """CLIPTextConfig values. transformers pools at the end token only if its id is not 2."""
    return {
        "vocab_size": len(tokenizer),
        "hidden_size": TEXT_WIDTH,
        "intermediate_size": 4 * TEXT_WIDTH,
        "num_hidden_layers": layers,
        "num_attention_heads": 6,
        "max_position_embeddings": MAX_LENGTH,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
        "projection_dim": 128,
    }


def build_pair(tokenizer: CLIPTokenizer, size: int, text_layers: int = 3) -> CLIPModel:
    """2.8 M parameters, 8x8 patches."""
    vision = {
        "hidden_size": 160,
        "intermediate_size": 480,
        "num_hidden_layers": 4,
        "num_attention_heads": 5,
        "image_size": size,
        "patch_size": size // 8,
        "projection_dim": 128,
    }
    config = CLIPConfig(
        text_config=text_config(tokenizer, text_layers),
        vision_config=vision,
        projection_dim=128,
    )
    return CLIPModel(config)


def tokenize(tokenizer: CLIPTokenizer, texts: list[str]) -> Tensor:
    """Token ids (n, MAX_LENGTH), padded."""
    ids = tokenizer(
        texts, padding="max_length", max_length=MAX_LENGTH, truncation=True, return_tensors="pt"
    ).input_ids
    assert isinstance(ids, Tensor)
    return ids


def train_pair(
    pictures: Pictures,
    tokenizer: CLIPTokenizer,
    place: Place,
    steps: int,
    device: torch.device,
    seed: int,
    text_layers: int = 3,
) -> CLIPModel:
    """Symmetric cross-entropy over the cosine similarities within a batch."""
    torch.manual_seed(seed)
    model = build_pair(tokenizer, pictures.pixels.shape[1], text_layers).to(device)

    def loss(step: int) -> Tensor:
        indices = batch_indices(len(pictures), BATCH, seed, step)
        mirror = np.random.default_rng([seed, step]).random(BATCH) < 0.5
        ids = tokenize(tokenizer, [pictures.caption(int(i), step) for i in indices]).to(device)
        pixels = pictures.tensor(indices, mirror=mirror).to(device)
        with torch.autocast(device.type, torch.bfloat16):
            output = model(input_ids=ids, pixel_values=pixels)
        logits = output.logits_per_image.float()
        # Captions of a batch repeat (few words, left-out attributes): equal ones are all right.
        same = (ids[:, None] == ids[None]).all(dim=2).float()
        target = same / same.sum(dim=1, keepdim=True)
        return (cross_entropy(logits, target) + cross_entropy(logits.T, target)) / 2

    fit(loss, [Group((model,), 1e-3, 0.05)], Schedule(steps), place)
    return model.cpu()
