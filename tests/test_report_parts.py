"""What the report's tables, plots and words are made of."""

import math
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from report_pages import section
from synthetic_study import KINDS, TOYBOX_PROMPTS, build_study

from pseudoword.report import curves, plots, words
from pseudoword.report.commands import EXPORTS, next_steps
from pseudoword.report.data import Estimate, Power, Study
from pseudoword.report.read import read_study
from pseudoword.report.scatter import WIDER, scatter
from pseudoword.report.scores import score_groups
from pseudoword.report.tables import best, forests, primary_forest

FEW = TOYBOX_PROMPTS[:2]


def test_the_report_needs_no_torch() -> None:
    code = (
        "import sys, pseudoword.report.write;"
        "print([name for name in ('torch', 'pandas', 'matplotlib') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_best_needs_separation_from_all_others(reported: Path) -> None:
    read = read_study(reported)
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


def test_forest_rows_point_from_the_greater_to_the_lesser(reported: Path) -> None:
    for forest in forests(read_study(reported)):
        between = dict(forest.groups)["Between methods"]
        assert len(between) == 3
        for estimate in (row.estimate for row in between):
            assert estimate.value is not None and estimate.value >= 0
            assert estimate.low is not None and estimate.high is not None
            assert estimate.low <= estimate.value <= estimate.high


def test_strips_run_from_the_weakest_to_the_strongest_picture(reported: Path) -> None:
    frame = pd.read_parquet(reported / "scores.parquet")
    chosen = frame[(frame["method"] == "lora") & (frame["metric"] == "dino")]
    strips = section((reported / "report.html").read_text(), "pictures").all("img")[-9:]
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
    read = read_study(build_study(tmp_path, list(KINDS), FEW, [0, 1], [0], size=16))
    cloud = scatter(read)
    assert cloud is not None and cloud.scaled
    names = re.findall(
        r'class="point-name" x="([\d.]+)%" dx="(-?\d+)" [^>]*>([^<]+)<', str(cloud.drawing)
    )
    assert {name for _, _, name in names} == {kind.title for kind in KINDS.values()}
    for place, shift, name in names:
        end = float(place) / 100 * 270 + int(shift) + (8 if int(shift) > 0 else -8) * len(name)
        assert -8 <= end <= 278, name


def test_smoothing_keeps_the_level_and_the_last_step() -> None:
    line = curves.smooth([(step, 0.25) for step in range(1, 1001)])
    assert len(line) <= 201 and line[-1][0] == 1000
    assert all(loss == pytest.approx(0.25) for _, loss in line)
    assert curves.smooth([]) == []


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


def told(study: Study, **verdict: Any) -> list[str]:
    changed = replace(study, verdict={**study.verdict, "best": None, **verdict})
    return [step.command for step in next_steps(changed)]


def test_the_commands_fit_the_verdict(small_study: Path) -> None:
    study = read_study(small_study)
    study = replace(study, discrimination=replace(study.discrimination, tells=True))
    two = replace(study.prompts[-1], kind="style"), replace(study.prompts[-1], kind="setting")
    study = replace(study, prompts=(study.prompts[0], *two))
    runs = re.escape(str(small_study / "runs"))
    export, draw = told(study, kind="winner", best="lora")
    assert re.fullmatch(rf"pseudoword export {runs}/lora-s[01] --format kohya", export)
    assert re.match(rf"pseudoword generate {runs}/lora-s[01] --prompt ", draw)
    likeness, scenes = told(study, kind="trade_off", likeness="dreambooth", scenes="lora")
    assert "/dreambooth-s" in likeness and "/lora-s" in scenes
    config = f"--config {small_study}/settings.yaml"
    needed = replace(study, power=Power("lora", "dreambooth", False, 5, None, None))
    more, export = told(needed, kind="not_enough_evidence")
    assert config in more and "--seeds 5" in more and f"--out {small_study}-more" in more
    assert export.startswith("pseudoword export")
    needed = replace(study, power=Power("lora", "dreambooth", True, None, None, (6, 30)))
    step, _ = next_steps(needed)
    assert "--seeds 6" in step.command and "prompts to those in" in step.about
    once = replace(study, seeds=(0,))
    assert "--seeds 3" in told(once, kind="not_enough_evidence")[0]
    (export,) = told(needed, kind="tie")
    assert export.startswith("pseudoword export")
    (more,) = told(replace(study, normalised={}, power=None), kind="not_enough_evidence")
    assert "--effort standard" in more
    doubtful = {"lora": {"fidelity": Estimate(0.7, -0.1, 1.5)}}
    (more,) = told(replace(study, normalised=doubtful), kind="not_enough_evidence")
    assert "--seeds 4" in more
    unknown = replace(study, discrimination=replace(study.discrimination, tells=None))
    assert told(unknown, kind="not_enough_evidence")[0].startswith("pseudoword photos ")
    plain = replace(study, prompts=study.prompts[:1])
    assert "Ask for other scenes" in next_steps(plain)[0].about


def test_every_method_has_a_format_that_holds_it() -> None:
    from pseudoword.export import FORMATS

    assert set(EXPORTS.values()) <= set(FORMATS)
    index = (Path(__file__).parent.parent / "docs" / "methods" / "README.md").read_text()
    assert set(EXPORTS) == set(re.findall(r"^\| \[[^]]+\]\(([\w-]+)\.md\)", index, re.MULTILINE))
    for name, format in EXPORTS.items():
        (row,) = (line for line in index.splitlines() if f"]({name}.md)" in line)
        assert format in row.split("|")[4]


def test_an_ellipse_holds_both_values_together() -> None:
    """Of two unrelated normal errors, the share within an ellipse of these half axes."""
    assert 1 - math.exp(-((1.96 * WIDER) ** 2) / 2) == pytest.approx(0.95)


def test_ellipses_reach_as_far_as_the_intervals(reported: Path) -> None:
    study = read_study(reported)
    drawing = str(getattr(scatter(study), "drawing", ""))
    scaled = re.findall(r'class="ellipse c\d" d="M([\d.-]+),[^A]+A([\d.]+),', drawing)
    assert len(scaled) == 3
    widths = [
        (row["adherence"].value or 0) - (row["adherence"].low or 0)
        for row in study.normalised.values()
    ]
    ratios = [float(west) / width for (_, west), width in zip(scaled, widths, strict=True)]
    assert ratios == pytest.approx([ratios[0]] * 3, rel=1e-2)


def test_without_a_scale_the_raw_scores_are_plotted(reported: Path) -> None:
    study = replace(read_study(reported), normalised={})
    cloud = scatter(study)
    assert cloud is not None and not cloud.scaled
    assert "CLIP-T" in cloud.drawing and "Pareto" not in cloud.drawing


def test_the_verdicts_score_is_compared_first(reported: Path) -> None:
    study = read_study(reported)
    forest = primary_forest(study)
    assert forest is not None
    leaders = {row.a.name for row in forest.groups[0][1]} & {
        row.b.name for row in forest.groups[0][1]
    }
    rows = [row for _, group in forest.groups for row in group]
    assert len(rows) == 3 and len(forest.groups[0][1]) == 2 and not leaders
    for row in rows:
        assert row.p_holm is not None and row.p_improvement is not None
        assert row.estimate.value is not None and row.estimate.value >= 0


def test_kinds_of_prompt_are_kept_apart(reported: Path) -> None:
    study = read_study(reported)
    rows = {row.metric.name: row for group in score_groups(study) for row in group.rows}
    assert set(rows) == set(study.metrics)
    for name in ("dino", "clip_t", "nearest"):
        assert [kind for kind, _ in rows[name].kinds] == study.kinds()
    assert [kind for kind, _ in rows["clip_dir"].kinds] == study.kinds()[1:]
