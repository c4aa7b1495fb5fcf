"""A canvas: shapes and text of one SVG image, and a scale from values to places on it.

Colours come from classes (`palette`), so that one image serves light and dark. Attributes alone, never `style=`:
the page's content-security policy allows no inline style.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from markupsafe import escape

from tagfit.report.visible import visible


@dataclass(frozen=True)
class Scale:
    """Where a value lies: `low` at `start`, `high` at `end`."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        span = self.high - self.low
        return self.start + (value - self.low) / span * (self.end - self.start) if span else self.start

    def ticks(self, most: int = 5) -> list[float]:
        """Round values within it, at most so many and one."""
        span = self.high - self.low
        if span < 1e-12:  # too little to divide
            return [self.low]
        power = 10.0 ** math.floor(math.log10(span / most))
        step = next(factor * power for factor in (1, 2, 5, 10) if span / (factor * power) <= most)
        first = math.ceil(self.low / step - 1e-9)
        return [number * step for number in range(first, math.floor(self.high / step + 1e-9) + 1)]


def nice(value: float) -> str:
    """As an axis has it: no more digits than it takes."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{round(value, 6):g}"


@dataclass
class Canvas:
    """Gathers shapes. Units are pixels at the size the image was drawn for; a page scales it.

    Attributes:
        title, description: what a screen reader says of it.
    """

    width: float
    height: float
    title: str
    description: str
    shapes: list[str] = field(default_factory=list)

    def line(self, x1: float, y1: float, x2: float, y2: float, kind: str) -> None:
        self.shapes.append(f'<line x1="{x1:.4g}" y1="{y1:.4g}" x2="{x2:.4g}" y2="{y2:.4g}" class="{kind}"/>')

    def path(self, points: Sequence[tuple[float, float]], kind: str) -> None:
        """A line through points; nothing of a single one."""
        if len(points) > 1:
            d = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
            self.shapes.append(f'<path d="{d}" class="{kind}"/>')

    def circle(self, x: float, y: float, radius: float, kind: str, hint: str = "") -> None:
        circle = f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:g}" class="{kind}"'
        self.shapes.append(f"{circle}><title>{_text(hint)}</title></circle>" if hint else f"{circle}/>")

    def box(self, x: float, y: float, width: float, height: float, kind: str, opacity: float | None = None) -> None:
        faint = "" if opacity is None else f' fill-opacity="{opacity:.2g}"'
        self.shapes.append(
            f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(width, 0):.1f}" height="{max(height, 0):.1f}" '
            f'class="{kind}"{faint}/>'
        )

    def text(self, x: float, y: float, text: str, kind: str = "", *, turned: bool = False) -> None:
        """Args:
        kind: `e` ends at x and `k` has its middle there; `m` is muted, `b` bold.
        turned: reads upwards.
        """
        turn = f' transform="rotate(-90 {x:.1f} {y:.1f})"' if turned else ""
        of = f' class="{kind}"' if kind else ""
        self.shapes.append(f'<text x="{x:.1f}" y="{y:.1f}"{of}{turn}>{_text(text)}</text>')

    def svg(self) -> str:
        """The image as markup; every text in it is escaped."""
        return (
            f'<svg class="c" role="img" viewBox="0 0 {self.width:g} {self.height:g}" width="{self.width:g}" '
            f'height="{self.height:g}" xmlns="http://www.w3.org/2000/svg"><title>{_text(self.title)}</title>'
            f"<desc>{_text(self.description)}</desc>{''.join(self.shapes)}</svg>"
        )


def _text(text: str) -> str:
    return str(escape(visible(text)))


def apart(wanted: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Places as near to the wanted ones as they can be, `gap` apart, in the same order."""
    order = sorted(range(len(wanted)), key=lambda number: wanted[number])
    placed = [0.0] * len(wanted)
    last = low - gap
    for number in order:
        last = placed[number] = max(wanted[number], last + gap)
    last = high + gap
    for number in reversed(order):
        last = placed[number] = min(placed[number], last - gap)
    return placed
