"""STUDY/report.html: one file that asks nothing of any other host."""

import base64
import hashlib
from importlib import resources
from pathlib import Path

from pseudoword.report import plots, tables, words
from pseudoword.report.data import Study, read_study
from pseudoword.report.gallery import album_of, grid, photos, strips, subject, typical
from pseudoword.runs import prepare_folder, write_atomic

VERDICTS = {
    "winner": "Winner",
    "tie": "Tie",
    "trade_off": "Trade-off",
    "not_enough_evidence": "Not enough evidence",
}
KIND_NAMES = {"basic": "plain"}


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
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("pseudoword.report", "page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for tool in (words, plots, tables):
        environment.globals[tool.__name__.rpartition(".")[2]] = tool
    script = _asset("script.js")
    album = album_of(study)
    return environment.get_template("report.html.j2").render(
        study=study,
        record=study.record,
        verdict=study.verdict,
        verdict_name=VERDICTS[study.verdict["kind"]],
        kind_names=KIND_NAMES,
        style=_asset("style.css"),
        script=script,
        # The page may run this one script and load nothing at all.
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        embed=album.embed,
        photos=photos(study),
        subject=subject(study),
        typical={arm.name: typical(study, arm) for arm in study.methods},
        grid=grid(study, album),
        strips=strips(study),
        score_rows=tables.score_rows(study),
        forests=tables.forests(study),
        heatmaps=tables.heatmaps(study),
        curves=plots.curves(study.methods),
    )


def _asset(name: str) -> str:
    return resources.files("pseudoword.report").joinpath("page", name).read_text("utf-8")
