"""Command-line options out of settings: names, help and defaults stand in the settings alone."""

import argparse
import difflib
from argparse import SUPPRESS, ArgumentParser, Namespace
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NoReturn, TypeVar, get_args, get_origin

from pseudoword.errors import UserError, printable

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

    from pseudoword.settings import Settings

    SomeSettings = TypeVar("SomeSettings", bound=Settings)

PREFIX = "settings."
"""Marks a parsed value as a setting; the rest of its name is the setting's path."""

MOST = 2**31
"""Whole numbers stay below: seeds, with what is added to them, must fit into 64 bits."""

REPEATED = ("prompts", "artefacts")
"""Lists whose items may hold commas: their option is singular, and given once for each item."""


@dataclass(frozen=True)
class Command:
    """One command: what it does in a line, its arguments, its work."""

    summary: str
    add: Callable[[ArgumentParser], None]
    run: Callable[[Namespace], None]


class Parser(ArgumentParser):
    """Tells a mistake as UserError, with the nearest option that there is."""

    def error(self, message: str) -> NoReturn:
        raise UserError(f"{message}\n`{self.prog} --help` lists what there is.")

    def parse(self, argv: Sequence[str]) -> Namespace:
        """The parsed arguments; options may stand between positional ones."""
        arguments, extra = self.parse_known_intermixed_args(argv)
        if extra:
            given = extra[0].partition("=")[0]
            self.error(f"{given} is no option here{nearest(given, self._option_string_actions)}")
        return arguments


def nearest(word: str, known: Iterable[str]) -> str:
    """The end of a message that suggests the nearest of `known`; empty where nothing is near."""
    matches = difflib.get_close_matches(word, list(known), n=1)
    return f": did you mean {matches[0]}?" if matches else ""


def add_settings(parser: ArgumentParser, kind: "type[Settings]") -> None:
    """An option for every setting of `kind`."""
    group = parser.add_argument_group("settings")
    for name in kind.model_fields:
        add_setting(group, kind, name)


def add_config(parser: ArgumentParser) -> None:
    """The options that read settings from a file and print them."""
    parser.add_argument(
        "--config", type=Path, metavar="FILE", help="settings in YAML; options win over them"
    )
    parser.add_argument(
        "--print-config", action="store_true", help="print the settings as YAML and stop"
    )


def add_setting(
    group: argparse._ActionsContainer, kind: "type[Settings]", name: str, path: str = ""
) -> None:
    """The option of one setting; those of a nested model stand beside the others."""
    field = kind.model_fields[name]
    nested = nested_model(field)
    if nested is not None:
        for inner in nested.model_fields:
            add_setting(group, nested, inner, f"{name}.")
        return
    if get_origin(field.annotation) is dict and get_args(field.annotation)[1] is not Any:
        return  # settings by method: too deep for options, a config file holds them
    flag = "--" + name.replace("_", "-")
    common: dict[str, Any] = {
        "dest": PREFIX + path + name,
        "default": SUPPRESS,
        "help": help_text(field).replace("%", "%%"),
    }
    if field.annotation is bool:
        group.add_argument(flag, action=argparse.BooleanOptionalAction, **common)
    elif get_origin(field.annotation) is dict:
        flag = flag.removesuffix("s")
        group.add_argument(flag, action=_Pairs, metavar="NAME=VALUE", **common)
    elif name in REPEATED:
        flag = flag.removesuffix("s")
        group.add_argument(flag, action="append", metavar="TEXT", **common)
    elif get_origin(field.annotation) is list:
        group.add_argument(flag, type=comma_list, metavar="A,B", **common)
    else:
        metavar = name.rpartition("_")[2].upper()
        group.add_argument(flag, metavar=metavar, **common)


def add_common(parser: ArgumentParser, name: str) -> None:
    """One of the common settings alone, where a command takes no settings class."""
    from pseudoword.settings import CommonSettings

    field = CommonSettings.model_fields[name]
    parser.add_argument(f"--{name}", default=field.default, help=help_text(field))


