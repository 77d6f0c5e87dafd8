"""The report as a reader's browser sees it."""

import base64
import hashlib
import io
import json
import re
from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from report_pages import Page, edit, page, section
from synthetic_study import GIVEN, TOYBOX_PROMPTS, build_study

from pseudoword.metrics.design import Prompt
from pseudoword.report import words
from pseudoword.report.commands import next_steps
from pseudoword.report.gallery import album_of, grid
from pseudoword.report.read import read_study

FEW = TOYBOX_PROMPTS[:2]


@pytest.fixture(scope="module")
def whole(reported: Path) -> Page:
    return Page((reported / "report.html").read_text())


def test_the_page_asks_for_nothing_but_itself(reported: Path, whole: Page) -> None:
    for tag, attributes in whole.elements:
        for name in ("src", "href", "xlink:href", "srcset", "data", "action"):
            value = attributes.get(name) or ""
            assert value.startswith(("data:", "#")) or value == "", (tag, name, value)
    text = (reported / "report.html").read_text()
    assert "://" not in re.sub(r"data:[^\"]*", "", text)
    assert "url(" not in text and "@import" not in text


def test_the_page_permits_its_own_script_alone(reported: Path, whole: Page) -> None:
    script = (reported / "report.html").read_text().split("<script>")[1].split("</script>")[0]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = next(
        row["content"] for row in whole.all("meta") if "Security" in (row.get("http-equiv") or "")
    )
    assert policy and f"script-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'")


def test_every_picture_is_there_and_described(reported: Path, whole: Page) -> None:
    assert all(row["alt"] for row in whole.all("img"))
    pictures = section((reported / "report.html").read_text(), "pictures").all("img")
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
    # The grid's 10 x 2 x (3 x 3 + 2), and 9 a method in the strips.
    assert len(pictures) == 220 + 27


def test_places_in_the_grid_pair_equal_noise(reported: Path) -> None:
    grid_rows = section((reported / "report.html").read_text(), "pictures").all("img")[:220]
    for row in grid_rows:
        prompt, image_seed = divmod(int(row["data-y"] or ""), 2)
        assert row["data-prompt"] == TOYBOX_PROMPTS[prompt].template.replace("{}", "mug")
        assert f"picture seed {image_seed}" in (row["data-made"] or "")


def test_small_pictures_are_the_files_pixel_for_pixel(reported: Path, whole: Page) -> None:
    wanted = "LoRA: a photo of a mug in the snow, training seed 2, picture seed 1"
    found = next(row["src"] for row in whole.all("img") if row["alt"] == wanted)
    assert found and found.startswith("data:image/png;base64,")
    embedded = Image.open(io.BytesIO(base64.b64decode(found.split(",")[1])))
    original = Image.open(reported / "runs/lora-s2/images/01-1.png")
    assert np.array_equal(np.asarray(embedded), np.asarray(original))


def test_results_appear(reported: Path, whole: Page) -> None:
    results = json.loads((reported / "results.json").read_text())
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
    for name in ("aria-describedby", "aria-labelledby"):
        assert {attributes.get(name) for _, attributes in whole.elements} - {None} <= {*ids}
    assert all("scope" in attributes for attributes in whole.all("th"))
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


def test_given_artefacts_stand_beside_the_methods(tmp_path: Path) -> None:
    folder = build_study(tmp_path, prompts=FEW, size=32, given=list(GIVEN))
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
    found = page(build_study(tmp_path, prompts=FEW, size=32))
    assert "given" not in {row.get("id") for row in found.all("section")}


def test_definitions_are_reached_by_keyboard_and_touch(whole: Page) -> None:
    """A word links to its meaning, which describes it; the script shows it beside the word."""
    terms = [row for row in whole.all("a") if row.get("class") == "term"]
    assert len(terms) > 50
    for term in terms:
        key = (term["href"] or "").removeprefix("#define-")
        assert term["aria-describedby"] == f"about-{key}"
    assert not any("title" in attributes for _, attributes in whole.elements)


