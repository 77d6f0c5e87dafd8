"""What exports hold: names, metadata, cards; that faults are found; and that snippets work.

That every method of every family draws the same in every format is in contract.py.
"""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from contract import FAMILIES, load_by_copying
from diffusers import DiffusionPipeline
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from synthetic_study import build_study
from tiny import NOUN, OPTIONS, load_tiny, make_photos, train_tiny

from pseudoword.artefact import LoadedRun, load_run
from pseudoword.errors import UserError
from pseudoword.export import FORMATS, export_loaded, export_run, kohya, lycoris, verify, words
from pseudoword.export import lora as lora_files
from pseudoword.export.formats import WRITERS, fitting
from pseudoword.export.parts import change, merged_weight, named_parts, pipeline_of, tuner_layers
from pseudoword.locks import HeldError, hold
from pseudoword.methods import METHODS, make_method
from pseudoword.runs import Choice, read_json, write_choice
from pseudoword.settings import GenerateSettings
from pseudoword.snapshots import ARTEFACT
from pseudoword.train import train

CPU = torch.device("cpu")
TEXT = {"train_text_encoder": True, "text_learning_rate": 1e-2}
VARIANTS: list[tuple[str, str, dict[str, Any]]] = [
    ("sd1", "textual-inversion", {"vectors": 3}),
    ("sdxl", "textual-inversion", {"vectors": 2}),
    ("sd35-t5", "textual-inversion", {"vectors": 2}),
    ("sd1", "lora", {"targets": "all", "rslora": True, **TEXT}),
    ("sd2", "lora", {"targets": "attention-ff", **TEXT}),
    ("sdxl", "lora", {"targets": "all", **TEXT}),
    ("sd3", "lora", {"targets": "all", **TEXT}),
    ("sd35-t5", "lora", TEXT),
    ("sd1", "dora", {"targets": "all", **TEXT}),
    ("sdxl", "dora", TEXT),
    ("sd1", "loha", {"targets": "all", **TEXT}),
    ("sd1", "lokr", {"targets": "all", "rank": 1, **TEXT}),
    ("sdxl", "lokr", {"targets": "all", "decompose_factor": 2, **TEXT}),
    ("sd1", "custom-diffusion", {"vectors": 2}),
    ("sdxl", "pivotal-tuning", {"vectors": 2, **TEXT}),
    ("sd35-t5", "pivotal-tuning", {"vectors": 2}),
    ("sd1", "dreambooth", TEXT),
]


@pytest.fixture(autouse=True)
def _few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = GenerateSettings(sampling_steps=2, sampler="euler")
    monkeypatch.setattr(verify, "SETTINGS", settings)


def teach(source: Path, name: str, folder: Path, **options: Any) -> LoadedRun:
    """A short run of any family, loaded."""
    model = load_tiny(source)
    changes = {"steps": 2, "batch_size": 2, **OPTIONS[name], **options}
    train(
        model, make_method(name, "stable-diffusion", changes), NOUN, make_photos(), folder, seed=0
    )
    return load_run(folder, CPU)


@pytest.mark.parametrize(
    ("family", "name", "options"),
    [pytest.param(*v, id=f"{v[0]}-{v[1]}-{'-'.join(v[2])}") for v in VARIANTS],
)
def test_settings_travel_too(
    family: str,
    name: str,
    options: dict[str, Any],
    tmp_path: Path,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    source = request.getfixturevalue(FAMILIES[family])
    run = teach(source, name, tmp_path / "run", **options)
    load_by_copying(load_tiny(source), monkeypatch)
    for format in fitting(run):
        assert export_loaded(run, tmp_path / "run", format, tmp_path / format).exists()
    assert not list(tmp_path.glob(".export-*"))


def test_an_export_is_made_by_one_process_at_a_time(tiny_model: Path, tmp_path: Path) -> None:
    run = teach(tiny_model, "textual-inversion", tmp_path / "run")
    out = tmp_path / "out"
    with hold(tmp_path / ".export-out", print), pytest.raises(HeldError):
        export_loaded(run, tmp_path / "run", "a1111", out)
    assert not out.exists()
    # What a killed process left.
    (tmp_path / ".export-out" / "out").mkdir(parents=True)
    (tmp_path / ".export-out" / "out" / "half.safetensors").touch()
    made = export_loaded(run, tmp_path / "run", "a1111", out)
    assert made.exists() and not (out / "half.safetensors").exists()
    # Another process finished it while this one loaded the run.
    assert export_loaded(run, tmp_path / "run", "a1111", out) == made
    # It was killed before it could take its own folder away.
    (tmp_path / ".export-out").mkdir()
    assert export_loaded(run, tmp_path / "run", "a1111", out) == made
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "run"]


