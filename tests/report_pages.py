"""A report as a reader's browser sees it, for tests."""

from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from pseudoword.report.write import write_report
from pseudoword.runs import read_json, write_json

VOID = {"meta", "link", "img", "input", "br", "hr"}


class Page(HTMLParser):
    """The elements of a page; fails where a tag is not closed in its turn."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), f"<{tag}> has an attribute twice"
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert "svg" in self.open, f"<{tag}/> outside a drawing"
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("style", "script"):
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def page(study: Path) -> Page:
    return Page(write_report(study).read_text())


def edit(file: Path, change: Callable[[Any], object]) -> None:
    """Changes the JSON value in a file in place."""
    value = read_json(file)
    change(value)
    write_json(file, value, sealed=True)


def section(text: str, name: str) -> Page:
    """One section of a page, by its id."""
    start = text.index(f'<section id="{name}"')
    return Page(text[start : text.index("</section>", start) + len("</section>")])
