"""Lines: learning curves, precision against recall, reliability."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from tagfit.report.charts.canvas import Canvas, Scale, apart, nice

#: points of one line: there are not many more pixels
MOST_POINTS = 160

Row = TypeVar("Row")


@dataclass(frozen=True)
class Line:
    """One line.

    Attributes:
        name: written at its end; empty where another line has said it.
        kind: its series' name in the palette, and `dash` or `thin`.
        points: (x, y), by x.
        marked: points that stand out, with a ring.
    """

    name: str
    kind: str
    points: tuple[tuple[float, float], ...]
    marked: tuple[tuple[float, float], ...] = ()


def learning(
    title: str, description: str, lines: Sequence[Line], *, restored: int | None, band: float | None = None
) -> str:
    """Values by epoch, each line called by its name at its end; the epoch whose weights were delivered is marked.

    Args:
        band: a value to reach.
    """
    canvas = Canvas(420, 240, title, description)
    xs = [x for line in lines for x, _ in line.points]
    ys = [y for line in lines for _, y in line.points] + ([] if band is None else [band])
    low, high = (min(ys), max(ys)) if ys else (0.0, 1.0)
    low = 0.0 if low < 0.5 * high else low - 0.08 * (high - low)
    x = Scale(min(xs, default=0.0), max(xs, default=1.0), 40, 338)
    y = Scale(low, high + 0.05 * (high - low or 1.0), 206, 14)
    _axes(canvas, x, y, "epoch")
    if band is not None:
        canvas.line(x.start, y(band), x.end, y(band), "hint")
    if restored is not None and x.low <= restored <= x.high:
        canvas.line(x(restored), y.start, x(restored), y.end, "hint")
        right = x(restored) > (x.start + x.end) / 2
        canvas.text(x(restored) + (-4 if right else 4), 11, f"delivered: epoch {restored}", "m e" if right else "m")
    for line in lines:
        canvas.path([(x(one), y(other)) for one, other in thinned(line.points)], f"line {line.kind}")
    for line in lines:
        for one, other in line.marked:
            canvas.circle(x(one), y(other), 3.6, f"open {line.kind.split()[0]}", f"epoch {one:g}: {other:.3f}")
    named = [line for line in lines if line.name and line.points]
    ends = [(line.name, line.kind.split()[0], line.points[-1][1]) for line in named]
    ends += [] if band is None else [(f"asked {nice(band)}", "m", band)]
    places = apart([y(value) for _, _, value in ends], 13, y.end, y.start)
    for (name, kind, _), place in zip(ends, places, strict=True):
        canvas.text(344, place + 4, name, kind)
    return canvas.svg()


def square(
    title: str,
    description: str,
    lines: Sequence[Line],
    *,
    across: str,
    up: str,
    heading: str = "",
    level: float | None = None,
    diagonal: bool = False,
    whiskers: Sequence[tuple[float, float, float]] = (),
    kind: str = "after",
    side: int = 180,
) -> str:
    """Fractions against fractions, from 0 to 1 on both sides.

    Args:
        heading: written above it.
        level: a fraction to beat, as a dotted line.
        diagonal: where both are equal.
        whiskers: (x, low, high) of intervals.
        kind: whose colour the whiskers have.
    """
    canvas = Canvas(side, side + 14, title, description)
    x, y = Scale(0, 1, 26, side - 6), Scale(0, 1, side - 18, 20)
    canvas.text(4 if heading else side - 6, 12, heading or up, "b" if heading else "m e")
    if heading:
        canvas.text(side - 6, 12, up, "m e")
    for tick in (0, 0.5, 1):
        canvas.line(x.start, y(tick), x.end, y(tick), "grid")
        canvas.text(x.start - 4, y(tick) + 4, nice(tick), "m e")
        canvas.text(x(tick), y.start + 13, nice(tick), "m k")
    canvas.text((x.start + x.end) / 2, y.start + 26, across, "m k")
    if diagonal:
        canvas.line(x.start, y.start, x.end, y.end, "hint")
    if level is not None:
        canvas.line(x.start, y(level), x.end, y(level), "hint")
    for at, low, high in whiskers:
        canvas.line(x(at), y(low), x(at), y(high), f"{kind} thin")
    for line in lines:
        canvas.path([(x(one), y(other)) for one, other in thinned(line.points)], f"line {line.kind}")
        for one, other in line.marked:
            canvas.circle(x(one), y(other), 2.6, line.kind.split()[0], f"{across} {one:.3f}, {up} {other:.3f}")
    return canvas.svg()


def thinned(rows: Sequence[Row], most: int = MOST_POINTS) -> list[Row]:
    """At most so many of the rows, evenly chosen, the first and the last among them."""
    if len(rows) <= most:
        return list(rows)
    return [rows[round(number * (len(rows) - 1) / (most - 1))] for number in range(most)]


def _axes(canvas: Canvas, x: Scale, y: Scale, across: str) -> None:
    for tick in y.ticks():
        canvas.line(x.start, y(tick), x.end, y(tick), "grid")
        canvas.text(x.start - 6, y(tick) + 4, nice(tick), "m e")
    for tick in x.ticks():
        canvas.text(x(tick), y.start + 15, nice(tick), "m k")
    canvas.line(x.start, y.start, x.end, y.start, "axis")
    canvas.text((x.start + x.end) / 2, y.start + 30, across, "m k")