class _Pairs(argparse.Action):
    """Gathers NAME=VALUE pairs, several in one option or in several; values stay text."""

    def __call__(
        self, parser: ArgumentParser, namespace: Namespace, values: Any, option: str | None = None
    ) -> None:
        pairs = dict(getattr(namespace, self.dest, {}))
        for part in comma_list(values):
            name, equals, value = part.partition("=")
            if not (name.strip() and equals):
                raise argparse.ArgumentError(self, f"write NAME=VALUE, not {part!r}")
            pairs[name.strip().replace("-", "_")] = value.strip()
        setattr(namespace, self.dest, pairs)


def comma_list(text: str) -> list[str]:
    """The parts between commas, without blanks around them."""
    return [part.strip() for part in text.split(",") if part.strip()]


def natural(text: str) -> int:
    """A whole number from 0 on, for argparse."""
    if not text.isdecimal() or int(text) >= MOST:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0 to {MOST - 1}")
    return int(text)


def positive(text: str) -> int:
    """A whole number from 1 on, for argparse."""
    if natural(text) < 1:
        raise argparse.ArgumentTypeError("it must be 1 or more")
    return int(text)


def nested_model(field: "FieldInfo") -> "type[Settings] | None":
    """The settings class of a field that holds settings."""
    from pseudoword.settings import Settings

    kind = field.annotation
    return kind if isinstance(kind, type) and issubclass(kind, Settings) else None


def help_text(field: "FieldInfo") -> str:
    """Description, choices and default of a setting."""
    text = description(field)
    default = field.get_default(call_default_factory=True, validated_data={})
    if field.is_required():
        return text
    if isinstance(default, list):
        default = ",".join(default)
    return f"{text} (default: {default})" if default not in ("", {}, None) else text


def description(field: "FieldInfo") -> str:
    """What a setting is, with its choices where they are few."""
    choices = get_args(field.annotation) if get_origin(field.annotation) is Literal else ()
    listed = f": {', '.join(map(str, choices))}" if choices else ""
    return f"{field.description}{listed}"


def read_settings(arguments: Namespace, kind: "type[SomeSettings]") -> "SomeSettings":
    """The settings that config file and options give together. Raises UserError."""
    from pydantic import ValidationError

    from pseudoword.settings import explain

    values = given_values(arguments)
    for name in missing(kind, values):
        flag = "--" + name.replace("_", "-")
        raise UserError(f"{flag} is missing: {description(kind.model_fields[name])}.")
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        config: Path | None = getattr(arguments, "config", None)
        source = (
            "settings" if config is None else f"settings of {printable(str(config))} and options"
        )
        raise UserError(explain(error, source)) from None


def given_values(arguments: Namespace) -> dict[str, Any]:
    """What config file and options set; an option wins over the file."""
    from pseudoword.settings import read_config

    config: Path | None = getattr(arguments, "config", None)
    values = read_config(config) if config is not None else {}
    for path, value in vars(arguments).items():
        if path.startswith(PREFIX):
            _put(values, path.removeprefix(PREFIX), value)
    return values


def _put(values: dict[str, Any], path: str, value: Any) -> None:
    """Sets a value at a dotted path; what is no mapping there stays, for validation to name it."""
    name, dot, rest = path.partition(".")
    if not dot:
        values[name] = value
    elif isinstance(inner := values.setdefault(name, {}), dict):
        _put(inner, rest, value)


def missing(kind: "type[Settings]", values: Mapping[str, Any]) -> list[str]:
    """Names of settings that must be given and are not."""
    return [n for n, field in kind.model_fields.items() if field.is_required() and n not in values]


def config_text(arguments: Namespace, kind: "type[Settings]") -> str:
    """The effective settings as YAML that --config accepts; what must yet be given is commented."""
    lacking = missing(kind, given_values(arguments))
    filled = Namespace(**vars(arguments), **{PREFIX + name: "..." for name in lacking})
    return "\n".join(_config_lines(read_settings(filled, kind), lacking))


def _config_lines(settings: "Settings", lacking: Sequence[str] = ()) -> list[str]:
    import yaml

    lines: list[str] = []
    for name, field in type(settings).model_fields.items():
        lines.append(f"# {description(field)}")
        value = getattr(settings, name)
        if nested_model(field):
            lines += [f"{name}:", *("  " + line for line in _config_lines(value))]
            continue
        text = yaml.safe_dump({name: value}, allow_unicode=True, sort_keys=False)
        comment = "# " if name in lacking else ""
        lines += [comment + line for line in text.splitlines()]
    return lines
