"""The commands that list what there is: methods, models, metrics."""

import json
from argparse import ArgumentParser, Namespace
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

from pseudoword.cli_arguments import Command
from pseudoword.console import table

if TYPE_CHECKING:
    from pseudoword.methods.base import Method


def _add_json(parser: ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="all that is known, as JSON")


def _print(arguments: Namespace, rows: list[dict[str, Any]], columns: tuple[str, ...]) -> None:
    if arguments.json:
        print(json.dumps(rows, indent=2, ensure_ascii=False))
    else:
        print(table([[row[column] for column in columns] for row in rows]))


def methods(arguments: Namespace) -> None:
    from pseudoword.families import MODELS
    from pseudoword.methods import METHODS

    presets = sorted({row.preset for row in MODELS.values()})
    rows = [
        {
            "name": method.name,
            "title": method.title,
            "summary": method.summary,
            "learns": sorted(method.learns),
            "settings": _method_settings(method, presets),
        }
        for method in METHODS.values()
    ]
    _print(arguments, rows, ("name", "summary"))


def _method_settings(method: "type[Method]", presets: list[str]) -> list[dict[str, Any]]:
    """Every setting with its default for each size of model."""
    defaults = {p: method.Settings(**method.presets.get(p, {})).model_dump() for p in presets}
    return [
        {
            "name": name,
            "type": type_name(field.annotation),
            "default": {preset: defaults[preset][name] for preset in presets},
            "help": field.description,
        }
        for name, field in method.Settings.model_fields.items()
    ]


def type_name(annotation: Any) -> str:
    """A setting's type in a word, or its choices: "int", "difference | full"."""
    if get_origin(annotation) is Literal:
        return " | ".join(map(str, get_args(annotation)))
    return getattr(annotation, "__name__", str(annotation))


def models(arguments: Namespace) -> None:
    from pseudoword.families import MODELS

    rows = [
        {
            "name": name,
            "summary": row.summary,
            "source": row.source,
            "preset": row.preset,
            "suite": row.suite,
        }
        for name, row in MODELS.items()
    ]
    _print(arguments, rows, ("name", "summary"))


def metrics(arguments: Namespace) -> None:
    from pseudoword.metrics import METRICS

    rows = [{"name": name, **asdict(metric)} for name, metric in METRICS.items()]
    for row in rows:
        row["direction"] = "higher is better" if row["higher_is_better"] else "lower is better"
        row["needs"] = f"n >= {row['smallest_n']}"
    _print(arguments, rows, ("name", "title", "direction", "unit", "needs", "source"))


COMMANDS: dict[str, Command] = {
    "methods": Command("list the methods and their settings", _add_json, methods),
    "models": Command("list the models that can be taught", _add_json, models),
    "metrics": Command("list what is measured", _add_json, metrics),
}
