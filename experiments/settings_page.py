"""Writes into docs/settings.md, and draws beside it, what the search for settings found.

    python experiments/settings_page.py

All comes from docs/methods/variants.csv, which is variants.csv of `search_variants.py`. The rest of
the page is written by hand.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from method_pages import markdown_table, put_block
from settings_curves import Line, Panel, drawing
from tried import DEFAULTS, Curve, Tried, read_tried

from pseudoword.methods import METHODS
from pseudoword.runs import write_atomic

DOCS = Path(__file__).parent.parent / "docs"
SHARE = 0.9


@dataclass(frozen=True)
class Difference:
    """Of a variant to the defaults on the same toys: mean, its standard error, and toys ahead."""

    mean: float
    error: float
    ahead: int

    @staticmethod
    def of(values: list[float]) -> "Difference":
        error = np.std(values, ddof=1) / math.sqrt(len(values)) if len(values) > 1 else math.nan
        return Difference(float(np.mean(values)), float(error), sum(v > 0 for v in values))

    def __str__(self) -> str:
        error = "" if math.isnan(self.error) else f" ± {self.error:.3f}"
        return f"{self.mean:+.3f}{error}".replace("-", "\N{MINUS SIGN}")


def _defaults(variants: list[Tried]) -> Tried:
    (found,) = (variant for variant in variants if variant.name == DEFAULTS)
    return found


def compared(variants: list[Tried]) -> str:
    """A table of one method: every variant beside the defaults on the same toys."""
    defaults = _defaults(variants)
    heads = ["variant", "toys", "at the end", "difference", "on the way", "difference ", "ahead"]
    rows = [[*heads, "steps to quality"]]
    for variant in variants:
        curves, same = variant.curves, {toy: defaults.curves[toy] for toy in variant.curves}
        end = Difference.of([float(curves[toy][-1] - same[toy][-1]) for toy in curves])
        way = Difference.of([float(curves[toy].mean() - same[toy].mean()) for toy in curves])
        whole = np.mean(list(curves.values()), axis=0)
        own = variant is defaults
        rows.append(
            [
                variant.name,
                str(len(curves)),
                f"{whole[-1]:.3f}",
                "" if own else str(end),
                f"{whole.mean():.3f}",
                "" if own else str(way),
                "" if own else f"{way.ahead} of {len(curves)}",
                steps_to_quality(whole, np.mean(list(same.values()), axis=0)),
            ]
        )
    return markdown_table(rows)


def stopped(variants: list[Tried]) -> str:
    """A table of the defaults, had they been stopped earlier: their rate does not know the end."""
    defaults = _defaults(variants)
    rows = [["steps", "worth", "difference to all steps", "ahead"]]
    curves = list(defaults.curves.values())
    for step in defaults.steps:
        apart = Difference.of([float(curve[step] - curve[-1]) for curve in curves])
        last = step == defaults.steps[-1]
        rows.append(
            [
                str(step or "untouched"),
                f"{np.mean([curve[step] for curve in curves]):.3f}",
                "" if last else str(apart),
                "" if last else f"{apart.ahead} of {len(curves)}",
            ]
        )
    return markdown_table(rows)


def steps_to_quality(curve: Curve, defaults: Curve) -> str:
    """When `curve` has come most of the way from the untouched model to the defaults' level.

    That level is the mean over the second half of their steps.
    """
    start, level = defaults[0], defaults[len(defaults) // 2 :].mean()
    (reached,) = np.nonzero(curve >= start + SHARE * (level - start))
    return str(reached[0]) if len(reached) else "never"


def panels(variants: list[Tried]) -> list[Panel]:
    """A panel an axis. Whoever met few toys is shown as if it had met all.

    That is the defaults' curve over all toys, and the mean difference to it on the toys it met.
    """
    defaults = _defaults(variants)
    usual = np.mean(list(defaults.curves.values()), axis=0)
    by_axis: dict[str, list[Line]] = {}
    for variant in variants:
        apart = [curve - defaults.curves[toy] for toy, curve in variant.curves.items()]
        curve = usual + np.mean(apart, axis=0)
        knots = [step for step in variant.steps if step < len(curve)]
        line = Line(variant.name, len(apart), [(step, float(curve[step])) for step in knots])
        by_axis.setdefault(variant.axis, []).append(line)
    (own,) = by_axis.pop(defaults.axis)
    return [Panel(axis, own, tuple(lines)) for axis, lines in by_axis.items()]


def files(found: Mapping[str, list[Tried]]) -> dict[Path, str]:
    """The page and its drawings as they should be."""
    page = DOCS / "settings.md"
    text = page.read_text()
    drawn = {}
    for method, variants in found.items():
        text = put_block(text, method, compared(variants))
        text = put_block(text, f"{method}, stopped", stopped(variants))
        title = f"Worth over steps: {METHODS[method].title}"
        drawn[DOCS / "settings" / f"{method}.svg"] = drawing(title, panels(variants))
    return {page: text, **drawn}


def main() -> None:
    for path, text in files(read_tried(DOCS / "methods" / "variants.csv")).items():
        write_atomic(path, text)
        print(path)


if __name__ == "__main__":
    main()
