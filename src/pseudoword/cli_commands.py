"""The commands that teach and measure: each parses, calls the function that works, and prints."""

import json
from argparse import ArgumentParser, Namespace, _ActionsContainer
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pseudoword.cli_arguments import (
    Command,
    add_common,
    add_config,
    add_setting,
    add_settings,
    config_text,
    natural,
    positive,
    read_settings,
)
from pseudoword.cli_concepts import (
    are_concepts,
    is_summary,
    report_concepts,
    study_concepts,
)
from pseudoword.console import reporting, silence_libraries, table, tell
from pseudoword.errors import UserError
from pseudoword.prompts import validate_template
from pseudoword.runs import slug

if TYPE_CHECKING:
    from pseudoword.settings import StudySettings

PRIMARY = ("dino", "clip_i", "clip_t")
"""The scores that a terminal shows; the report has them all."""


def add_study(parser: ArgumentParser) -> None:
    from pseudoword.settings import StudySettings

    _add_photos(parser, "; or a folder of such folders, one a concept")
    _add_out(parser, "study-<class noun>, or study-<folder> of several concepts")
    _add_json(parser, "print results.json, or summary.json of several concepts")
    add_config(parser)
    add_settings(parser, StudySettings)


def study(arguments: Namespace) -> None:
    from pseudoword.settings import StudySettings

    if arguments.print_config:
        print(config_text(arguments, StudySettings))
        return
    if are_concepts(arguments.photos):
        study_concepts(arguments)
        return
    settings = read_settings(arguments, StudySettings)
    photos = _photos(arguments)
    out: Path = arguments.out or Path(f"study-{slug(settings.class_noun)}")
    with reporting() as reporter:
        from pseudoword.study import run_study

        results = run_study(photos, settings, out, reporter)
    print(json.dumps(results, indent=2) if arguments.json else study_text(results, out))


def study_text(results: Mapping[str, Any], out: Path) -> str:
    """What a finished study says on a terminal."""
    verdict = results["verdict"]
    rows = [(arm["title"], arm["scores"]) for arm in results["methods"].values()]
    rows += _given_rows(results)
    rows.append(("untouched model", results["base_model"]["scores"]))
    rows.append(("the photos themselves", results["ceiling"]))
    parts = [
        verdict["text"],
        f"Next: {verdict['next_step']}",
        *(f"{row['title']}: {row['text']}\n{row['remedy']}" for row in results["failures"]),
        *(
            f"{arm['title']}: {flag['title']}. {flag['text']}\n{flag['remedy']}"
            for arm in results["methods"].values()
            for flag in arm["flags"]
        ),
        score_table(rows),
        f"Report: {out / 'report.html'}",
    ]
    return "\n\n".join(parts)


def score_table(rows: Sequence[tuple[str, Mapping[str, Mapping[str, Any]]]]) -> str:
    """The primary scores, with intervals where they are known."""
    from pseudoword.metrics import METRICS

    header = ["", *(METRICS[metric].title for metric in PRIMARY)]
    cells = [[title, *(_score(scores.get(metric)) for metric in PRIMARY)] for title, scores in rows]
    return table([header, *cells])


def _score(score: Mapping[str, Any] | None) -> str:
    if score is None or score.get("value") is None:
        return "-"
    if score.get("low") is None or score.get("high") is None:
        return f"{score['value']:.3f}"
    return f"{score['value']:.3f} ({score['low']:.3f} to {score['high']:.3f})"


def add_train(parser: ArgumentParser) -> None:
    from pseudoword.settings import TrainSettings

    _add_photos(parser)
    _add_out(parser, "runs/<method>-<class noun>")
    _add_json(parser, "print run.json")
    add_config(parser)
    add_settings(parser, TrainSettings)


def train(arguments: Namespace) -> None:
    from pseudoword.settings import TrainSettings

    if arguments.print_config:
        print(config_text(arguments, TrainSettings))
        return
    settings = read_settings(arguments, TrainSettings)
    photos = _photos(arguments)
    with reporting() as reporter:
        from pseudoword.methods import find_method
        from pseudoword.single import train_run

        method = find_method(settings.method).name
        default = Path("runs") / f"{method}-{slug(settings.class_noun)}"
        folder = train_run(photos, settings, arguments.out or default, reporter)
    if arguments.json:
        print((folder / "run.json").read_text(), end="")
    else:
        print(f"{folder}\nNext: pseudoword generate {folder} --prompt 'a photo of a {{}}'")


