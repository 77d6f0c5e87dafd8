"""What all pages share: the templates' environment, and the files beside them."""

from importlib import resources
from types import ModuleType
from typing import TYPE_CHECKING

from pseudoword.report import plots, words

if TYPE_CHECKING:
    from jinja2 import Environment


def environment(*tools: ModuleType) -> "Environment":
    """The environment of a page; plots, words and `tools` are there by their modules' names."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    made = Environment(
        loader=PackageLoader("pseudoword.report", "page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for tool in (words, plots, *tools):
        made.globals[tool.__name__.rpartition(".")[2]] = tool
    return made


def asset(name: str) -> str:
    """The text of a file beside the templates."""
    return resources.files("pseudoword.report").joinpath("page", name).read_text("utf-8")
