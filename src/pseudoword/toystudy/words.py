"""The figures over toys as rows of text, for a terminal or a page."""

from collections.abc import Mapping
from typing import Any

from pseudoword.metrics import METRICS
from pseudoword.toystudy.traps import TRAPS

ASPECT_TITLES = {
    "right_toy": "right toy",
    "right_scene": "right scene",
    "right_both": "both right",
    "doubles_beaten": "near doubles beaten",
    "truth_likeness": "likeness to the truth",
}
AGREEMENT_TITLES = {
    "spearman": "Spearman",
    "kendall": "Kendall",
    "pairs_right": "pairs ranked rightly",
}
SECTIONS = {
    "pictures": "Pictures of one prompt of one toy",
    "arms_ranked": "Trained runs, checkpoints and the untouched model, of one toy",
    "methods": "The methods, of one toy",
    "checkpoints": "One run and its checkpoints, of one toy",
}


def estimate(found: Mapping[str, Any] | None, digits: int = 3) -> str:
    """A value with its interval."""
    if found is None or found["value"] is None:
        return "-"
    text = f"{found['value']:.{digits}f}"
    if found["low"] is None:
        return text
    return f"{text} ({found['low']:.{digits}f} to {found['high']:.{digits}f})"


Rows = list[list[str]]


def scores_table(found: Mapping[str, Any]) -> Rows:
    """Each measure of each method: the mean over toys with its interval."""
    measures = found["measures"]
    methods = list(next(iter(measures.values()))["scores"])
    rows = [["", *(m.replace("_", " ") for m in methods)]]
    for measure in measures.values():
        arrow = "higher" if measure["higher_is_better"] else "lower"
        scores = [estimate(measure["scores"][method]) for method in methods]
        rows.append([f"{measure['title']} ({arrow} is better)", *scores])
    return rows


def differences_table(found: Mapping[str, Any]) -> Rows:
    """Paired differences of methods over toys."""
    rows = [["", "difference", "over toys", "ahead", "p (Holm)"]]
    count = len(found["toys"])
    for measure in found["measures"].values():
        for pair in measure["differences"]:
            rows.append(
                [
                    measure["title"],
                    f"{pair['a']} - {pair['b']}",
                    estimate(pair),
                    f"{pair['ahead']} of {count}",
                    f"{pair['p_holm']:.3f}",
                ]
            )
    return rows


def conclusions_table(found: Mapping[str, Any]) -> Rows:
    """What the original concluded, by each measure."""
    rows = [["the original's conclusion", "by", ""]]
    for claim in found["conclusions"]:
        for name, answer in claim["by_measure"].items():
            rows.append([claim["claim"], found["measures"][name]["title"], answer])
    return rows


def study_tables(found: Mapping[str, Any]) -> list[Rows]:
    """All that the repeated study found."""
    return [scores_table(found), differences_table(found), conclusions_table(found)]


def validation_tables(found: Mapping[str, Any]) -> list[Rows]:
    """All agreements, then the traps, then what they are."""
    tables = []
    for section, title in SECTIONS.items():
        for agreement, name in AGREEMENT_TITLES.items():
            rows = [[f"{title}: {name}", *ASPECT_TITLES.values()]]
            for metric, aspects in found[section].items():
                cells = [estimate(aspects[aspect][agreement], 2) for aspect in ASPECT_TITLES]
                rows.append([metric_title(metric), *cells])
            tables.append(rows)
    rows = [["Traps: 0 the untouched model, 1 the truth [toys fooled]", *TRAPS]]
    for metric, traps in found["traps"].items():
        cells = [
            f"{estimate(traps[t] if 'value' in traps[t] else None, 2)} [{traps[t]['fooled']:.0%}]"
            for t in TRAPS
        ]
        rows.append([metric_title(metric), *cells])
    legend = [[name.replace("_", " "), text] for name, text in TRAPS.items()]
    return [*tables, rows, legend]


def metric_title(name: str) -> str:
    return METRICS[name].title if name in METRICS else name.replace("_", " ")
