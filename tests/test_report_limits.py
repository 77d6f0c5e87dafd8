"""Reports of very small, very large, unfinished and damaged studies."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from report_pages import edit, page
from synthetic_study import KINDS, TOYBOX_PROMPTS, build_study

from pseudoword.errors import UserError
from pseudoword.report.gallery import album_of, grid
from pseudoword.report.markdown import markdown
from pseudoword.report.pictures import BUDGET, Album
from pseudoword.report.read import read_study
from pseudoword.report.write import write_report

FEW = TOYBOX_PROMPTS[:2]


@pytest.mark.parametrize("count", [1, 2, 11])
def test_any_number_of_methods(tmp_path: Path, count: int) -> None:
    found = page(build_study(tmp_path, list(KINDS)[:count], FEW, [0, 1], [0], size=32))
    for name in list(KINDS)[:count]:
        assert KINDS[name].title in found.text
    assert ("Chance of being the best" in found.text) == (count > 1)
    assert ("Between methods" in found.text) == (count > 1)
    assert len((tmp_path / "report.html").read_bytes()) < 15 * 2**20


def test_the_least_study(tmp_path: Path) -> None:
    folder = build_study(
        tmp_path, ["lora"], FEW[:1], [7], [0], held_out=False, truth=False, set_metrics=False
    )
    (folder / "runs/lora-s7/log.jsonl").unlink()
    found = page(folder)
    assert "No photo was held out" in found.text
    assert "Truth" not in found.text and "Learning curves" not in found.text
    assert not [row for row in found.all("input") if row["type"] == "radio"]


def test_where_nothing_was_chosen_that_is_said(small_study: Path) -> None:
    def unchosen(results: dict[str, Any]) -> None:
        for row in results["selection"].values():
            nothing = {"value": None, "low": None, "high": None}
            end = {"step": 9, "strength": 1.0, "chosen": True}
            end |= dict.fromkeys(("fidelity", "adherence", "overall"), nothing)
            row |= {
                "prompts": [],
                "image_seeds": [],
                "candidates": [end],
                "losses": [],
                "problem": "Too few.",
            }

    edit(small_study / "results.json", unchosen)
    assert "LoRA and DreamBooth: nothing was chosen" in page(small_study).text
    assert "Too few." in markdown(read_study(small_study))


def test_one_missing_log_is_said(small_study: Path) -> None:
    for seed in (0, 1):
        (small_study / f"runs/lora-s{seed}/log.jsonl").unlink()
    found = page(small_study)
    assert "LoRA kept no log" in found.text and "Learning curves" in found.text


def test_a_missing_picture_leaves_a_mark(small_study: Path) -> None:
    (small_study / "runs/lora-s1/images/01-0.png").unlink()
    assert "no picture" in page(small_study).text


def test_nulls_are_dashes(small_study: Path) -> None:
    nothing = {"value": None, "low": None, "high": None, "n": 0}

    def empty(results: dict[str, Any]) -> None:
        for row in (*results["methods"].values(), results["base_model"]):
            row["scores"] = dict.fromkeys(row["scores"], nothing)
            row["by_kind"] = {}
        for row in results["methods"].values():
            row["cost"] = dict.fromkeys(row["cost"])
        results["ceiling"] = {}
        results["differences"] = [row | nothing for row in results["differences"]]
        for rows in results["normalised"].values():
            rows |= {part: {"value": None, "low": None, "high": None} for part in rows}

    edit(small_study / "results.json", empty)
    text = page(small_study).text
    assert "nothing to plot" in text
    assert not re.search(r"\b(None|nan|inf)\b", text)


@pytest.mark.parametrize("name", ["results.json", "study.json", "scores.parquet"])
def test_an_unfinished_study_is_refused(small_study: Path, name: str) -> None:
    (small_study / name).unlink()
    with pytest.raises(UserError, match=rf"{name}.*\n.*pseudoword study") as caught:
        write_report(small_study)
    assert len(str(caught.value).splitlines()) <= 2
    assert not (small_study / "report.html").exists()


def test_damaged_files_are_named(small_study: Path) -> None:
    picture = small_study / "runs/lora-s0/images/00-0.png"
    whole = picture.read_bytes()
    picture.write_bytes(whole[:200])
    with pytest.raises(UserError, match=r"00-0\.png"):
        write_report(small_study)
    picture.write_bytes(whole)
    scores = (small_study / "scores.parquet").read_bytes()
    (small_study / "scores.parquet").write_bytes(scores[:100])
    with pytest.raises(UserError, match=r"scores\.parquet"):
        write_report(small_study)
    (small_study / "scores.parquet").write_bytes(scores)
    log = small_study / "runs/lora-s1/log.jsonl"
    whole = log.read_bytes()
    for spoilt in (b'{"step": 4', b'{"step": 1e999, "loss": 1}', b'{"step": 4, "loss": 1e999}'):
        log.write_bytes(whole + spoilt)
        with pytest.raises(UserError, match=r"log\.jsonl"):
            write_report(small_study)
    log.unlink()
    edit(small_study / "results.json", lambda value: value.pop("ceiling"))
    with pytest.raises(UserError, match=r"results\.json lacks the entry 'ceiling'"):
        write_report(small_study)


def test_large_pictures_stay_within_the_budget(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    files = [tmp_path / f"{index}.png" for index in range(5)]
    for file in files:
        Image.fromarray(rng.integers(0, 256, (512, 512, 3), dtype=np.uint8)).save(file)
    budget = 170_000
    album = Album(files, budget)
    found = [album.embed(file) for file in files]
    assert all(one is not None and one.uri.startswith("data:image/webp") for one in found)
    assert sum(len(one.uri) for one in found if one) * album.share <= 1.05 * budget
    assert BUDGET < 15 * 2**20


def test_pictures_that_do_not_fit_are_left_out_and_said(small_study: Path) -> None:
    study = read_study(small_study)
    album = album_of(study)
    assert album.share == 1.0 and grid(study, album).hidden == ""
    tight = Album([study.picture_file(study.base, -1, study.prompts[0].id, 0)] * 20, budget=3000)
    assert tight.share < 0.75
    shown = grid(study, tight)
    assert list(shown.seeds) == [0] and "1 of 2 training seeds" in shown.hidden


def test_a_picture_of_many_pixels_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "huge.png"
    Image.new("1", (5000, 5000)).save(file)
    with pytest.raises(UserError, match=r"huge\.png"):
        Album([file]).embed(file)