def add_generate(parser: ArgumentParser) -> None:
    from pseudoword.settings import DrawSettings

    _add_run(parser)
    parser.add_argument(
        "--prompt", required=True, help='{} is the concept: "a photo of a {} in the snow"'
    )
    parser.add_argument("--count", type=positive, default=4, help="pictures (default: 4)")
    parser.add_argument(
        "--seed", type=natural, default=0, help="seed of the first picture's noise (default: 0)"
    )
    _add_out(parser, "pictures")
    _add_run_model(parser)
    add_common(parser, "device")
    add_settings(parser, DrawSettings)


def generate(arguments: Namespace) -> None:
    from pseudoword.settings import DrawSettings

    validate_template(arguments.prompt)
    settings = read_settings(arguments, DrawSettings)
    with reporting() as reporter:
        from pseudoword.drawing import generate_pictures

        pictures = generate_pictures(
            arguments.run,
            arguments.prompt,
            arguments.count,
            arguments.seed,
            settings,
            arguments.out or Path("pictures"),
            arguments.device,
            reporter,
            arguments.model,
        )
    for picture in pictures:
        print(picture)


def add_evaluate(parser: ArgumentParser) -> None:
    from pseudoword.settings import StudySettings

    parser.add_argument(
        "images",
        type=Path,
        nargs="*",
        metavar="IMAGES",
        help="pictures to judge, or else --artefact to draw some with",
    )
    parser.add_argument(
        "--references",
        type=Path,
        nargs="+",
        required=True,
        metavar="PHOTOS",
        help="photos of the concept to compare with",
    )
    parser.add_argument(
        "--prompt",
        help="what the pictures were to show, with {} for the concept; with --artefact: what to "
        "draw instead of a suite",
    )
    _add_json(parser, "print the scores of every picture")
    for name in ("class_noun", "model", "loading", "device"):
        add_setting(parser, StudySettings, name)
    group = parser.add_argument_group("with --artefact")
    _add_out(group, "evaluation-<class noun>")
    drawing = ("artefacts", "suite", "effort", "pictures", "generate")
    for name in (*drawing, "clip_encoder", "dino_encoder", "inception_encoder"):
        add_setting(group, StudySettings, name)


def evaluate(arguments: Namespace) -> None:
    from pseudoword.settings import StudySettings

    if arguments.prompt is not None:
        validate_template(arguments.prompt)
    settings = read_settings(arguments, StudySettings)
    if bool(arguments.images) == bool(settings.artefacts):
        raise UserError(
            "evaluate takes either IMAGES, pictures that there are, or --artefact PHRASE=FILE,\n"
            "from which it draws its own: give one of them."
        )
    if settings.artefacts:
        _evaluate_artefacts(arguments, settings)
        return
    if arguments.out is not None:
        raise UserError("--out is for the pictures that --artefact draws: leave it out.")
    silence_libraries()
    from pseudoword.evaluate import evaluate_pictures

    outcome = evaluate_pictures(
        arguments.images,
        arguments.references,
        settings.class_noun,
        arguments.prompt,
        settings.model,
        settings.device,
    )
    if arguments.json:
        print(json.dumps(outcome, indent=2))
        return
    for note in outcome["notes"]:
        tell(note)
    rows = [
        (image["file"], {metric: {"value": image.get(metric)} for metric in PRIMARY})
        for image in outcome["images"]
    ]
    rows.append(("all", outcome["scores"]))
    rows.append(("the photos themselves", outcome["ceiling"]))
    print(f"{score_table(rows)}\n\n{_together(outcome)}")


def _together(outcome: Mapping[str, Any]) -> str:
    """What is to be said of loose pictures beside their likeness: copying and diversity."""
    from pseudoword.metrics import METRICS

    scores = {name: score["value"] for name, score in outcome["scores"].items()}
    nearest = max(outcome["images"], key=lambda image: float(image["nearest"]))
    limit = outcome["copy_limit"]
    said = {
        "nearest": f"at most {nearest['nearest']:.3f}, {nearest['file']}"
        + (f"; the photos reach {limit:.3f} among themselves" if limit is not None else "")
    }
    if "copied" in scores:
        count = round(scores["copied"] * len(outcome["images"]))
        said["copied"] = f"{count} of {len(outcome['images'])}"
    if "vendi" in scores:
        said |= {name: f"{scores[name]:.3f}" for name in ("diversity", "lpips")}
        said["vendi"] = f"{scores['vendi']:.1f} of {len(outcome['images'])}"
    return table([[METRICS[name].title, text] for name, text in said.items()])


