"""Numbers and times as people read them."""

from collections.abc import Sequence
from datetime import datetime

VERDICTS = {
    "winner": "Winner",
    "tie": "Tie",
    "trade_off": "Trade-off",
    "not_enough_evidence": "Not enough evidence",
}
KIND_NAMES = {"basic": "plain"}

MINUS = "\N{MINUS SIGN}"
DASH = "\N{EN DASH}"
SPACE = "\N{NO-BREAK SPACE}"


def number(value: float | None) -> str:
    """About three significant digits; a dash for None."""
    if value is None:
        return DASH
    size = abs(value)
    digits = 0 if size >= 100 else 1 if size >= 10 else 2 if size > 1 else 3
    if 0 < size < 0.01:
        digits = 4
    return f"{value:,.{digits}f}".replace("-", MINUS)


def signed(value: float | None) -> str:
    """A difference of similarities with its sign, in thousandths."""
    return DASH if value is None else f"{value:+.3f}".replace("-", MINUS)


def percent(value: float | None) -> str:
    return DASH if value is None else f"{round(100 * value)}{SPACE}%".replace("-", MINUS)


def chance(value: float) -> str:
    """A probability that was estimated by drawing, so never exactly 0 or 1."""
    if value > 0.99:
        return f"over{SPACE}99{SPACE}%"
    return f"under{SPACE}1{SPACE}%" if value < 0.01 else percent(value)


def p_value(p: float | None) -> str:
    """A p-value as "p = 0.03"; small ones as a bound."""
    if p is None:
        return ""
    return f"p{SPACE}<{SPACE}0.001" if p < 0.001 else f"p{SPACE}={SPACE}{p:.2g}"


def coded(text: str) -> Sequence[tuple[bool, str]]:
    """A text in parts, each with whether it stood between `backticks` and so is code."""
    if text.count("`") % 2:
        return [(False, text)]
    return [(bool(index % 2), part) for index, part in enumerate(text.split("`")) if part]


def duration(seconds: float | None) -> str:
    if seconds is None:
        return DASH
    if seconds < 9.95:
        return f"{seconds:.1f}{SPACE}s"
    if seconds < 59.5:
        return f"{seconds:.0f}{SPACE}s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes}{SPACE}min {rest:02d}{SPACE}s"
    return f"{minutes // 60}{SPACE}h {minutes % 60:02d}{SPACE}min"


def size(count: float | None) -> str:
    """Bytes in binary units."""
    if count is None:
        return DASH
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if count < 1000 or unit == "GiB":
            break
        count /= 1024
    digits = 0 if unit == "bytes" or count >= 100 else 1
    return f"{count:.{digits}f}{SPACE}{unit}"


def amount(count: float | None) -> str:
    """A count of things, rounded from ten thousand on."""
    if count is None:
        return DASH
    for power, word in ((1e9, "billion"), (1e6, "million"), (1e4, "thousand")):
        if count >= power:
            scaled = count / (1e3 if word == "thousand" else power)
            return f"{scaled:.{0 if scaled >= 100 else 1}f}{SPACE}{word}"
    return f"{count:,.0f}"


def listing(names: list[str]) -> str:
    """A, B and C."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def date(iso: str) -> str:
    """An ISO 8601 time as "5 November 2026, 14:05"."""
    when = datetime.fromisoformat(iso)
    return f"{when.day} {when:%B %Y, %H:%M}" + (f" {when:%Z}" if when.tzinfo else "")
