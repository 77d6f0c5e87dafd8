"""Whatever is in a file, its reader takes it or tells the user: generated files, always the same.

The readers are those of experiments/torture, which spoils whole files instead.
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import load_tiny
from tiny_families import build_sd1

from pseudoword.errors import UserError
from pseudoword.settings import StudySettings, TrainSettings

sys.path.append(str(Path(__file__).parent.parent / "experiments/torture"))

from given_files import read_configs
from trained_files import put_foreign

EXAMPLES = settings(max_examples=100, derandomize=True, deadline=None, database=None)
LAYER = "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_q"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("properties")


def is_told(read: Callable[[Path], object], file: Path) -> bool:
    """Whether the file is refused, in few lines; any other error than the user's goes on."""
    try:
        read(file)
    except UserError as error:
        assert str(error).count("\n") <= 2
        return True
    return False


def read_settings(file: Path) -> None:
    read_configs(file.parent, file)


class Reader:
    """Puts a file into a model, which is another one once it has taken a file."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        build_sd1(folder, "v_prediction")
        self.model = load_tiny(folder)

    def __call__(self, file: Path) -> None:
        put_foreign(self.model, file)
        self.model = load_tiny(self.folder)


@pytest.fixture(scope="module")
def reader(place: Path) -> Reader:
    return Reader(place / "model")


numbers = st.integers() | st.floats()
leaves = st.none() | st.booleans() | numbers | st.text(max_size=8)
values = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)


def names(kind: Any) -> list[str]:
    """All keys of settings, those of their parts too."""
    found = []
    for name, about in kind.model_fields.items():
        found.append(name)
        if hasattr(about.annotation, "model_fields"):
            found += names(about.annotation)
    return found


KEYS = sorted({*names(StudySettings), *names(TrainSettings), "steps", "lora", "rank"})
keys = st.sampled_from(KEYS) | st.text(max_size=5)
parts = st.dictionaries(keys, values, max_size=3)


@EXAMPLES
@given(
    name=st.sampled_from(["study", "train"]),
    found=st.dictionaries(keys, values | parts | st.dictionaries(keys, parts, max_size=2)),
)
def test_settings_are_taken_or_told(place: Path, name: str, found: dict[str, Any]) -> None:
    file = place / f"{name}.yaml"
    file.write_text(yaml.safe_dump({"class_noun": "mug", **found}, allow_unicode=True))
    is_told(read_settings, file)


sizes = st.integers(0, 4) | st.sampled_from([-1, 24, 2**31, 2**63, 2**64])
tensor_names = st.text(max_size=5) | st.sampled_from(
    [
        "emb_params",
        "clip_l",
        "clip_g",
        *(f"{LAYER}.{end}" for end in ("lora_down.weight", "lora_up.weight", "alpha")),
        *(f"{LAYER}.{end}" for end in ("hada_w1_a", "lokr_w1", "dora_scale")),
        "unet.up_blocks.0.attentions.0.to_q.lora_A.weight",
        "text_encoder.lora_B.weight",
    ]
)
dtypes = st.sampled_from(["F32", "F16", "BF16", "I64", "BOOL", "F8_E4M3", "C64", "X9"])
WIDTHS = {"F32": 4, "F16": 2, "BF16": 2, "I64": 8, "BOOL": 1, "F8_E4M3": 1, "C64": 8, "X9": 4}


@st.composite
def headers(draw: st.DrawFn) -> tuple[Any, int]:
    """A header of .safetensors, mostly one that fits the bytes after it, and their number."""
    header: dict[str, Any] = {}
    end = 0
    for name in draw(st.lists(tensor_names, max_size=5, unique=True)):
        shape = draw(st.lists(sizes, max_size=4))
        dtype, size = draw(dtypes), 1
        for side in shape:
            size *= side
        begin, end = end, end + max(0, min(size * WIDTHS[dtype], 10**6))
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}
        if draw(st.integers(0, 9)) == 0:
            header[name][draw(st.sampled_from(sorted(header[name])))] = draw(values)
    if draw(st.booleans()):
        texts = st.dictionaries(
            st.sampled_from(["ss_network_dim", "lora_adapter_metadata"]) | st.text(max_size=5),
            st.text(max_size=5) | parts.map(json.dumps),
        )
        header["__metadata__"] = draw(texts | values)
    return header, end


@EXAMPLES
@given(found=headers())
def test_safetensors_are_taken_or_told(place: Path, reader: Reader, found: tuple[Any, int]) -> None:
    header, size = found
    text = json.dumps(header).encode()
    file = place / "mug.safetensors"
    file.write_bytes(len(text).to_bytes(8, "little") + text + bytes(size))
    is_told(reader, file)


tensors = st.builds(
    lambda shape, dtype: torch.ones(shape).to(dtype),
    st.lists(st.integers(0, 3) | st.just(24), max_size=3),
    st.sampled_from([torch.float32, torch.float16, torch.int64, torch.bool, torch.complex64]),
)
words = st.sampled_from(["*", "<my-mug>", "string_to_param", "string_to_token", "emb_params"])
held = st.recursive(
    tensors | leaves,
    lambda inner: st.dictionaries(words | st.integers(), inner, max_size=3) | st.lists(inner),
    max_leaves=5,
)


@EXAMPLES
@given(found=held, ending=st.sampled_from(["pt", "bin"]))
def test_embeddings_are_taken_or_told(place: Path, reader: Reader, found: Any, ending: str) -> None:
    file = place / f"mug.{ending}"
    torch.save(found, file)
    is_told(reader, file)


def test_files_as_they_should_be_are_taken(place: Path, reader: Reader) -> None:
    """So that not all that is generated is refused for the same reason."""
    (place / "study.yaml").write_text("class_noun: mug\n")
    assert not is_told(read_settings, place / "study.yaml")
    torch.save({"*": torch.ones(2, 24)}, place / "mug.pt")
    assert not is_told(reader, place / "mug.pt")