def test_every_metric_is_defined(reported: Path, whole: Page) -> None:
    metrics = json.loads((reported / "results.json").read_text())["metrics"]
    text = section((reported / "report.html").read_text(), "glossary").text
    for name, metric in metrics.items():
        assert f"define-metric-{name}" in {row.get("id") for row in whole.all("div")}
        for part in (metric["explanation"], f"Unit: {metric['unit']}.", metric["source"]):
            assert " ".join(part.split()) in text
        assert f"at least {metric['smallest_n']} picture" in text


def test_the_first_screen_says_what_to_do(reported: Path) -> None:
    text = (reported / "report.html").read_text()
    end = "</header>"
    first = Page(text[text.index('<header class="verdict">') : text.index(end) + len(end)])
    results = json.loads((reported / "results.json").read_text())
    steps = next_steps(read_study(reported))
    assert 1 <= len(steps) <= 3
    for step in steps:
        assert step.about in first.text and step.command in first.text
    for row in results["methods"].values():
        for flag in row["flags"]:
            assert f"{row['title']} : {flag['title']}" in first.text
            assert flag["remedy"].split("`")[0].strip() in first.text


def test_a_measure_that_cannot_tell_is_said_first(small_study: Path) -> None:
    def blind(results: dict[str, object]) -> None:
        results["discrimination"] = {
            **dict.fromkeys(("value", "low", "high")),
            **{"n_photos": 1, "n_pictures": 4, "tells": False},
            "text": "One mug is like another to it.",
        }

    edit(small_study / "results.json", blind)
    page(small_study)
    text = (small_study / "report.html").read_text()
    assert "One mug is like another to it." in text[: text.index("</header>")]


def test_copies_stand_beside_their_photos(reported: Path) -> None:
    results = json.loads((reported / "results.json").read_text())
    found = section((reported / "report.html").read_text(), "copying")
    shown = found.all("img")
    assert len(shown) == 2 * sum(min(3, len(row["pairs"])) for row in results["copying"].values())
    assert all("photo" in (row["alt"] or "") for row in shown[1::2])
    over = sum(
        pair["value"] > row["limit"] for row in results["copying"].values() for pair in row["pairs"]
    )
    assert len(found.all("strong")) == over > 0


def test_what_else_changed_pairs_equal_noise(reported: Path) -> None:
    found = section((reported / "report.html").read_text(), "leak")
    by_row: dict[str | None, set[str]] = {}
    for row in found.all("img"):
        by_row.setdefault(row["data-y"], set()).add(
            f"{row['data-prompt']} {(row['data-made'] or '').rpartition('picture seed')[2]}"
        )
    assert len(found.all("img")) == 4 * len(by_row) and all(
        len(row) == 1 for row in by_row.values()
    )


def test_the_chosen_checkpoint_is_marked(reported: Path) -> None:
    text = (reported / "report.html").read_text()
    found = section(text, "checkpoints")
    rings = [row for row in found.all("circle") if row.get("class") == "chosen-ring"]
    assert len(rings) == 3 * 2  # by step and by strength
    assert found.text.count("chosen") >= 3
    labels = [row["aria-label"] or "" for row in found.all("svg") if row.get("role") == "img"]
    assert all("(chosen)" in label for label in labels)


def test_no_sections_without_content(small_study: Path) -> None:
    def bare(results: dict[str, object]) -> None:
        for name in ("copying", "selection", "pareto"):
            results[name] = {}
        results |= {"comparisons": [], "power": None}
        results["drift"] = {"prompts": [], "image_seeds": []}

    edit(small_study / "results.json", bare)
    found = page(small_study)
    ids = {row.get("id") for row in found.all("section")}
    assert {"scores", "standing"} <= ids and not {"copying", "leak", "checkpoints"} & ids
