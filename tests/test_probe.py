"""Losses on fixed samples: the same for the same model, whatever it is called by."""

from pathlib import Path

import numpy as np
from tiny import load_tiny, make_photos

from pseudoword.encoded import encode_photos
from pseudoword.metrics.candidates import loss_ratio
from pseudoword.probe import SAMPLES, photo_losses


def test_losses_are_reproducible_and_of_the_model(tiny_model: Path) -> None:
    photos = make_photos()
    encoded = encode_photos(load_tiny(tiny_model), photos)
    first = photo_losses(load_tiny(tiny_model), photos, encoded, "mug")
    assert len(first) == SAMPLES
    assert photo_losses(load_tiny(tiny_model), photos, encoded, "mug") == first
    changed = load_tiny(tiny_model)
    changed.denoiser.conv_out.weight.data.mul_(2)
    assert photo_losses(changed, photos, encoded, "mug") != first


def test_the_untouched_model_s_ratio_is_one() -> None:
    losses = np.array([0.1, 0.4, 0.9])
    assert loss_ratio(np.stack([losses, losses]), losses) == {"value": 1.0, "low": 1.0, "high": 1.0}


def test_the_ratio_is_paired_by_sample() -> None:
    losses = np.array([0.1, 0.4, 0.9])
    found = loss_ratio(np.stack([losses + 0.1]), losses)
    assert found is not None
    # Equal changes leave no doubt, however much the losses themselves differ.
    assert np.allclose([found["value"], found["low"], found["high"]], 1 + 0.1 / losses.mean())
    assert loss_ratio(np.empty((2, 0)), np.empty(0)) is None
