"""STUDY/report.html: one file that asks nothing of any other host."""

from pathlib import Path
from typing import Any

from pseudoword.report import tables, words
from pseudoword.report.checkpoints import chosen, problems, validation_files
from pseudoword.report.commands import next_steps
from pseudoword.report.copying import copying_panels
from pseudoword.report.curves import loss_curves
from pseudoword.report.data import Study
from pseudoword.report.gallery import MOST_SEEDS, album_of, grid, photos, strips, subject, typical
from pseudoword.report.glossary import glossary
from pseudoword.report.leak import leak, leak_files
from pseudoword.report.listing import MOST, listed_metrics, listing
from pseudoword.report.read import read_study
from pseudoword.report.scatter import WIDER, scatter
from pseudoword.report.scores import score_groups
from pseudoword.report.template import asset, environment, scripts
from pseudoword.runs import prepare_folder, write_atomic

SECTIONS = {
    "photos": "Photos",
    "pictures": "Pictures",
    "standing": "Standing",
    "copying": "Copies",
    "leak": "What else changed",
    "scores": "Scores",
    "checkpoints": "Checkpoints",
    "given": "Given",
    "cost": "Cost",
    "curves": "Loss",
    "compared": "What was compared",
    "notes": "Notes",
    "settings": "Settings",
    "listing": "Every picture",
    "glossary": "Glossary",
}
"""The sections in their order, by template; those with nothing to show are left out."""


def write_report(study: Path) -> Path:
    """Writes STUDY/report.html, whole or not at all, and returns its path.

    Raises UserError where the study in the folder `study` is not finished or not readable.
    """
    file = study / "report.html"
    page = render(read_study(study))
    prepare_folder(study)
    write_atomic(file, page)
    return file


def render(study: Study) -> str:
    """The page as text."""
    shown = _content(study)
    needed = {
        "copying": "copying",
        "leak": "leak",
        "checkpoints": "checkpoints",
        "curves": "curves",
    }
    empty = {section for section, name in needed.items() if not shown[name]}
    if not study.given:
        empty.add("given")
    return (
        environment(tables)
        .get_template("report.html.j2")
        .render(
            study=study,
            record=study.record,
            verdict=study.verdict,
            verdict_name=words.VERDICTS[study.verdict["kind"]],
            kind_names=words.KIND_NAMES,
            sections=[name for name in SECTIONS if name not in empty],
            section_names=SECTIONS,
            style=asset("style.css"),
            **scripts("zoom.js", "define.js"),
            **shown,
        )
    )


def _content(study: Study) -> dict[str, Any]:
    """What the sections show."""
    steps, panels, ranked = next_steps(study), copying_panels(study), strips(study)
    # Each place where a picture stands holds its bytes, so whatever stands twice counts twice.
    more = [*validation_files(study), *leak_files(study)]
    more += [shown.file for panel in panels for pair in panel.pairs for shown in pair.pictures]
    more += [shown.file for strip in ranked for _, group in strip.groups for shown in group]
    album = album_of(study, more)
    return {
        "embed": album.embed,
        "next_steps": steps,
        "again": any("PHOTOS" in step.command.split() for step in steps),
        "flagged": [arm for arm in study.methods if arm.flags],
        "photos": photos(study),
        "subject": subject(study),
        "typical": {arm.name: typical(study, arm) for arm in study.methods},
        "grid": grid(study, album),
        "strips": ranked,
        "cloud": scatter(study),
        "wider": WIDER,
        "primary": tables.primary_forest(study),
        "forests": tables.forests(study),
        "heatmaps": tables.heatmaps(study),
        "kind_differences": tables.kind_differences(study),
        "copying": panels,
        "leak": leak(study),
        "score_groups": score_groups(study),
        "checkpoints": chosen(study),
        "problems": problems(study),
        "curves": loss_curves(study),
        "most_curves": MOST_SEEDS if len(study.seeds) > MOST_SEEDS else None,
        "metrics_listed": listed_metrics(study),
        "listing": listing(study) if study.image_scores.count <= MOST else None,
        "glossary": glossary(study),
    }
