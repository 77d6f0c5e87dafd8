"""A method from a file outside the package: FILE.py:NAME names a subclass of Method in it."""

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from pseudoword.errors import UserError
from pseudoword.methods.base import Method
from pseudoword.runs import file_sha256, hash_bytes

GUIDE = "docs/own-method.md shows how"
ATTRIBUTES = ("name", "title", "summary", "Settings", "presets", "learns")


def is_own(name: str) -> bool:
    """Whether `name` is FILE.py:NAME."""
    return name.rpartition(":")[0].endswith(".py")


def load_own(name: str, taken: set[str]) -> type[Method]:
    """The class that FILE.py:NAME names, called by no name in `taken`. This runs the file.

    Raises UserError where the file or the class is absent, or the class is no whole method.
    """
    file, _, wanted = name.rpartition(":")
    path = Path(file).resolve()
    if not path.is_file():
        raise UserError(f"method {name}: there is no file {file}: name the right FILE.py:NAME.")
    found = getattr(_load(path), wanted, None)
    if found is None:
        raise UserError(f"method {name}: {file} has no {wanted}: name a class that stands in it.")
    method = _checked(name, found)
    if method.name in taken or not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", method.name):
        raise UserError(
            f"method {name}: its name {method.name!r} is taken, or is not of small letters, "
            "digits and hyphens: give the class another."
        )
    method.file = f"{path}:{wanted}"
    return method


def file_of(method: type[Method]) -> Path | None:
    """The file of a method from outside the package."""
    return Path(method.file.rpartition(":")[0]) if method.file else None


def own_code(methods: list[type[Method]]) -> dict[str, dict[str, str]]:
    """{"code": SHA-256 of the file by method}, or nothing where all are the package's own."""
    files = {method.name: file_of(method) for method in methods}
    hashes = {name: file_sha256(file) for name, file in files.items() if file}
    return {"code": hashes} if hashes else {}


def _checked(name: str, found: Any) -> type[Method]:
    if not (isinstance(found, type) and issubclass(found, Method)):
        raise UserError(f"method {name} is no subclass of Method: {GUIDE} to write one.")
    lacking = [attribute for attribute in ATTRIBUTES if not hasattr(found, attribute)]
    lacking += sorted(getattr(found, "__abstractmethods__", ()))
    if lacking:
        raise UserError(f"method {name} lacks {', '.join(lacking)}: {GUIDE} to write them.")
    return found


def _load(path: Path) -> ModuleType:
    """The module in a file; an unchanged one is run once."""
    # It goes into sys.modules, where pydantic looks for what annotations name.
    name = f"pseudoword_own_{hash_bytes(str(path).encode(), path.read_bytes())[:16]}"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        try:
            spec.loader.exec_module(module)
        except (SyntaxError, ImportError) as error:
            del sys.modules[name]
            line = f", line {error.lineno}" if isinstance(error, SyntaxError) else ""
            raise UserError(f"method file {path}{line}: {error}: mend it there.") from None
        except BaseException:
            del sys.modules[name]
            raise
    return sys.modules[name]
