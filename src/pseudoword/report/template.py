"""What all pages share: the templates' environment, and the files beside them."""

import base64
import hashlib
from functools import cache
from importlib import resources
from types import ModuleType
from typing import TYPE_CHECKING

from pseudoword.report import plots, words

if TYPE_CHECKING:
    from jinja2 import Environment


@cache
def environment(*tools: ModuleType) -> "Environment":
    """The environment of a page; plots, words and `tools` are there by their modules' names.

    One a process, since it takes longer to compile the templates than to fill them.
    """
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


def scripts(*names: str) -> dict[str, str]:
    """The one script of a page, and its hash: a page may run this one and load nothing at all."""
    script = "".join(asset(name) for name in names)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return {"script": script, "script_hash": digest}


@cache
def asset(name: str) -> str:
    """The text of a file beside the templates."""
    return resources.files("pseudoword.report").joinpath("page", name).read_text("utf-8")
