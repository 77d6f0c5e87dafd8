"""The pages of methods say what the code and the search say."""

import csv
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest
from tiny import NOUN, OPTIONS, load_tiny

from pseudoword.artefact import LoadedRun
from pseudoword.export.formats import fitting
from pseudoword.methods import METHODS, make_method
from pseudoword.runs import Choice

ROOT = Path(__file__).parent.parent


def experiment(name: str) -> ModuleType:
    """A script of experiments/, which may import others of them."""
    if str(ROOT / "experiments") not in sys.path:
        sys.path.append(str(ROOT / "experiments"))
    spec = importlib.util.spec_from_file_location(name, ROOT / "experiments" / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_definitions_of_metrics_are_up_to_date() -> None:
    """`python experiments/definitions.py` writes them."""
    text = (ROOT / "docs" / "definitions.md").read_text()
    assert experiment("definitions").page(text) == text


def test_the_pages_of_methods_are_up_to_date() -> None:
    """`python experiments/method_pages.py` writes them."""
    module = experiment("method_pages")
    pages = module.pages(module.read_search())
    assert len(pages) == len(METHODS)
    for path, text in pages.items():
        assert path.read_text() == text, path


def test_the_page_of_settings_is_up_to_date() -> None:
    """`python experiments/settings_page.py` writes it, and its drawings."""
    module = experiment("settings_page")
    found = module.files(module.read_tried(ROOT / "docs" / "methods" / "variants.csv"))
    assert len(found) == 4
    for path, text in found.items():
        assert path.read_text() == text, path


def test_every_method_beats_the_untouched_model_on_each_toy() -> None:
    """Likeness to the toy, by both of the oracle's measures, with the toybox's settings."""
    with (ROOT / "docs" / "methods" / "search.csv").open() as file:
        rows = list(csv.DictReader(file))
    base = {row["toy"]: row for row in rows if row["method"] == "untouched"}
    assert len(base) == 3
    searched = {row["method"] for row in rows} - {"untouched"}
    assert searched == set(METHODS) - {"textual-inversion", "dreambooth", "lora"}
    for name in searched:
        chosen = METHODS[name].Settings(**METHODS[name].presets["toybox"])
        for toy, untouched in base.items():
            (row,) = (
                r
                for r in rows
                if (r["toy"], r["method"], int(r["step"])) == (toy, name, chosen.steps)
                and float(r["learning_rate"]) == chosen.learning_rate
            )
            for score in ("doubles_beaten", "truth_likeness"):
                assert float(row[score]) > float(untouched[score]), (name, toy, score)


def test_the_index_links_every_page() -> None:
    index = (ROOT / "docs" / "methods" / "README.md").read_text()
    for name in METHODS:
        assert f"({name}.md)" in index


@pytest.mark.parametrize("name", METHODS)
def test_the_index_tells_what_a_method_exports_to(name: str, tiny_model: Path) -> None:
    index = (ROOT / "docs" / "methods" / "README.md").read_text()
    (row,) = (line for line in index.splitlines() if f"]({name}.md)" in line)
    model, method = load_tiny(tiny_model), make_method(name, "stable-diffusion", OPTIONS[name])
    method.attach(model, NOUN, 0)
    _, _, _, _, exports, strength, *_ = (cell.strip() for cell in row.split("|"))
    assert exports == ", ".join(fitting(LoadedRun(model, method, {}, Choice(1, "", 1.0), "")))
    assert strength == ("yes" if method.has_strength else "no")
