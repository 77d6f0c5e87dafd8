"""How work in progress is told: a protocol, so that the work knows no terminal."""

from typing import Protocol


class Reporter(Protocol):
    """Whoever shows what is going on."""

    def note(self, text: str) -> None:
        """A line worth keeping."""

    def update(self, task: str, done: int, total: int, detail: str = "") -> None:
        """Progress of a named task; `done == total` ends it."""


class Silent:
    """Shows nothing."""

    def note(self, text: str) -> None:
        pass

    def update(self, task: str, done: int, total: int, detail: str = "") -> None:
        pass


class Named:
    """Tells another reporter everything under a name: which of several studies is at work."""

    def __init__(self, reporter: Reporter, name: str) -> None:
        self.reporter = reporter
        self.name = name

    def note(self, text: str) -> None:
        self.reporter.note(f"{self.name}: {text}")

    def update(self, task: str, done: int, total: int, detail: str = "") -> None:
        self.reporter.update(f"{self.name}: {task}", done, total, detail)
