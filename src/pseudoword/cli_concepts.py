"""What `study` and `report` do with several concepts."""

import json
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pseudoword.cli_arguments import PREFIX, given_values, read_settings
from pseudoword.console import reporting, table
from pseudoword.runs import slug


def are_concepts(photos: list[Path]) -> bool:
    """Whether PHOTOS is one folder of concept folders."""
    from pseudoword.concept_folders import holds_concepts

    return holds_concepts(photos)


def study_concepts(arguments: Namespace) -> None:
    """`study` of a folder of concept folders."""
    from pseudoword.settings import StudySettings

    folder: Path = arguments.photos[0]
    if "class_noun" not in given_values(arguments):
        # Then each concept has its own.
        setattr(arguments, f"{PREFIX}class_noun", "")
    settings = read_settings(arguments, StudySettings)
    out: Path = arguments.out or Path(f"study-{slug(folder.resolve().name)}")
    with reporting() as reporter:
        from pseudoword.studies import run_studies

        found = run_studies(folder, settings, out, reporter)
    print(json.dumps(found, indent=2) if arguments.json else summary_text(found, out))


def summary_text(found: Mapping[str, Any], out: Path) -> str:
    """What finished studies of several concepts say on a terminal."""
    verdict, concepts = found["verdict"], found["concepts"]
    parts = [verdict["text"], f"Next: {verdict['next_step']}", _table(found)]
    left = [f"{name}: {row['left_out']}" for name, row in concepts.items() if row["left_out"]]
    if left:
        parts.append("\n".join(["Left out of the verdict:", *left]))
    flags = [
        f"{told['title']}: {flag['title']} ({', '.join(flag['in'])})"
        for told in found["methods"].values()
        for flag in told["flags"].values()
    ]
    if flags:
        parts.append("\n".join(["What went wrong:", *flags]))
    parts.append(f"Summary: {out / 'summary.html'}")
    return "\n\n".join(parts)


def _table(found: Mapping[str, Any]) -> str:
    """A row a method: its normalised scores (or the bare ones), where it is the best, its rank."""
    measures, p_best = found["measures"], found["verdict"]["p_best"]
    scaled = [part for part in ("overall", "fidelity", "adherence") if part in measures]
    parts = scaled or [metric for metric in ("dino", "clip_t") if metric in measures]
    primary = measures.get("overall")
    ranks = primary["ranks"] if primary else None
    show = _percent if scaled else _number
    header = [
        "",
        *(measures[part]["title"] for part in parts),
        *(["best for", "mean rank", "chance of being best"] if ranks else []),
    ]
    rows = [header]
    for method, told in found["methods"].items():
        row = [told["title"], *(show(measures[part]["means"][method]) for part in parts)]
        if ranks:
            row.append(f"{primary['best_in'][method]} of {len(primary['of'])}")
            row += [f"{ranks['mean'][method]:.2f}", f"{p_best[method]:.0%}"]
        rows.append(row)
    return table(rows)


def _percent(score: Mapping[str, Any]) -> str:
    if score["low"] is None:
        return f"{score['value']:.0%}"
    return f"{score['value']:.0%} ({score['low']:.0%} to {score['high']:.0%})"


def _number(score: Mapping[str, Any]) -> str:
    if score["low"] is None:
        return f"{score['value']:.3f}"
    return f"{score['value']:.3f} ({score['low']:.3f} to {score['high']:.3f})"


def is_summary(study: Path) -> bool:
    """Whether STUDY is a folder of several concepts' studies."""
    return (study / "summary.json").is_file()


def report_concepts(study: Path, form: str) -> None:
    """`report` of several concepts; the page of each stays as it is."""
    from pseudoword.report.across import write_summary
    from pseudoword.report.across_files import write_summary_csv, write_summary_markdown

    if form == "csv":
        print("\n".join(str(file) for file in write_summary_csv(study)))
    else:
        print({"html": write_summary, "md": write_summary_markdown}[form](study))