def _evaluate_artefacts(arguments: Namespace, settings: "StudySettings") -> None:
    if arguments.prompt is not None:
        if settings.suite != "auto":
            raise UserError("--suite and --prompt exclude each other: give one of them.")
        settings = settings.model_copy(update={"prompts": [arguments.prompt]})
    out = arguments.out or Path(f"evaluation-{slug(settings.class_noun)}")
    with reporting() as reporter:
        from pseudoword.evaluate_given import evaluate_given

        results = evaluate_given(arguments.references, settings, out, reporter)
    if arguments.json:
        print(json.dumps(results, indent=2))
        return
    rows = _given_rows(results)
    rows.append(("untouched model", results["base_model"]["scores"]))
    rows.append(("the photos themselves", results["ceiling"]))
    print(f"{score_table(rows)}\n\nPictures: {out / 'runs'}")


def _given_rows(results: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    """Artefacts that somebody else trained, for a table of scores."""
    return [(row["title"], row["scores"]) for row in results["given"]]


def add_report(parser: ArgumentParser) -> None:
    parser.add_argument(
        "study", type=Path, metavar="STUDY", help="folder of a finished study, or of several"
    )
    parser.add_argument(
        "--format",
        choices=("html", "md", "csv"),
        default="html",
        help="html: the page; md: report.md, without pictures; csv: scores.csv, summary.csv and "
        "differences.csv (default: html)",
    )


def report(arguments: Namespace) -> None:
    from pseudoword.locks import hold
    from pseudoword.report.markdown import write_markdown
    from pseudoword.report.spreadsheets import write_csv
    from pseudoword.report.write import write_report

    study: Path = arguments.study
    if not study.is_dir():
        raise UserError(f"{study} is no folder: name that of a study, its --out.")
    # A study that goes on now would leave a page of half of it.
    with hold(study, tell):
        if is_summary(study):
            report_concepts(study, arguments.format)
        elif arguments.format == "csv":
            print("\n".join(str(file) for file in write_csv(study)))
        else:
            write = {"html": write_report, "md": write_markdown}[arguments.format]
            print(write(study))


def add_export(parser: ArgumentParser) -> None:
    from pseudoword.export import FORMATS

    _add_run(parser)
    formats = "; ".join(f"{name}: {about}" for name, about in FORMATS.items())
    parser.add_argument("--format", required=True, help=formats)
    _add_out(parser, "RUN/export/<format>")
    _add_run_model(parser)
    parser.add_argument(
        "--device",
        default="cpu",
        help="where the export is proved, which takes several whole models (default: cpu)",
    )


def export(arguments: Namespace) -> None:
    silence_libraries()
    from pseudoword.export import export_run

    where = (arguments.out, arguments.model, arguments.device)
    print(export_run(arguments.run, arguments.format, *where, note=tell))


def _add_photos(parser: ArgumentParser, more: str = "") -> None:
    about = f"3 to 10 pictures, or their folder{more}"
    parser.add_argument("photos", type=Path, nargs="*", metavar="PHOTOS", help=about)


def _photos(arguments: Namespace) -> list[Path]:
    photos: list[Path] = arguments.photos
    if not photos:
        raise UserError(
            "PHOTOS are missing: name 3 to 10 pictures of the concept, or their folder."
        )
    return photos


def _add_run(parser: ArgumentParser) -> None:
    parser.add_argument("run", type=Path, metavar="RUN", help="folder of a training run")


def _add_run_model(parser: ArgumentParser) -> None:
    parser.add_argument("--model", help="where the run's model is now, if it has moved")


def _add_out(parser: _ActionsContainer, default: str) -> None:
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help=f"folder of the results (default: {default})"
    )


def _add_json(parser: ArgumentParser, text: str) -> None:
    parser.add_argument("--json", action="store_true", help=text)


COMMANDS: dict[str, Command] = {
    "study": Command(
        "compare methods on one concept or several, with a verdict and a report", add_study, study
    ),
    "train": Command("teach a model one concept by one method", add_train, train),
    "generate": Command("draw the concept of a run as a prompt says", add_generate, generate),
    "evaluate": Command(
        "measure pictures, or an artefact that you have, against photos", add_evaluate, evaluate
    ),
    "report": Command("write a study's report again, or as Markdown or CSV", add_report, report),
    "export": Command("turn a run into a file that other programs load", add_export, export),
}
