"""Thousands of runs: what is opened, read and made does not grow with them. No model, no clock."""

import base64
import csv
import re
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from report_pages import edit, page
from synthetic_study import IDENTITY, TOYBOX_PROMPTS, build_study

from pseudoword.errors import UserError
from pseudoword.metrics import across as across_module
from pseudoword.metrics import tables
from pseudoword.metrics.concepts import summarise_concepts
from pseudoword.metrics.design import BASE
from pseudoword.metrics.means import prompt_means
from pseudoword.report import across, pictures
from pseudoword.report.gallery import MOST_SEEDS
from pseudoword.report.pictures import Encoding
from pseudoword.report.read import read_study
from pseudoword.report.spreadsheets import write_csv
from pseudoword.report.write import write_report
from pseudoword.runs import UNFINISHED, write_json

METHODS = ["lora", "dora"]
PROMPTS = TOYBOX_PROMPTS[:3]
_opened: list[str] | None = None


def _watch(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "open" and _opened is not None:
        _opened.append(str(arguments[0]))


# Never taken away again, so it looks only when it is asked to.
sys.addaudithook(_watch)


def opened(work: Callable[[], object], folder: Path) -> Counter[str]:
    """How often `work` opens each file in `folder`, but for what it writes."""
    global _opened
    _opened = []
    try:
        work()
    finally:
        names, _opened = _opened, None
    within = [Path(name) for name in names if Path(name).is_relative_to(folder)]
    read = [path for path in within if path.suffix and not path.name.startswith(UNFINISHED)]
    return Counter(str(path.relative_to(folder)) for path in read)


def multiply(study: Path, seeds: int) -> None:
    """So many trainings, the pictures and logs of which are those that are there."""
    frame = pd.read_parquet(study / "scores.parquet")
    base, one = frame[frame["seed"] < 0], frame[frame["seed"] == 0]
    more = pd.concat([one] * seeds, ignore_index=True)
    more["seed"] = np.repeat(np.arange(seeds), len(one))
    tables.write_table(pd.concat([base, more]), study / "scores.parquet", IDENTITY)
    edit(study / "study.json", lambda record: record.update(seeds=list(range(seeds))))

    def runs(results: dict[str, Any]) -> None:
        for row in results["methods"].values():
            row["runs"] = [{**row["runs"][0], "seed": seed} for seed in range(seeds)]

    edit(study / "results.json", runs)


@pytest.fixture()
def study(tmp_path: Path) -> Path:
    folder = tmp_path / "study"
    return build_study(folder, METHODS, PROMPTS, range(MOST_SEEDS), [0, 1], size=16, truth=False)


def test_a_report_opens_as_much_with_thousands_of_runs(study: Path) -> None:
    write_report(study)
    few = opened(lambda: write_report(study), study)
    multiply(study, 2000)
    many = opened(lambda: write_report(study), study)
    # Which pictures are the strongest may be others.
    assert sum(many.values()) <= sum(few.values()) < 1000
    told = page(study).text
    assert f"{MOST_SEEDS} of 2000 training seeds" in told
    assert f"the first {MOST_SEEDS} trainings of each method" in told
    assert "24,006 pictures are more than this page can list" in told


def test_no_picture_is_made_small_twice(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: Counter[tuple[Path, Encoding]] = Counter()
    encode = pictures.encode

    def counting(file: Path, encoding: Encoding) -> pictures.Embedded:
        made[file, encoding] += 1
        return encode(file, encoding)

    monkeypatch.setattr(pictures, "encode", counting)
    write_report(study)
    assert len(made) > 100 and set(made.values()) == {1}


def test_small_pictures_stand_in_the_page_as_they_were_drawn(study: Path) -> None:
    uris = re.findall(r"data:image/png;base64,([A-Za-z0-9+/=]+)", write_report(study).read_text())
    drawn = {file.read_bytes() for file in study.rglob("*.png")}
    assert len(uris) > 100 and {base64.b64decode(uri) for uri in uris} <= drawn


def test_all_pictures_are_in_the_spreadsheet(study: Path) -> None:
    multiply(study, 300)
    with write_csv(study)[0].open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == (300 * len(METHODS) + 1) * len(PROMPTS) * 2
    frame = pd.read_parquet(study / "scores.parquet").query("metric == 'dino' and seed == 299")
    found = [float(row["dino"]) for row in rows if row["seed"] == "299"]
    assert sorted(found) == sorted(frame["value"])


@pytest.mark.parametrize("rows", [7, 10**6])
def test_scores_are_the_same_however_many_rows_are_read_at_once(
    rows: int, study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "ROWS", rows)
    frame = pd.read_parquet(study / "scores.parquet")
    read = read_study(study).image_scores
    by_picture = frame.pivot(
        index=["method", "seed", "prompt_id", "image_seed"], columns="metric", values="value"
    )
    assert read.count == len(by_picture) and read.known == set(by_picture.columns)
    for (method, *key), row in by_picture.iterrows():
        assert read.of(method, tuple(key)) == row.dropna().to_dict()
    assert read.of("lora", (99, "01", 0)) == read.of("lora", (0, "nothing", 0)) == {}
    keys = read.keys("lora", read.ranked("lora", "dino", ["02", "01"]))
    assert {prompt for _, prompt, _ in keys} == {"01", "02"}
    ranked = [read.of("lora", key)["dino"] for key in keys]
    assert len(ranked) == 2 * 2 * MOST_SEEDS and ranked == sorted(ranked)

    ids = [prompt.id for prompt in PROMPTS]
    file = study / "scores.parquet"
    means = prompt_means(file, IDENTITY, ["dino", "clip_dir"], [*METHODS, BASE], ids)
    wanted = frame.groupby(["metric", "method", "prompt_id"])["value"].mean()
    for metric in ("dino", "clip_dir"):
        known = means.known(metric)
        assert known == [one for one in ids if (metric, BASE, one) in wanted.dropna()]
        for arm in (*METHODS, BASE):
            expected = [wanted[metric, arm, one] for one in known]
            assert means.of(metric, arm, known) == pytest.approx(expected, rel=1e-12)
    assert means.known("unknown") == []


@pytest.mark.parametrize(
    "change",
    [
        lambda frame: frame.drop(columns="metric"),
        lambda frame: frame.assign(value="much"),
        lambda frame: frame.assign(seed=None),
        lambda frame: frame.assign(image_seed=0.5),
    ],
)
def test_a_table_of_another_form_is_told(
    change: Callable[[pd.DataFrame], pd.DataFrame], study: Path
) -> None:
    frame = pd.read_parquet(study / "scores.parquet")
    tables.write_table(change(frame), study / "scores.parquet", IDENTITY)
    with pytest.raises(UserError, match=r"scores\.parquet is not readable"):
        read_study(study)


def test_a_summary_of_many_concepts_opens_few_files(
    study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, count, shown = tmp_path / "out", 60, 20
    monkeypatch.setattr(across, "MOST_PICTURES", shown * (1 + len(METHODS)))
    out.mkdir()
    names = [f"c{index:03d}" for index in range(count)]
    for name in names:
        (out / name).symlink_to(study)
    studies = {name: out / name for name in names}
    across_module._resamples.cache_clear()
    summary: dict[str, Any] = {}
    seen = opened(lambda: summary.update(summarise_concepts(studies)), out)
    files = ("study.json", "results.json", "scores.parquet")
    assert seen == Counter(f"{name}/{file}" for name in names for file in files)
    # Weights grow with concepts times prompts; twenty measures share them.
    assert len(summary["measures"]) > 10 and across_module._resamples.cache_info().misses < 8

    write_json(out / "summary.json", {"pseudoword": "0", **summary, "notes": []})
    write = opened(lambda: across.write_summary(out), out)
    assert {name.split("/")[0] for name in write} - {"summary.json"} == set(names[:shown])
    assert sum(name.endswith(".png") for name in write) == across.MOST_PICTURES
    told = (out / "summary.html").read_text()
    assert f"those of the first {shown} of {count} concepts" in told
    assert all(f'href="{name}/report.html"' in told for name in names)
