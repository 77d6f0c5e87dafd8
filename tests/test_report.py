"""The report as a reader's browser and as a program sees it."""

import base64
import hashlib
import io
import json
import re
import subprocess
import sys
from collections import Counter
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from synthetic_study import GIVEN, KINDS, TOYBOX_PROMPTS, build_study

from pseudoword.errors import UserError
from pseudoword.metrics.design import Prompt
from pseudoword.report import plots, words
from pseudoword.report.data import Estimate, read_study
from pseudoword.report.gallery import album_of, grid
from pseudoword.report.pictures import BUDGET, Album
from pseudoword.report.tables import best, forests
from pseudoword.report.write import write_report

FEW = TOYBOX_PROMPTS[:2]
VOID = {"meta", "link", "img", "input", "br", "hr"}


class Page(HTMLParser):
    """The elements of a page; fails where a tag is not closed in its turn."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), f"<{tag}> has an attribute twice"
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert "svg" in self.open, f"<{tag}/> outside a drawing"
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("style", "script"):
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def page(study: Path) -> Page:
    return Page(write_report(study).read_text())


def edit(file: Path, change: Any) -> None:
    value = json.loads(file.read_text())
    change(value)
    file.write_text(json.dumps(value))


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_study(tmp_path_factory.mktemp("study"))


@pytest.fixture(scope="module")
def whole(study: Path) -> Page:
    return page(study)


@pytest.fixture()
def small(tmp_path: Path) -> Path:
    return build_study(tmp_path / "study", ["lora", "dreambooth"], FEW, [0, 1], [0])


def test_the_page_asks_for_nothing_but_itself(study: Path, whole: Page) -> None:
    for tag, attributes in whole.elements:
        for name in ("src", "href", "xlink:href", "srcset", "data", "action"):
            value = attributes.get(name) or ""
            assert value.startswith(("data:", "#")) or value == "", (tag, name, value)
    text = (study / "report.html").read_text()
    assert "://" not in re.sub(r"data:[^\"]*", "", text)
    assert "url(" not in text and "@import" not in text


def test_the_page_permits_its_own_script_alone(study: Path, whole: Page) -> None:
    script = (study / "report.html").read_text().split("<script>")[1].split("</script>")[0]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = next(
        row["content"] for row in whole.all("meta") if "Security" in (row.get("http-equiv") or "")
    )
    assert policy and f"script-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'")


def test_every_picture_is_there_and_described(study: Path, whole: Page) -> None:
    pictures = [row for row in whole.all("img") if "data-x" in row]
    assert all(row["alt"] for row in whole.all("img"))
    shown = Counter(row["alt"] for row in pictures)
    for prompt in TOYBOX_PROMPTS:
        worded = prompt.template.replace("{}", "mug")
        for image_seed in (0, 1):
            assert f"Untouched model: {worded}, picture seed {image_seed}" in shown
            assert f"Truth: {worded}, picture seed {image_seed}" in shown
            for title in ("Textual Inversion", "DreamBooth", "LoRA"):
                for seed in (0, 1, 2):
                    made = f"training seed {seed}, picture seed {image_seed}"
                    assert f"{title}: {worded}, {made}" in shown
    # 5 photos, the grid's 10 x 2 x (3 x 3 + 2), and 9 a method in the strips
    assert len(pictures) == 5 + 220 + 27


def test_places_in_the_grid_pair_equal_noise(whole: Page) -> None:
    rows = [row for row in whole.all("img") if "picture seed" in (row["alt"] or "")]
    grid_rows = rows[:220]
    for row in grid_rows:
        prompt, image_seed = divmod(int(row["data-y"] or ""), 2)
        assert row["data-prompt"] == TOYBOX_PROMPTS[prompt].template.replace("{}", "mug")
        assert f"picture seed {image_seed}" in (row["data-made"] or "")


def test_small_pictures_are_the_files_pixel_for_pixel(study: Path, whole: Page) -> None:
    wanted = "LoRA: a photo of a mug in the snow, training seed 2, picture seed 1"
    found = next(row["src"] for row in whole.all("img") if row["alt"] == wanted)
    assert found and found.startswith("data:image/png;base64,")
    embedded = Image.open(io.BytesIO(base64.b64decode(found.split(",")[1])))
    original = Image.open(study / "runs/lora-s2/images/01-1.png")
    assert np.array_equal(np.asarray(embedded), np.asarray(original))


def test_results_appear(study: Path, whole: Page) -> None:
    results = json.loads((study / "results.json").read_text())
    assert " ".join(results["verdict"]["text"].split()) in whole.text
    assert " ".join(results["verdict"]["next_step"].split()) in whole.text
    for row in (*results["methods"].values(), results["base_model"]):
        for metric, score in row["scores"].items():
            assert words.number(score["value"]) in whole.text, metric
            if score.get("warning"):
                assert score["warning"] in whole.text
    for row in results["differences"]:
        if row["metric"] in ("dino", "clip_t"):
            assert words.signed(abs(row["value"])).lstrip("+") in whole.text
    for metric in results["metrics"].values():
        assert metric["explanation"] in whole.text
    for text in ("Caution, FID", "5 min 40 s", "36.2 MiB", "212 thousand", "is blurred", "EXIF"):
        assert text in whole.text.replace(words.SPACE, " ")


def test_the_page_is_structured_for_reading_aloud(whole: Page) -> None:
    levels = [int(tag[1]) for tag, _ in whole.elements if re.fullmatch("h[1-6]", tag)]
    assert levels.count(1) == 1 and levels[0] == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    ids = [attributes["id"] for _, attributes in whole.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    for link in whole.all("a"):
        assert (link["href"] or "").removeprefix("#") in ids
    for drawing in whole.all("svg"):
        named = drawing.get("role") == "img" and drawing.get("aria-label")
        inner = "x" in drawing or "viewbox" in drawing
        assert named or drawing.get("aria-hidden") == "true" or inner


def test_words_of_the_user_are_text_and_not_markup(tmp_path: Path) -> None:
    nasty = Prompt("00", '<b onclick="x">{}</b> & "quoted"', "basic")
    folder = build_study(tmp_path, ["lora"], [nasty, FEW[1]], [0, 1], [0], class_noun="<i>mug</i>")
    edit(folder / "study.json", lambda v: v["notes"].append("</ul><script>alert(1)</script>"))
    edit(folder / "results.json", lambda v: v["methods"]["lora"].update(title="<u>LoRA</u>"))
    found = page(folder)
    assert {"i", "u"}.isdisjoint(tag for tag, _ in found.elements)
    assert len(found.all("script")) == 1
    assert not any("onclick" in attributes for _, attributes in found.elements)
    assert "</ul><script>alert(1)</script>" in found.text
    assert any(
        (row["alt"] or "").startswith("<u>LoRA</u>: <b onclick=") for row in found.all("img")
    )


@pytest.mark.parametrize("count", [1, 2, 8])
def test_any_number_of_methods(tmp_path: Path, count: int) -> None:
    found = page(build_study(tmp_path, list(KINDS)[:count], FEW, [0, 1], [0]))
    for name in list(KINDS)[:count]:
        assert KINDS[name].title in found.text
    assert ("Chance of being the best" in found.text) == (count > 1)
    assert ("Between methods" in found.text) == (count > 1)


def test_the_least_study(tmp_path: Path) -> None:
    folder = build_study(
        tmp_path, ["lora"], FEW[:1], [7], [0], held_out=False, truth=False, set_metrics=False
    )
    (folder / "runs/lora-s7/log.jsonl").unlink()
    found = page(folder)
    assert "No photo was held out" in found.text
    assert "Truth" not in found.text and "Learning curves" not in found.text
    assert not [row for row in found.all("input") if row["type"] == "radio"]


def test_one_missing_log_is_said(small: Path) -> None:
    for seed in (0, 1):
        (small / f"runs/lora-s{seed}/log.jsonl").unlink()
    found = page(small)
    assert "LoRA kept no log" in found.text and "Learning curves" in found.text


def test_a_missing_picture_leaves_a_mark(small: Path) -> None:
    (small / "runs/lora-s1/images/01-0.png").unlink()
    assert "no picture" in page(small).text


def test_nulls_are_dashes(small: Path) -> None:
    nothing = {"value": None, "low": None, "high": None, "n": 0}

    def empty(results: dict[str, Any]) -> None:
        for row in (*results["methods"].values(), results["base_model"]):
            row["scores"] = dict.fromkeys(row["scores"], nothing)
            row["by_kind"] = {}
        for row in results["methods"].values():
            row["cost"] = dict.fromkeys(row["cost"])
            row["runs"] = [{"seed": 0, "dino": None, "clip_t": None, "loss": None}]
        results["ceiling"] = {}
        results["differences"] = [row | nothing for row in results["differences"]]
        for rows in results["normalised"].values():
            rows |= {part: {"value": None, "low": None, "high": None} for part in rows}

    edit(small / "results.json", empty)
    text = page(small).text
    assert "nothing to plot" in text
    assert not re.search(r"\b(None|nan|inf)\b", text)


@pytest.mark.parametrize("name", ["results.json", "study.json", "scores.parquet"])
def test_an_unfinished_study_is_refused(small: Path, name: str) -> None:
    (small / name).unlink()
    with pytest.raises(UserError, match=rf"{name}.*\n.*pseudoword study") as caught:
        write_report(small)
    assert len(str(caught.value).splitlines()) <= 2
    assert not (small / "report.html").exists()


def test_damaged_files_are_named(small: Path) -> None:
    picture = small / "runs/lora-s0/images/00-0.png"
    whole = picture.read_bytes()
    picture.write_bytes(whole[:200])
    with pytest.raises(UserError, match=r"00-0\.png"):
        write_report(small)
    picture.write_bytes(whole)
    scores = (small / "scores.parquet").read_bytes()
    (small / "scores.parquet").write_bytes(scores[:100])
    with pytest.raises(UserError, match=r"scores\.parquet"):
        write_report(small)
    (small / "scores.parquet").write_bytes(scores)
    with (small / "runs/lora-s1/log.jsonl").open("a") as log:
        log.write('{"step": 4')
    with pytest.raises(UserError, match=r"log\.jsonl"):
        write_report(small)
    (small / "runs/lora-s1/log.jsonl").unlink()
    edit(small / "results.json", lambda value: value.pop("ceiling"))
    with pytest.raises(UserError, match="ceiling"):
        write_report(small)


def test_large_pictures_stay_within_the_budget(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    files = [tmp_path / f"{index}.png" for index in range(12)]
    for file in files:
        Image.fromarray(rng.integers(0, 256, (512, 512, 3), dtype=np.uint8)).save(file)
    budget = 400_000
    album = Album(files, budget)
    found = [album.embed(file) for file in files]
    assert all(one is not None and one.uri.startswith("data:image/webp") for one in found)
    assert sum(len(one.uri) for one in found if one) * album.share <= 1.05 * budget
    assert BUDGET < 15 * 2**20


def test_pictures_that_do_not_fit_are_left_out_and_said(small: Path) -> None:
    study = read_study(small)
    album = album_of(study)
    assert album.share == 1.0 and grid(study, album).hidden == ""
    tight = Album([study.picture_file(study.base, -1, study.prompts[0], 0)] * 20, budget=7000)
    assert tight.share < 0.75
    shown = grid(study, tight)
    assert list(shown.seeds) == [0] and "1 of 2 training seeds" in shown.hidden


def test_a_picture_of_many_pixels_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "huge.png"
    Image.new("1", (5000, 5000)).save(file)
    with pytest.raises(UserError, match=r"huge\.png"):
        Album([file]).embed(file)


def test_the_report_needs_no_torch() -> None:
    code = (
        "import sys, pseudoword.report.write;"
        "print([name for name in ('torch', 'pandas', 'matplotlib') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_best_needs_separation_from_all_others(study: Path) -> None:
    read = read_study(study)
    for metric in read.metrics.values():
        leader = best(read, metric)
        if leader is None:
            continue
        for row in read.differences:
            if row.metric == metric.name and leader in (row.a, row.b) and row.b != "base_model":
                assert row.estimate.low is not None and row.estimate.high is not None
                assert row.estimate.low * row.estimate.high > 0
                assert ((row.estimate.value or 0) > 0) == (
                    (row.a == leader) == metric.higher_is_better
                )
    assert best(read, read.metrics["clip_t"]) is not None


def test_forest_rows_point_from_the_greater_to_the_lesser(study: Path) -> None:
    for forest in forests(read_study(study)):
        between = dict(forest.groups)["Between methods"]
        assert len(between) == 3
        for _, _, estimate in between:
            assert estimate.value is not None and estimate.value >= 0
            assert estimate.low is not None and estimate.high is not None
            assert estimate.low <= estimate.value <= estimate.high


def test_strips_run_from_the_weakest_to_the_strongest_picture(study: Path, whole: Page) -> None:
    frame = pd.read_parquet(study / "scores.parquet")
    chosen = frame[(frame["method"] == "lora") & (frame["metric"] == "dino")]
    strips = [row for row in whole.all("img") if "data-x" in row][-9:]
    values = [
        float((row["data-scores"] or "").split(";")[0].removeprefix("DINO ")) for row in strips
    ]
    assert values == sorted(values)
    assert values[0] == pytest.approx(chosen["value"].min(), abs=5e-4)
    assert values[-1] == pytest.approx(chosen["value"].max(), abs=5e-4)


def test_scale_ticks_are_round_and_inside() -> None:
    for values in ([0.0, 1.0], [-0.043, 0.036], [0.2, 0.2], [1e-5, 3e-5], [250.0, 900.0], []):
        scale = plots.Scale.over(values)
        assert 2 <= len(scale.ticks) <= 6
        assert all(0 <= scale.at(tick) <= 1 for tick in scale.ticks)
        labels = [scale.label(tick) for tick in scale.ticks]
        assert len(set(labels)) == len(labels)
        assert all(0 <= scale.at(value) <= 1 for value in values)


def test_names_in_the_scatter_plot_stay_inside_on_a_phone(tmp_path: Path) -> None:
    read = read_study(build_study(tmp_path, list(KINDS), FEW, [0, 1], [0]))
    drawing = plots.scatter(read.arms, read.ceiling["dino"])
    names = re.findall(
        r'class="point-name" x="([\d.]+)%" dx="(-?\d+)" [^>]*>([^<]+)<', str(drawing)
    )
    assert {name for _, _, name in names} == {kind.title for kind in KINDS.values()}
    for place, shift, name in names:
        end = float(place) / 100 * 270 + int(shift) + (8 if int(shift) > 0 else -8) * len(name)
        assert -8 <= end <= 278, name


def test_smoothing_keeps_the_level_and_the_last_step() -> None:
    line = plots.smooth([(step, 0.25) for step in range(1, 1001)])
    assert len(line) <= 201 and line[-1][0] == 1000
    assert all(loss == pytest.approx(0.25) for _, loss in line)
    assert plots.smooth([]) == []


def test_sign_needs_a_whole_interval() -> None:
    assert Estimate(0.1, 0.05, 0.2).sign == 1
    assert Estimate(-0.1, -0.2, -0.05).sign == -1
    assert Estimate(0.1, -0.05, 0.2).sign == 0
    assert Estimate(0.1).sign == 0


def test_words_of_numbers() -> None:
    plain = [
        (words.number(None), words.DASH),
        (words.number(0.71234), "0.712"),
        (words.number(-0.0042), f"{words.MINUS}0.0042"),
        (words.number(1234.5), "1,234"),
        (words.signed(0.04), "+0.040"),
        (words.percent(0.714), "71 %"),
        (words.chance(0.9999), "over 99 %"),
        (words.chance(0.0), "under 1 %"),
        (words.duration(4.04), "4.0 s"),
        (words.duration(59.6), "1 min 00 s"),
        (words.duration(7322), "2 h 02 min"),
        (words.size(999), "999 bytes"),
        (words.size(3.5 * 2**30), "3.5 GiB"),
        (words.amount(768), "768"),
        (words.amount(860e6), "860 million"),
        (words.listing(["A", "B", "C"]), "A, B and C"),
        (words.date("2026-11-24T09:30:00+00:00"), "24 November 2026, 09:30 UTC"),
    ]
    for found, wanted in plain:
        assert found.replace(words.SPACE, " ") == wanted


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_contrast(study: Path, whole: Page, scheme: str) -> None:
    style = (study / "report.html").read_text().split("<style>")[1]
    blocks = re.findall(r":root \{(.*?)\}", style, re.DOTALL)
    colours: dict[str, str] = {}
    for block in blocks[: 1 if scheme == "light" else 2]:
        colours |= dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", block))
    for text in ("ink", "soft", "accent", "caution-edge"):
        for ground in ("paper", "raised"):
            assert contrast(colours[text], colours[ground]) >= 4.5, (text, ground)
    for ground in ("faint", "caution"):
        assert contrast(colours["ink"], colours[ground]) >= 4.5
    deepest = mix(colours["heat"], colours["paper"], 0.6)
    assert contrast(colours["ink"], deepest) >= 4.5


def mix(one: str, other: str, share: float) -> str:
    channels = zip(rgb(one), rgb(other), strict=True)
    return "#" + "".join(f"{round(share * a + (1 - share) * b):02x}" for a, b in channels)


def rgb(colour: str) -> list[int]:
    return [int(colour[start : start + 2], 16) for start in (1, 3, 5)]


def contrast(one: str, other: str) -> float:
    """WCAG 2.2, "contrast ratio" and "relative luminance"."""

    def luminance(colour: str) -> float:
        parts = [value / 255 for value in rgb(colour)]
        linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in parts]
        return float(np.dot(linear, (0.2126, 0.7152, 0.0722)))

    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_given_artefacts_stand_beside_the_methods(tmp_path: Path) -> None:
    folder = build_study(tmp_path, prompts=FEW, given=list(GIVEN))
    study = read_study(folder)
    assert [arm.title for arm in study.given] == [kind.title for kind in GIVEN.values()]
    assert not set(GIVEN) & {arm.name for arm in study.arms}
    # A marker and colour of their own, after the methods'.
    assert [arm.index for arm in study.given] == [3, 4]
    shown = grid(study, album_of(study))
    for row in shown.rows:
        for cell in row.cells[4:6]:
            assert list(cell.by_seed) == [None]
            for picture in cell.by_seed[None]:
                assert picture.file.is_file() and picture.dino is not None
    found = page(folder)
    for kind in GIVEN.values():
        assert kind.title in found.text and kind.phrase in found.text
    assert "takes no part in the verdict" in found.text


def test_no_given_artefacts_no_section(tmp_path: Path) -> None:
    assert "takes no part" not in page(build_study(tmp_path, prompts=FEW)).text