def test_what_t5_learnt_is_not_dropped(sd35: Path, tmp_path: Path) -> None:
    run = teach(sd35, "lora", tmp_path, **TEXT)
    assert set(fitting(run)) == {"peft", "checkpoint", "single-file"}
    with pytest.raises(UserError, match="third text encoder"):
        export_loaded(run, tmp_path, "diffusers", tmp_path / "out")


@pytest.fixture
def sd35(tiny_sd35_t5_model: Path) -> Path:
    return tiny_sd35_t5_model


def test_unknown_format_lists_those_there_are(tiny_run: Callable[..., Path]) -> None:
    with pytest.raises(UserError, match="use diffusers, kohya, a1111, peft, checkpoint, single"):
        export_run(tiny_run("lora"), "onnx", None)
    assert FORMATS.keys() == WRITERS.keys()


def test_no_run_no_export(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="run.json does not exist"):
        export_run(tmp_path, "kohya", None)


def test_folder_in_use_is_left_alone(tiny_run: Callable[..., Path], tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(UserError, match="in use already"):
        export_run(tiny_run("lora"), "kohya", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_an_export_that_was_damaged_is_not_taken_for_done(
    tiny_run: Callable[..., Path], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    main = export_run(tiny_run("lora"), "kohya", out)
    (out / "README.md").write_text("my own words")
    assert export_run(tiny_run("lora"), "kohya", out) == main
    data = bytearray(main.read_bytes())
    data[-1] ^= 1
    main.write_bytes(data)
    with pytest.raises(UserError, match=f"{main.name} is missing or damaged"):
        export_run(tiny_run("lora"), "kohya", out)


def test_default_folder_lies_in_the_run(tiny_model: Path, tmp_path: Path) -> None:
    train_tiny(tiny_model, "lora", tmp_path, steps=1)
    main = export_run(tmp_path, "kohya", None)
    assert main == tmp_path / "export" / "kohya" / "sks-mug.safetensors"
    assert export_run(tmp_path, "kohya", None) == main


def test_kohya_names_alpha_and_metadata(
    tiny_run: Callable[..., Path], tiny_model: Path, tmp_path: Path
) -> None:
    path = export_run(tiny_run("lora", **TEXT), "kohya", tmp_path / "out")
    tensors = load_file(path)
    key = "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_out_0"
    assert tensors[f"{key}.lora_down.weight"].shape == (2, 16)
    assert tensors[f"{key}.lora_up.weight"].shape == (16, 2)
    assert tensors[f"{key}.alpha"].item() == 4.0
    assert "lora_te_text_model_encoder_layers_1_self_attn_q_proj.alpha" in tensors
    # A1111 splits at the first dot: what stands before it must be the whole module.
    suffixes = {name.split(".", 1)[1] for name in tensors}
    assert suffixes == {"lora_down.weight", "lora_up.weight", "alpha"}
    with safe_open(path, "pt") as file:
        metadata = file.metadata()
    assert metadata["ss_network_dim"] == "2" and metadata["ss_network_alpha"] == "4.0"
    assert metadata["ss_base_model_version"] == "sd_v1_v"
    assert metadata["modelspec.architecture"] == "stable-diffusion-v1/lora"
    assert metadata["modelspec.trigger_phrase"] == "sks mug"
    assert str(tiny_model) not in json.dumps(metadata)


def test_kohya_names_of_sdxl_are_the_original_ones(tiny_xl_model: Path, tmp_path: Path) -> None:
    run = teach(tiny_xl_model, "pivotal-tuning", tmp_path / "run", **TEXT)
    path = export_loaded(run, tmp_path / "run", "kohya", tmp_path / "out")
    tensors = load_file(path)
    assert "lora_unet_input_blocks_4_1_transformer_blocks_0_attn1_to_q.alpha" in tensors
    for encoder in ("te1", "te2"):
        module = f"lora_{encoder}_text_model_encoder_layers_0_self_attn_q_proj"
        assert f"{module}.lora_up.weight" in tensors
    with safe_open(path, "pt") as file:
        metadata = file.metadata()
    assert metadata["ss_base_model_version"] == "sdxl_base_v1-0"
    assert metadata["modelspec.architecture"] == "stable-diffusion-xl-v1-base/lora"
    assert metadata["modelspec.trigger_phrase"] == "concept-mug"
    embedding = load_file(path.parent / "concept-mug.safetensors")
    assert {key: tuple(value.shape) for key, value in embedding.items()} == {
        "clip_l": (1, 24),
        "clip_g": (1, 32),
    }


def test_rank_stabilised_scale_is_in_alpha(tiny_run: Callable[..., Path], tmp_path: Path) -> None:
    """Readers multiply by alpha / rank: 4 / sqrt(2) is what they must arrive at."""
    path = export_run(tiny_run("lora", rslora=True), "kohya", tmp_path / "out")
    alphas = {value.item() for key, value in load_file(path).items() if key.endswith("alpha")}
    assert len(alphas) == 1
    assert alphas.pop() == pytest.approx(4 / 2**0.5 * 2)


@pytest.mark.parametrize("name", ["lora", "dora", "loha", "lokr"])
@pytest.mark.parametrize("targets", ["attention", "all"])
def test_published_formulas_give_the_merged_weights(
    name: str, targets: str, tiny_run: Callable[..., Path]
) -> None:
    run = load_run(tiny_run(name, targets=targets), CPU)
    layers = tuner_layers(run.model.denoiser)
    assert targets == "attention" or any(merged_weight(x).ndim == 4 for x in layers.values())
    for layer in layers.values():
        tensors = lycoris.layer_tensors(layer, "default")
        merged = lycoris.apply(layer.get_base_layer().weight, tensors)
        torch.testing.assert_close(merged, merged_weight(layer))
    tensors["strange"] = tensors["alpha"]
    with pytest.raises(RuntimeError, match="strange"):
        lycoris.apply(layer.get_base_layer().weight, tensors)


def test_peft_folder_names_no_path(
    tiny_run: Callable[..., Path], tiny_model: Path, tmp_path: Path
) -> None:
    folder = export_run(tiny_run("lora", **TEXT), "peft", tmp_path / "out")
    for place in (folder, folder / "text_encoder"):
        assert (place / "adapter_model.safetensors").is_file()
        text = (place / "adapter_config.json").read_text()
        assert json.loads(text)["lora_alpha"] == 4.0
        assert str(tiny_model.parent) not in text


def test_diffusers_lora_needs_no_alpha(tiny_run: Callable[..., Path], tmp_path: Path) -> None:
    """alpha is 4 and the rank 2: a reader that takes the scale for 1 must still be right."""
    run = tiny_run("lora")
    folder = export_run(run, "diffusers", tmp_path / "out")
    tensors = load_file(folder / lora_files.FILE)
    for name, layer in tuner_layers(load_run(run, CPU).model.denoiser).items():
        product = tensors[f"unet.{name}.lora_B.weight"] @ tensors[f"unet.{name}.lora_A.weight"]
        torch.testing.assert_close(product, change(layer), rtol=1e-4, atol=1e-6)
        assert layer.scaling["default"] == 2.0


def test_a1111_embedding_holds_the_vectors(tiny_run: Callable[..., Path], tmp_path: Path) -> None:
    run = tiny_run("textual-inversion", vectors=3)
    path = export_run(run, "a1111", tmp_path / "out")
    assert path.name == "concept-mug.safetensors"
    learnt = load_file(run / "artefact.safetensors")["text_encoders.0"]
    assert torch.equal(load_file(path)[words.A1111_KEY], learnt)


@pytest.mark.parametrize("method", METHODS)
def test_checkpoint_stands_alone(
    method: str, tiny_run: Callable[..., Path], tiny_model: Path, tmp_path: Path
) -> None:
    """The merged folder is a pipeline, and a model that can be taught a further concept."""
    folder = export_run(tiny_run(method), "checkpoint", tmp_path / "out")
    pipeline = DiffusionPipeline.from_pretrained(folder, local_files_only=True)
    assert pipeline.safety_checker is None
    merged, base = load_tiny(folder), load_tiny(tiny_model)
    assert merged.fingerprint != base.fingerprint
    assert merged.denoiser.state_dict().keys() == base.denoiser.state_dict().keys()
    train_tiny(folder, "textual-inversion", tmp_path / "run", steps=1, placeholder_token="<other>")


@pytest.mark.parametrize("method", ["lora", "loha"])
@pytest.mark.parametrize("fault", ["missing", "changed", "renamed"])
def test_a_faulty_export_is_not_kept(
    method: str,
    fault: str,
    tiny_run: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def write(path: Path, tensors: dict[str, torch.Tensor], metadata: dict[str, str]) -> None:
        first = next(iter(tensors))
        module = first.partition(".")[0]
        if fault == "missing":
            tensors = {k: v for k, v in tensors.items() if not k.startswith(f"{module}.")}
        elif fault == "changed":
            tensors[first] = tensors[first] * 1.1
        else:
            tensors[f"{module}.dropped"] = tensors.pop(first)
        save_file({k: v.contiguous() for k, v in tensors.items()}, path, metadata)

    monkeypatch.setattr(kohya, "save", write)
    with pytest.raises((RuntimeError, ValueError, KeyError)):
        export_run(tiny_run(method), "kohya", tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_pictures_that_differ_are_an_error(tiny_run: Callable[..., Path], tiny_model: Path) -> None:
    """The untouched model passed off as the run's export."""
    run = load_run(tiny_run("dreambooth"), CPU)
    untouched = verify.Reloaded(pipeline_of(load_tiny(tiny_model)), f"sks {NOUN}", "nothing")
    with pytest.raises(RuntimeError, match="draws other pictures"):
        verify.largest_difference(run, untouched)


def test_an_own_method_exports_by_what_it_learns(tiny_model: Path, tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(
        "from pseudoword.methods.lora import LoRA\n\n\n"
        'class Mine(LoRA):\n    name = "mine"\n    title = "Mine"\n'
    )
    method = make_method(f"{file}:Mine", "stable-diffusion", {"steps": 1, "learning_rate": 1e-2})
    train(load_tiny(tiny_model), method, NOUN, make_photos(), tmp_path / "run", seed=0)
    assert export_run(tmp_path / "run", "kohya", tmp_path / "out").is_file()
    card = (tmp_path / "out" / "README.md").read_text()
    assert "Mine has taught" in card and str(tmp_path) not in card


def read_card(folder: Path) -> tuple[dict[str, Any], str]:
    """Front matter and text."""
    _, front, text = (folder / "README.md").read_text().split("---\n", 2)
    return yaml.safe_load(front), text


SNIPPETS = [
    ("sd1", "lora", "kohya"),
    ("sdxl", "pivotal-tuning", "diffusers"),
    ("sdxl", "textual-inversion", "a1111"),
    ("sd3", "textual-inversion", "diffusers"),
    ("sd35-t5", "dora", "diffusers"),
    ("sd3", "oft", "peft"),
    ("sd3", "lora", "checkpoint"),
    ("sd35-t5", "lora", "single-file"),
    ("sdxl", "dreambooth", "single-file"),
]


@pytest.mark.parametrize(("family", "name", "format"), SNIPPETS)
def test_the_cards_snippet_draws_the_concept(
    family: str,
    name: str,
    format: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:
    source = request.getfixturevalue(FAMILIES[family])
    run = teach(source, name, tmp_path / "run")
    export_loaded(run, tmp_path / "run", format, tmp_path / "out")
    front, text = read_card(tmp_path / "out")
    assert front["pipeline_tag"] == "text-to-image" and name in front["tags"]
    assert (
        front["instance_prompt"]
        == f"a photo of a {read_json(tmp_path / 'out' / 'export.json')['noun_phrase']}"
    )
    assert "base_model" not in front and str(tmp_path.parent) not in text
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert str(source.parent) not in code
    code = code.replace(f'BASE = "{source.name}"', f'BASE = "{source}"')
    code = code.replace("guidance_scale=4.0", "guidance_scale=4.0, num_inference_steps=1")
    monkeypatch.chdir(tmp_path / "out")
    names: dict[str, Any] = {}
    exec(code, names)
    assert (tmp_path / "out" / "picture.png").is_file()
    pipeline = names["pipeline"]
    for part in named_parts(run.model):
        assert not getattr(pipeline, part).training
    reloaded = verify.Reloaded(pipeline, WRITERS["diffusers"].phrase(run), "the snippet")
    assert verify.largest_difference(run, reloaded) <= verify.TOLERANCE


def test_the_card_shows_the_studys_scores_and_pictures(tiny_model: Path, tmp_path: Path) -> None:
    study = build_study(tmp_path / "study", methods=("lora",), seeds=(0,), size=16)
    run = study / "runs" / "lora-s0"
    train_tiny(tiny_model, "lora", run, steps=1)
    write_choice(run, Choice(1, ARTEFACT, 1.0))
    export_run(run, "kohya", tmp_path / "out")
    front, text = read_card(tmp_path / "out")
    places = re.findall(r"!\[.*?\]\((.*?)\)", text)
    assert len(places) == 4 == len(set(places))
    assert [widget["output"]["url"] for widget in front["widget"]] == places
    assert all("sks mug" in widget["text"] for widget in front["widget"])
    for place in places:
        assert (tmp_path / "out" / place).read_bytes() == (
            run / "images" / Path(place).name
        ).read_bytes()
    score = read_json(study / "results.json")["methods"]["lora"]["scores"]["dino"]
    assert f"{score['value']:.3f} ({score['low']:.3f} to {score['high']:.3f})" in text
