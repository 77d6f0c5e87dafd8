"""What a training loads, and that all else comes when it is asked for."""

import os
import subprocess
import sys
from pathlib import Path

from PIL import Image
from tiny import make_photos

SOURCE = Path(__file__).parent.parent / "src"


def run(code: str, *more: Path) -> str:
    """What a fresh Python prints that runs `code` with our modules and those of folders `more`."""
    path = os.pathsep.join(str(folder) for folder in (SOURCE, *more))
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": path, "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


HEAVY = (
    "diffusers.models.transformers.transformer_flux diffusers.models.transformers.transformer_sd3 "
    "diffusers.models.unets.unet_3d_condition diffusers.pipelines.stable_diffusion matplotlib "
    "numba pandas peft.auto pyarrow rich scipy.integrate._quadrature "
    "scipy.optimize._optimize scipy.stats._stats_py sklearn sympy torch._dynamo.convert_frame "
    "torch._inductor torch.distributed.checkpoint.state_dict_saver "
    "torch.distributed.fsdp._flat_param torch.distributed.tensor._ops torchvision "
    "transformers.models.bert"
).split()
"""Modules that training a word with the toybox has no use for."""
NEEDED = (
    "diffusers.models.transformers.transformer_2d diffusers.models.unets.unet_2d_condition "
    "pseudoword.train transformers.models.clip.modeling_clip"
).split()

TRAIN = """
import sys
from pseudoword.cli import main
options = ["--option=steps=2", "--option=batch_size=1", "--option=prior_weight=0", "--snapshots=0"]
status = main(["train", {photos!r}, "--method", {method!r}, "--class-noun=mug", "--device=cpu",
               "--out", {out!r}, "--no-hold-out", *options])
assert status == 0
print("loaded", *sys.modules)
"""


def loaded_by_training(method: str, folder: Path) -> set[str]:
    photos = folder / "photos"
    photos.mkdir()
    for photo in make_photos():
        Image.effect_noise((128, 128), 60).convert("RGB").save(photos / f"{photo.name}.png")
    told = run(TRAIN.format(photos=str(photos), method=method, out=str(folder / "run")))
    return set(told.partition("loaded ")[2].split())


def test_training_a_word_loads_what_it_uses(tmp_path: Path) -> None:
    loaded = loaded_by_training("textual-inversion", tmp_path)
    assert set(NEEDED) <= loaded
    assert set(HEAVY) & loaded == set()


def test_adapters_load_peft_and_little_else(tmp_path: Path) -> None:
    loaded = loaded_by_training("lora", tmp_path)
    assert {"peft.auto", *NEEDED} <= loaded
    assert set(HEAVY) - {"peft.auto"} & loaded == set()


def test_all_that_is_late_can_be_loaded() -> None:
    """Each in a process where it is the first, with the names that are promised of it."""
    told = run(
        """
import sys
from pseudoword import light_imports
from pseudoword.light_imports import LATE, Promise, import_lightly
import_lightly()
from diffusers import AutoencoderKL, UNet2DConditionModel
from transformers import CLIPTextModel
late = [name for name in LATE if name in light_imports._waiting]
assert set(LATE) == set(late), set(LATE) - set(late)
for name in late:
    module = light_imports.load(name)
    assert not light_imports._waiting.keys() & {name}
    for promised in LATE[name]:
        assert not isinstance(getattr(module, promised), Promise)
print(len(late))
import diffusers, peft, scipy.stats, torch
from diffusers.models.transformers import SD3Transformer2DModel
assert diffusers.SD3Transformer2DModel is SD3Transformer2DModel
assert scipy.stats.rankdata([3, 1]).tolist() == [2, 1]
assert peft.LoraConfig is peft.tuners.LoraConfig
assert torch._dynamo.OptimizedModule is sys.modules["torch._dynamo.eval_frame"].OptimizedModule
assert torch._dynamo.config is sys.modules["torch._dynamo.config"]
"""
    )
    assert int(told) > 10


def test_the_compiler_comes_when_it_is_used() -> None:
    """It knows of what was marked and shut out before it came, also by torch's optimizers."""
    run(
        """
import sys
from pseudoword.light_imports import import_lightly
import_lightly()
import torch

@torch.compiler.disable
def outside(x):
    return x + 1

@torch.compiler.allow_in_graph
def whole(x):
    torch._dynamo.graph_break()
    return x * 3

weight = torch.nn.Parameter(torch.ones(2))
optimizer = torch.optim.AdamW([weight])
weight.sum().backward()
optimizer.step()
optimizer.zero_grad()
assert outside(weight).tolist() == (weight + 1).tolist()
assert "torch._dynamo.convert_frame" not in sys.modules

ones = torch.ones(2)
compiled = torch.compile(lambda x: whole(x + 1), backend="eager", fullgraph=True)
assert compiled(ones).tolist() == [6, 6]
assert "torch._dynamo.convert_frame" in sys.modules
compiled = torch.compile(lambda x: whole(outside(x * 2)), backend="eager")
assert compiled(ones).tolist() == [9, 9]
explained = torch._dynamo.explain(lambda x: whole(outside(x * 2)))(ones)
assert explained.graph_break_count == 1, explained
explained = torch._dynamo.explain(lambda x: whole(x * 2))(ones)
assert explained.graph_break_count == 0, explained
weight.sum().backward()
optimizer.step()
"""
    )


def test_submodules_wait_for_the_package_that_they_need(tmp_path: Path) -> None:
    package = tmp_path / "heavy"
    package.mkdir()
    (package / "__init__.py").write_text("ready = True\nfrom heavy import part, other\n")
    (package / "part.py").write_text("import heavy\nassert heavy.ready\nclass Thing: pass\n")
    (package / "other.py").write_text("import heavy\nassert heavy.ready\nvalue = object()\n")
    (package / "alone.py").write_text("value = 1\n")
    (package / "broken.py").write_text("raise ImportError('no such machine')\n")
    run(
        """
import sys
from pseudoword import light_imports
light_imports.LATE |= {"heavy": (), "heavy.part": ("Thing",), "heavy.broken": (), "not_there": ()}
light_imports.ALONE.add("heavy.alone")
light_imports.import_lightly()

import heavy, heavy.alone, heavy.broken
from heavy.part import Thing
assert heavy.alone.value == 1
assert not isinstance(3, Thing) and not isinstance(heavy, (Thing, str))
assert "ready" not in vars(heavy)

import heavy.other
assert heavy.ready
assert heavy.other is sys.modules["heavy.other"]
assert heavy.other.__spec__.name == "heavy.other"
assert heavy.part.Thing.__module__ == "heavy.part"
assert isinstance(Thing(), Thing) and isinstance(Thing(), heavy.part.Thing)
assert issubclass(type("More", (heavy.part.Thing,), {}), Thing)
class Mine(Thing): pass
assert issubclass(Mine, heavy.part.Thing)
assert isinstance(Mine(), Thing | None)

for _ in range(2):
    try:
        heavy.broken.value
    except ImportError as error:
        assert "no such machine" in str(error)
    else:
        raise AssertionError
try:
    import not_there
except ModuleNotFoundError:
    pass
else:
    raise AssertionError
assert not hasattr(heavy, "missing")
""",
        tmp_path,
    )
