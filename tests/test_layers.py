"""The import direction that docs/structure.md sets down, held by reading the source."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "src" / "pseudoword"


def names(cell: str) -> list[str]:
    """The parts of a table cell: "study · report"."""
    return [name.strip() for name in cell.split("·")]


def table(title: str) -> list[list[str]]:
    """The rows of the table in docs/structure.md whose first heading is `title`."""
    lines = (ROOT / "docs" / "structure.md").read_text().splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith(f"| {title} |"))
    rows = []
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split("|")])
    return rows


LEVELS = {name: level for level, row in enumerate(table("Layer")) for name in names(row[0])}
"""Layers by module or package, 0 at the top."""
BESIDE = {row[0]: (names(row[1]), LEVELS[row[2]]) for row in table("Beside")}
"""Packages beside the tower: what they may import, and the lowest layer that uses them."""


def module_name(path: Path) -> str:
    """ "report.write" for report/write.py; "" for the package itself."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


MODULES = {module_name(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def place(module: str) -> str:
    """The entry of the tables that a module belongs to: its own, or that of its package."""
    if module in LEVELS:
        return module
    return module.partition(".")[0]


def imported(path: Path) -> set[str]:
    """Our modules that a file imports anywhere in it, also inside functions and for types."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path} imports relatively"
            source = node.module or ""
            # `from package import module` names a module, `from module import thing` does not.
            whole = {f"{source}.{alias.name}" for alias in node.names}
            modules = {name for name in whole if name.removeprefix("pseudoword.") in MODULES}
            found |= modules | ({source} if len(modules) < len(whole) else set())
    ours = {name.removeprefix("pseudoword.") for name in found if name.startswith("pseudoword.")}
    return {name for name in ours if name in MODULES}


def allowed(importer: str, target: str) -> bool:
    """Whether one place may import the other."""
    if importer == target:
        return True
    if importer in BESIDE:
        return target in BESIDE[importer][0]
    if target in BESIDE:
        return LEVELS[importer] <= BESIDE[target][1]
    return LEVELS[importer] <= LEVELS[target]


def test_every_module_has_a_place() -> None:
    known = {*LEVELS, *BESIDE, ""}
    assert {module for module in MODULES if place(module) not in known} == set()


def test_every_place_is_there() -> None:
    assert {name for name in (*LEVELS, *BESIDE) if name not in MODULES} == set()


def test_imports_point_downwards() -> None:
    wrong = [
        f"{module} imports {target}"
        for module, path in MODULES.items()
        if module
        for target in imported(path)
        if not allowed(place(module), place(target))
    ]
    assert wrong == []


def test_imports_are_found() -> None:
    """The reader of imports sees all three ways that the code uses."""
    assert {"settings", "errors"} <= imported(MODULES["cli_arguments"])
    assert {"cli_commands", "cli_lists"} <= imported(MODULES["cli"])
    assert "study" in imported(MODULES["cli_commands"])


@pytest.mark.parametrize(
    ("importer", "target"),
    [("settings", "study"), ("methods", "train"), ("metrics", "methods"), ("families", "metrics")],
)
def test_upward_imports_are_refused(importer: str, target: str) -> None:
    assert not allowed(importer, target)


def loaded_by(statements: str) -> set[str]:
    """Top-level packages in memory after a fresh Python has run `statements`."""
    code = f"{statements}\nimport sys; sys.stderr.write(' '.join(sys.modules))"
    run = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": str(PACKAGE.parent)},
        capture_output=True,
        text=True,
        check=True,
    )
    return set(re.findall(r"(?:^|\s)(\w+)(?=\s|$)", run.stderr))


def test_reports_and_statistics_need_no_torch() -> None:
    loaded = loaded_by("import pseudoword.metrics.stats, pseudoword.report.write")
    assert "numpy" in loaded
    assert "torch" not in loaded


@pytest.mark.parametrize("argv", [["--help"], ["models"], ["metrics", "--json"]])
def test_light_commands_load_no_heavy_library(argv: list[str]) -> None:
    loaded = loaded_by(f"from pseudoword.cli import main\nassert main({argv}) == 0")
    heavy = {"torch", "diffusers", "transformers", "pandas", "numba", "scipy", "rich", "pydantic"}
    assert "pseudoword" in loaded
    assert heavy & loaded == set()
