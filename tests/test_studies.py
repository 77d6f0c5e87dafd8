"""Several concepts: the summary of their studies, its page, and the command."""

import csv
import json
import re
import shutil
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import synthetic_study
from PIL import Image
from synthetic_pictures import draw, save
from synthetic_study import KINDS, TOYBOX_PROMPTS, build_study

from pseudoword.cli import main
from pseudoword.cli_concepts import summary_text
from pseudoword.errors import UserError
from pseudoword.locks import HeldError, hold
from pseudoword.metrics.concepts import summarise_concepts
from pseudoword.progress import Silent
from pseudoword.report.across import write_summary
from pseudoword.report.across_ranks import alike
from pseudoword.report.template import scripts
from pseudoword.runs import read_json, write_json
from pseudoword.settings import GenerateSettings, StudySettings
from pseudoword.studies import run_studies

NOUNS = {"mug-1": "mug", "mug-2": "mug", "red & dog": "dog", "house": "house"}
METHODS = ("textual-inversion", "dreambooth", "lora")


@pytest.fixture(scope="module")
def studies(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Four concepts, each with other scores."""
    out = tmp_path_factory.mktemp("studies")
    found = {}
    with pytest.MonkeyPatch.context() as patch:
        for number, (name, noun) in enumerate(NOUNS.items()):
            rng = np.random.default_rng(number)
            kinds = {
                name: replace(kind, dino=kind.dino + 0.03 * rng.normal())
                for name, kind in KINDS.items()
            }
            patch.setattr(synthetic_study, "KINDS", kinds)
            found[name] = build_study(
                out / name, METHODS, TOYBOX_PROMPTS[:4], (0, 1), (0,), 32, class_noun=noun
            )
    return found


@pytest.fixture(scope="module")
def summary(studies: dict[str, Path]) -> dict[str, Any]:
    return summarise_concepts(studies)


@pytest.fixture
def out(studies: dict[str, Path], summary: dict[str, Any]) -> Path:
    folder = next(iter(studies.values())).parent
    write_json(folder / "summary.json", {"pseudoword": "0", **summary, "notes": ["a <note>"]})
    return folder


def test_a_measure_is_the_mean_of_the_studies(
    studies: dict[str, Path], summary: dict[str, Any]
) -> None:
    results = {name: read_json(folder / "results.json") for name, folder in studies.items()}
    assert summary["same_prompts"]
    for metric in ("dino", "clip_t", "kid_basic"):
        found = summary["measures"][metric]
        assert found["of"] == list(NOUNS)
        assert found["prompts"] == (None if metric == "kid_basic" else 4)
        for method in METHODS:
            own = [results[c]["methods"][method]["scores"][metric]["value"] for c in NOUNS]
            assert list(found["by_concept"][method].values()) == pytest.approx(own)
            assert found["means"][method]["value"] == pytest.approx(np.mean(own))
            assert found["means"][method]["low"] < np.mean(own) < found["means"][method]["high"]
    edit = sum(prompt.kind != "basic" for prompt in TOYBOX_PROMPTS[:4])
    for part, prompts in (("overall", 4), ("fidelity", 4), ("adherence", edit)):
        found = summary["measures"][part]
        assert found["prompts"] == prompts and 1 < edit < 4
        for method in METHODS:
            own = [results[c]["normalised"][method][part]["value"] for c in NOUNS]
            assert list(found["by_concept"][method].values()) == own
            assert found["means"][method]["value"] == pytest.approx(np.mean(own), rel=1e-9)


def test_who_is_best_and_in_what_rank(summary: dict[str, Any]) -> None:
    for metric in ("overall", "dino", "kid_basic"):
        found = summary["measures"][metric]
        frame = pd.DataFrame(found["by_concept"])
        ranks = frame.rank(axis=1, ascending=not found["higher_is_better"])
        assert pd.DataFrame(found["ranks"]["by_concept"]).T.equals(ranks)
        assert found["ranks"]["mean"] == pytest.approx(dict(ranks.mean()))
        assert found["best_in"] == dict((ranks == 1).sum())
    assert set(summary["verdict"]["p_best"]) == set(METHODS)


def test_flags_name_their_concepts(studies: dict[str, Path], summary: dict[str, Any]) -> None:
    for method in METHODS:
        flags = summary["methods"][method]["flags"]
        for name, folder in studies.items():
            own = read_json(folder / "results.json")["methods"][method]["flags"]
            assert {kind for kind, row in flags.items() if name in row["in"]} == {
                flag["kind"] for flag in own
            }
    assert any(summary["methods"][method]["flags"] for method in METHODS)


def test_kinds_are_kept_apart(studies: dict[str, Path], summary: dict[str, Any]) -> None:
    found = summary["by_kind"]["dino"]
    assert set(found) == {"basic", "setting"}
    own = [
        read_json(folder / "results.json")["methods"]["lora"]["by_kind"]["setting"]["dino"]["value"]
        for folder in studies.values()
    ]
    assert found["setting"]["means"]["lora"]["value"] == pytest.approx(np.mean(own))


def test_other_prompts_are_not_paired(studies: dict[str, Path], tmp_path: Path) -> None:
    changed = tmp_path / "mug-1"
    shutil.copytree(studies["mug-1"], changed)
    record = read_json(changed / "study.json")
    record["prompts"][1]["template"] = "a {} under water"
    write_json(changed / "study.json", record)
    found = summarise_concepts(studies | {"mug-1": changed})
    assert not found["same_prompts"] and found["measures"]["dino"]["prompts"] is None
    assert found["measures"]["overall"]["prompts"] is None


def test_a_concept_without_a_scale_is_left_out_and_named(
    studies: dict[str, Path], out: Path, tmp_path: Path
) -> None:
    changed = tmp_path / "house"
    shutil.copytree(studies["house"], changed)
    results = read_json(changed / "results.json")
    for row in results["normalised"].values():
        row["overall"] = {"value": None, "low": None, "high": None}
    results["verdict"]["text"] = "DINO cannot tell this house from any house."
    write_json(changed / "results.json", results)
    found = summarise_concepts(studies | {"house": changed})
    assert "house" not in found["measures"]["overall"]["of"]
    assert "house" in found["measures"]["dino"]["of"]
    assert found["concepts"]["house"]["left_out"] == "DINO cannot tell this house from any house."
    write_json(out / "summary.json", {"pseudoword": "0", **found, "notes": []})
    page = write_summary(out).read_text()
    assert "Left out of the verdict" in page and "cannot tell this house" in page


class Page(HTMLParser):
    """Tags, links, pictures and ids of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def values(self, tag: str, name: str) -> list[str]:
        return [attrs[name] for each, attrs in self.tags if each == tag and name in attrs]


def test_the_page_stands_alone_and_links_to_the_studies(out: Path) -> None:
    text = write_summary(out).read_text()
    page = Page(text)
    links = page.values("a", "href")
    ids = {attrs["id"] for _, attrs in page.tags if "id" in attrs}
    assert {link for link in links if not link.startswith("#")} == {
        f"{name}/report.html{part}"
        for part in ("", "#flags")
        for name in ("mug-1", "mug-2", "red%20%26%20dog", "house")
    }
    assert {link[1:] for link in links if link.startswith("#")} <= ids
    assert not re.search(r"https?://|url\(", text)
    assert not page.values("script", "src") and text.count("<script>") == 1
    policy = next(c for c in page.values("meta", "content") if "script-src" in c)
    assert scripts("define.js")["script_hash"] in policy
    described = page.values("a", "aria-describedby")
    assert len(described) > 5 and set(described) <= ids
    pictures = page.values("img", "src")
    assert len(pictures) == len(NOUNS) * (1 + len(METHODS))
    assert all(picture.startswith("data:image/") for picture in pictures)
    assert all(page.values("img", "alt")) and len(page.values("img", "alt")) == len(pictures)
    labels = [attrs.get("aria-label") for tag, attrs in page.tags if attrs.get("role") == "img"]
    assert len(labels) == 2 and all(labels)
    assert "a &lt;note&gt;" in text


def test_without_any_scale_there_is_no_verdict_and_yet_a_page(
    studies: dict[str, Path], tmp_path: Path
) -> None:
    for name in ("mug-1", "house"):
        shutil.copytree(studies[name], tmp_path / name)
        results = read_json(tmp_path / name / "results.json")
        results["discrimination"] |= {"tells": False, "text": "Too few photos."}
        write_json(tmp_path / name / "results.json", results)
    found = summarise_concepts({name: tmp_path / name for name in ("mug-1", "house")})
    assert "overall" not in found["measures"] and found["measures"]["dino"]["of"]
    assert found["verdict"]["kind"] == "not_enough_evidence" and not found["verdict"]["best"]
    write_json(tmp_path / "summary.json", {"pseudoword": "0", **found, "notes": []})
    assert write_summary(tmp_path).read_text().count("left out: Too few photos.") == 2
    assert "DINO" in summary_text(found, tmp_path)


def test_one_method_or_one_concept_with_a_scale_still_give_a_page(
    studies: dict[str, Path], tmp_path: Path
) -> None:
    for name in ("a", "b"):
        prompts = TOYBOX_PROMPTS[:2]
        build_study(tmp_path / name, ("lora",), prompts, (0,), (0,), 32, set_metrics=False)
    found = summarise_concepts({name: tmp_path / name for name in ("a", "b")})
    assert found["measures"]["dino"]["ranks"] is None
    write_json(tmp_path / "summary.json", {"pseudoword": "0", **found, "notes": []})
    assert "How well does LoRA serve" in write_summary(tmp_path).read_text()


def test_groups_of_methods_that_are_alike() -> None:
    ranks = {"a": 1.2, "b": 1.9, "c": 3.0, "d": 3.9}
    assert alike(ranks, 1.2) == [["a", "b"], ["b", "c"], ["c", "d"]]
    assert alike(ranks, 1.8) == [["a", "b", "c"], ["c", "d"]] or alike(ranks, 2.0) == [
        ["a", "b", "c"],
        ["b", "c", "d"],
    ]
    assert alike(ranks, 0.5) == [] and alike(ranks, 9) == [["a", "b", "c", "d"]]


@pytest.mark.parametrize("form", ["html", "md", "csv"])
def test_report_writes_it_again(form: str, out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(out), "--format", form]) == 0
    files = [Path(line) for line in capsys.readouterr().out.splitlines()]
    assert {file.suffix for file in files} == {f".{form}"} and all(f.is_file() for f in files)
    if form == "csv":
        rows = list(csv.DictReader(files[0].open()))
        summary = read_json(out / "summary.json")["measures"]["overall"]
        row = next(r for r in rows if (r["method"], r["concept"]) == ("lora", "all"))
        assert float(row["value"]) == summary["means"]["lora"]["value"]


