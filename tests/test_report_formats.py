"""The report as Markdown and as CSV."""

import csv
import json
import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from report_pages import edit, page
from synthetic_study import TOYBOX_PROMPTS, build_study

from pseudoword.cli import main
from pseudoword.errors import UserError
from pseudoword.metrics.concepts import summarise_concepts
from pseudoword.metrics.design import Prompt
from pseudoword.report.markdown import markdown, plain, table, write_markdown
from pseudoword.report.read import read_study
from pseudoword.report.spreadsheets import write_csv


def rows(file: Path) -> list[dict[str, str]]:
    with file.open(newline="", encoding="utf-8") as opened:
        return list(csv.DictReader(opened))


def test_markdown_tells_verdict_flags_and_scores(reported: Path) -> None:
    text = markdown(read_study(reported))
    results = json.loads((reported / "results.json").read_text())
    assert " ".join(results["verdict"]["text"].split()) in " ".join(text.split())
    assert "```sh\npseudoword export " in text
    for row in results["methods"].values():
        for flag in row["flags"]:
            assert flag["title"] in text
    for title in ("Standing", "Paired differences", "Scores", "Checkpoints", "Cost"):
        assert f"\n## {title}\n" in text
    assert "![" not in text and "<img" not in text


def test_markdown_tables_are_whole(reported: Path) -> None:
    for block in re.findall(r"(?:^\|.*\n)+", markdown(read_study(reported)), re.MULTILINE):
        lines = block.splitlines()
        assert len({len(re.sub(r"\\\|", "  ", line)) for line in lines}) == 1
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in lines}) == 1


def test_words_of_the_user_are_no_markup() -> None:
    assert plain("a *b* [c](d) <i> #1\n`e`") == r"a \*b\* \[c\](d) \<i\> \#1 \`e\`"
    assert r"x\|y" in table(["a"], [["x|y"]])


def test_markdown_of_the_least_study(tmp_path: Path) -> None:
    folder = build_study(
        tmp_path, ["lora"], TOYBOX_PROMPTS[:1], [7], [0], 16, False, False, set_metrics=False
    )
    text = write_markdown(folder).read_text()
    assert not re.search(r"\b(None|nan|inf)\b", text)


def test_csv_holds_every_picture_and_score(reported: Path) -> None:
    scores, summary, differences = write_csv(reported)
    frame = pd.read_parquet(reported / "scores.parquet")
    found = rows(scores)
    assert len(found) == len(frame.groupby(["method", "seed", "prompt_id", "image_seed"]))
    told = {(r["method"], r["seed"], r["prompt_id"], r["image_seed"]): r for r in found}
    for row in frame.sample(30, random_state=0).itertuples(index=False):
        seed = "" if row.seed < 0 else str(row.seed)
        key = (row.method, seed, row.prompt_id, str(row.image_seed))
        assert float(told[key][row.metric]) == row.value
    results = json.loads((reported / "results.json").read_text())
    whole = {(r["method"], r["metric"]): r for r in rows(summary) if r["kind"] == "all"}
    for name, arm in (*results["methods"].items(), ("base_model", results["base_model"])):
        for metric, score in arm["scores"].items():
            row = whole[name, metric]
            assert float(row["value"]) == score["value"] and int(row["n"]) == score["n"]
            assert row["unit"] == results["metrics"][metric]["unit"]
    found = rows(differences)
    by_kind = results["differences_by_kind"]
    told_whole = [row for row in found if row["kind"] == "all"]
    assert len(told_whole) == len(results["comparisons"]) + len(results["differences"])
    assert len(found) - len(told_whole) == sum(len(each) for each in by_kind.values()) > 0
    assert {row["kind"] for row in found} == {"all", *by_kind}
    assert found[0]["metric"] == "overall" and found[0]["p_improvement"]


def test_nothing_is_an_empty_cell(small_study: Path) -> None:
    def empty(results: dict[str, Any]) -> None:
        row = results["methods"]["lora"]["scores"]["dino"]
        row |= {"value": None, "low": None, "high": None, "warning": "too few"}

    edit(small_study / "results.json", empty)
    _, summary, _ = write_csv(small_study)
    row = next(r for r in rows(summary) if (r["method"], r["metric"]) == ("lora", "dino"))
    assert (row["value"], row["low"], row["warning"]) == ("", "", "too few")


def test_a_study_without_fid_is_told_without_it(small_study: Path) -> None:
    def without(results: dict[str, Any]) -> None:
        arms = [*results["methods"].values(), results["base_model"]]
        for held in (results["metrics"], results["floor"], *(arm["scores"] for arm in arms)):
            for name in ("fid_basic", "fid_edit"):
                held.pop(name, None)

    told = markdown(read_study(small_study)), page(small_study).text
    assert all("FID, plain prompt" in text for text in told)
    edit(small_study / "results.json", without)
    for text in (markdown(read_study(small_study)), page(small_study).text):
        assert "FID, plain prompt" not in text and "KID, plain prompt" in text
    names = {row["metric"] for row in rows(write_csv(small_study)[1])}
    assert "kid_basic" in names and not any(name.startswith("fid_") for name in names)
    measures = summarise_concepts({"mug": small_study})["measures"]
    assert "kid_basic" in measures and "fid_basic" not in measures


def test_commas_quotes_and_lines_survive(tmp_path: Path) -> None:
    nasty = Prompt("00", 'a "{}",\nred', "basic")
    folder = build_study(tmp_path, ["lora"], [nasty, TOYBOX_PROMPTS[1]], [0], [0], 16)
    assert rows(write_csv(folder)[0])[0]["prompt"] == nasty.template


@pytest.mark.parametrize(
    ("format", "names"),
    [
        ("html", ["report.html"]),
        ("md", ["report.md"]),
        ("csv", ["scores.csv", "summary.csv", "differences.csv"]),
    ],
)
def test_the_command_writes_each_format(
    small_study: Path, format: str, names: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", str(small_study), "--format", format]) == 0
    files = [small_study / name for name in names]
    assert capsys.readouterr().out.split() == [str(file) for file in files]
    assert all(file.stat().st_size > 100 for file in files)


@pytest.mark.parametrize("write", [write_markdown, write_csv])
def test_an_unfinished_study_is_refused(small_study: Path, write: Any) -> None:
    (small_study / "results.json").unlink()
    with pytest.raises(UserError, match=r"results\.json.*\n.*pseudoword study"):
        write(small_study)
