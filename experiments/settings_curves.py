"""Worth over steps as one SVG file a method: a panel for each thing that was varied."""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from pseudoword.report.plots import Scale, colour, mark, stretched

COLUMNS = 3
WIDTH, HEIGHT = 320, 250
LEFT, TOP, RIGHT, BOTTOM, LEGEND = 44, 30, 14, 40, 17
STYLE = """
svg { font: 12px system-ui, sans-serif; --ink: #1c2024; --line: #d8dbdf; --paper: #ffffff }
.cbase { --c: #6b737c } .c0 { --c: #0072b2 } .c1 { --c: #d55e00 } .c2 { --c: #009e73 }
.c3 { --c: #cc79a7 } .c4 { --c: #e69f00 } .c5 { --c: #56b4e9 }
text { fill: var(--ink) } .title { font-weight: 600 } .paper { fill: var(--paper) }
.grid { stroke: var(--line) } .mark { fill: var(--c); transform: scale(.7) }
.curve { fill: none; stroke: var(--c); stroke-width: 2; vector-effect: non-scaling-stroke }
.few { stroke-dasharray: 4 3 }
"""


@dataclass(frozen=True)
class Line:
    """One variant: its name, the toys it met, and its (step, worth)."""

    name: str
    toys: int
    points: list[tuple[int, float]]


@dataclass(frozen=True)
class Panel:
    """One thing that was varied, beside the defaults."""

    axis: str
    defaults: Line
    lines: tuple[Line, ...]


def drawing(title: str, panels: Sequence[Panel]) -> str:
    """A whole SVG file; all panels have the same axes."""
    every = [line for panel in panels for line in (panel.defaults, *panel.lines)]
    y = Scale.over((worth for line in every for _, worth in line.points), ticks=5)
    steps = panels[0].defaults.points[-1][0]
    tall = HEIGHT + LEGEND * (1 + max(len(panel.lines) for panel in panels))
    columns = min(COLUMNS, len(panels))
    parts = []
    for index, panel in enumerate(panels):
        row, column = divmod(index, columns)
        parts.append(
            Markup('<svg x="{}" y="{}" width="{}" height="{}">{}</svg>').format(
                column * WIDTH, row * tall, WIDTH, tall, _panel(panel, y, steps)
            )
        )
    width, height = columns * WIDTH, -(-len(panels) // columns) * tall
    return (
        Markup(
            '<svg xmlns="http://www.w3.org/2000/svg" width="{0}" height="{1}" '
            'viewBox="0 0 {0} {1}" role="img" aria-label="{2}"><style>{3}</style>'
            '<rect class="paper" width="100%" height="100%"/>{4}</svg>\n'
        )
    ).format(width, height, title, Markup(STYLE), Markup("\n").join(parts))


def _panel(panel: Panel, y: Scale, steps: int) -> Markup:
    plot = Markup("").join(
        [
            *(_across(tick, y) for tick in y.ticks),
            *(_below(share * steps // 2, steps) for share in range(3)),
            *(
                _curve(line, index, panel.defaults.toys, y, steps)
                for index, line in enumerate(panel.lines)
            ),
            _curve(panel.defaults, None, panel.defaults.toys, y, steps),
        ]
    )
    inner = (WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM)
    legend = Markup("").join(
        _legend(line, index, HEIGHT + LEGEND * row)
        for row, (index, line) in enumerate(
            [(None, panel.defaults), *((i, line) for i, line in enumerate(panel.lines))]
        )
    )
    return Markup(
        '<text class="title" x="{0}" y="18">{1}</text>'
        '<svg x="{0}" y="{2}" width="{3}" height="{4}" overflow="visible">{5}</svg>{6}'
    ).format(LEFT, panel.axis, TOP, *inner, plot, legend)


def _across(tick: float, y: Scale) -> Markup:
    return Markup(
        '<line class="grid" x1="0" x2="100%" y1="{0:.2f}%" y2="{0:.2f}%"/>'
        '<text x="-6" y="{0:.2f}%" dy="4" text-anchor="end">{1}</text>'
    ).format(100 * (1 - y.at(tick)), y.label(tick))


def _below(step: int, steps: int) -> Markup:
    anchor = "start" if step == 0 else "end" if step == steps else "middle"
    return Markup('<text x="{:.0f}%" y="100%" dy="17" text-anchor="{}">{}</text>').format(
        100 * step / steps, anchor, f"step {step}" if step else "0"
    )


def _curve(line: Line, index: int | None, toys: int, y: Scale, steps: int) -> Markup:
    """Dashed where fewer toys were met than by the defaults."""
    places = [(100 * step / steps, 100 * (1 - y.at(worth))) for step, worth in line.points]
    few = "few" if line.toys < toys else ""
    whole = Markup('<polyline class="curve {} {}" points="{}"/>').format(
        colour(index), few, " ".join(f"{x:.2f},{height:.2f}" for x, height in places)
    )
    marks = Markup("").join(
        Markup('<svg x="{:.2f}%" y="{:.2f}%" overflow="visible">{}</svg>').format(
            x, height, mark(index)
        )
        for x, height in places[1:]
    )
    return stretched(whole) + marks


def _legend(line: Line, index: int | None, height: int) -> Markup:
    toys = "1 toy" if line.toys == 1 else f"{line.toys} toys"
    return Markup(
        '<svg x="{}" y="{}" overflow="visible">{}</svg><text x="{}" y="{}">{} ({})</text>'
    ).format(LEFT + 6, height - 4, mark(index), LEFT + 20, height, line.name, toys)
