"""Between two lines of its log a training asks its device for no result.

On a GPU each would make the host wait for all that was asked before. A CPU has nothing to wait for,
but what asks is the same there: operations whose result or its shape depends on values, and copies
to the host.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from compute_models import over_families
from tiny import NOUN, OPTIONS, load_tiny, make_photo, make_photos
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from pseudoword import train as loop
from pseudoword.kept import Kept
from pseudoword.methods import make_method
from pseudoword.objective import Diffusion
from pseudoword.settings import CheckpointSettings, ComputeSettings, ObjectiveSettings
from pseudoword.train import train
from pseudoword.views import View

TO_HOST = {"cpu", "numpy", "tolist", "__array__"}
EVERY = 3
"""Steps between two lines of the log: fewer than usual, to be quick."""
NEVER = CheckpointSettings(checkpoint_seconds=1e9)


class Questions(TorchDispatchMode):
    """What operations ask of the device, by the step in which they do."""

    def __init__(self) -> None:
        super().__init__()
        self.step = -1
        self.asked: dict[int, list[str]] = {}

    def note(self, name: str) -> None:
        self.asked.setdefault(self.step, []).append(name)

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None
    ) -> Any:
        depends = {torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape}
        if func._opname.startswith("index"):
            # Of places the result's shape is known, of a mask it is not.
            found = any(
                isinstance(place, torch.Tensor) and place.dtype in (torch.bool, torch.uint8)
                for place in (args[1] if isinstance(args[1], list | tuple) else ())
            )
        else:
            found = bool(depends & set(func.tags))
        if found:
            self.note(str(func))
        return func(*args, **(kwargs or {}))


class Copies(TorchFunctionMode):
    """The same of copies to the host, which on a CPU are no operations."""

    def __init__(self, questions: Questions) -> None:
        super().__init__()
        self.questions = questions

    def __torch_function__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None
    ) -> Any:
        name = getattr(func, "__name__", "")
        # A model on a CPU sends to its own device as well, but calls none by this name.
        if name in TO_HOST or (name == "to" and "cpu" in args[1:]):
            self.questions.note(name)
        return func(*args, **(kwargs or {}))


def ask(
    folder: Path,
    name: str,
    out: Path,
    monkeypatch: pytest.MonkeyPatch,
    compute: ComputeSettings,
    **options: Any,
) -> dict[int, list[str]]:
    """What two spans of a training of all that a step can be asked for."""
    model = load_tiny(folder)
    model.compute = compute
    plain, masked, _ = make_photos()
    view = View(masked.pixels, (masked.pixels[..., 0] > 30).astype("float32"), (16, 16), (0, 0))
    photos = [plain, make_photo(masked.pixels, views=(view,))]
    prior = Kept(torch.zeros(2, *model.latent_shape), 0.0)
    steps = {"steps": 2 * EVERY, "batch_size": 2, "prior_weight": 0.5, "average": 0.9}
    method = make_method(name, "stable-diffusion", {**OPTIONS[name], **steps, **options})
    questions = Questions()
    set_rates: Callable[..., None] = loop._set_rates

    def count(optimizer: Any, groups: Any, step: int, settings: Any) -> None:
        questions.step = step + 1
        set_rates(optimizer, groups, step, settings)

    monkeypatch.setattr(loop, "_set_rates", count)
    monkeypatch.setattr(loop, "LOG_EVERY", EVERY)
    gamma = 5.0 if isinstance(model.objective, Diffusion) else 0.0
    objective = ObjectiveSettings(min_snr_gamma=gamma, noise_offset=0.1)
    with questions, Copies(questions):
        train(
            model,
            method,
            NOUN,
            photos,
            out,
            seed=0,
            prior=prior,
            objective=objective,
            checkpoints=NEVER,
        )
    return questions.asked


def assert_asked_in_logged_steps(asked: dict[int, list[str]]) -> None:
    # The last step is followed by what writes the artefact.
    assert EVERY in asked
    for step in range(1, 2 * EVERY):
        assert step % EVERY == 0 or step not in asked, (step, asked[step])


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
@pytest.mark.parametrize("name", ["textual-inversion", "dreambooth", "lora"])
def test_no_step_waits_for_a_result(
    name: str,
    precision: str,
    tiny_model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    compute = ComputeSettings.model_validate({"precision": precision})
    assert_asked_in_logged_steps(ask(tiny_model, name, tmp_path, monkeypatch, compute))


@over_families
def test_no_family_waits_for_a_result(
    family_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compute = ComputeSettings(precision="bf16")
    assert_asked_in_logged_steps(
        ask(family_folder, "textual-inversion", tmp_path, monkeypatch, compute)
    )


def test_what_is_asked_for_is_seen() -> None:
    numbers, questions = torch.ones(3), Questions()
    with questions, Copies(questions):
        _ = float(numbers.sum()), bool(numbers[0] > 0), numbers.tolist(), numbers.cpu()
        _ = numbers[numbers > 0], numbers.nonzero(), torch.equal(numbers, numbers)
        _ = numbers.to("cpu")
    assert len(questions.asked[-1]) == 8