def test_the_summary_of_something_else_is_refused(tmp_path: Path) -> None:
    write_json(tmp_path / "summary.json", {"toys": []})
    with pytest.raises(UserError, match="several concepts"):
        write_summary(tmp_path)


def settings(**changes: object) -> StudySettings:
    usual: dict[str, object] = {
        "class_noun": "",
        "methods": ["lora"],
        "seeds": 1,
        "effort": "quick",
        "pictures": 1,
        "select": False,
        "prompts": ["a photo of a {}", "a photo of a {} in the snow"],
        "options": {"lora": {"steps": 2}},
        "generate": GenerateSettings(sampling_steps=2),
    }
    return StudySettings(**(usual | changes))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def things(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photos of a mug and of a cup."""
    folder = tmp_path_factory.mktemp("things")
    for number, name in enumerate(("mug-1", "cup")):
        for photo in range(2):
            save(folder / name / f"{photo}.png", draw(1.0, photo, 10 * number + photo, 64))
    return folder


def test_from_folders_of_photos_to_the_summary(things: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    found = run_studies(things, settings(), out, Silent())
    with hold(out, print), pytest.raises(HeldError):
        run_studies(things, settings(), out, Silent())
    assert read_json(out / "summary.json") == found
    assert (out / "summary.html").is_file()
    for name, noun in (("mug-1", "mug"), ("cup", "cup")):
        assert read_json(out / name / "study.json")["class_noun"] == noun
        assert (out / name / "report.html").is_file()
    assert found["measures"]["dino"]["of"] == ["cup", "mug-1"]


def test_photos_of_finished_studies_are_not_decoded_again(
    things: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, out = tmp_path / "things", tmp_path / "out"
    shutil.copytree(things, folder)
    first = run_studies(folder, settings(), out, Silent())

    def never(path: Path) -> None:
        raise AssertionError(f"{path} is decoded")

    with monkeypatch.context() as patched:
        patched.setattr("pseudoword.concept.read_picture", never)
        assert run_studies(folder, settings(), out, Silent()) == first
        # The same pixels in another file are looked at, since only its checksum is known.
        Image.open(folder / "cup" / "0.png").save(folder / "cup" / "0.png", compress_level=0)
        with pytest.raises(AssertionError, match=r"0\.png is decoded"):
            run_studies(folder, settings(), out, Silent())
    assert run_studies(folder, settings(), out, Silent()) == first
    save(folder / "cup" / "0.png", draw(1.0, 5, 5, 64))
    with pytest.raises(UserError, match="other settings or photos"):
        run_studies(folder, settings(), out, Silent())


def test_mistakes_in_any_concept_are_told_before_work(things: Path, tmp_path: Path) -> None:
    folder = tmp_path / "broken"
    shutil.copytree(things, folder)
    (folder / "cup" / "0.png").write_bytes(b"no picture")
    with pytest.raises(UserError, match=r"cup.*0\.png"):
        run_studies(folder, settings(), tmp_path / "out", Silent())
    with pytest.raises(UserError, match="--artefact"):
        run_studies(folder, settings(artefacts=["x=y"]), tmp_path / "out", Silent())
    with pytest.raises(UserError, match="--out"):
        run_studies(folder, settings(), folder, Silent())
    assert not (tmp_path / "out").exists()


def test_study_of_a_folder_of_folders_is_one_of_several_concepts(
    summary: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in ("mug", "dog"):
        (tmp_path / "things" / name).mkdir(parents=True)
        Image.new("RGB", (64, 64)).save(tmp_path / "things" / name / "1.png")
    asked: list[Any] = []

    def run(folder: Path, settings: StudySettings, out: Path, _: object) -> dict[str, Any]:
        asked.append((folder, settings.class_noun, out))
        return summary

    monkeypatch.setattr("pseudoword.studies.run_studies", run)
    things = str(tmp_path / "things")
    assert main(["study", things, "--seeds", "1"]) == 0
    told = capsys.readouterr().out
    assert asked == [(Path(things), "", Path("study-things"))]
    assert summary["verdict"]["text"] in told and "study-things/summary.html" in told
    assert "mean rank" in told and "LoRA" in told
    assert main(["study", things, "--class-noun", "pet", "--json", "--out", "x"]) == 0
    assert json.loads(capsys.readouterr().out) == summary
    assert asked[1] == (Path(things), "pet", Path("x"))
