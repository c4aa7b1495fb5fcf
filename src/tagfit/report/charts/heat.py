"""Heat maps of fractions, labels against labels."""

from __future__ import annotations

from collections.abc import Sequence

from tagfit.report.charts.canvas import Canvas
from tagfit.report.visible import visible

#: characters of a label's name beside the map
NAME = 18


def heat(
    title: str, description: str, names: Sequence[str], fractions: Sequence[Sequence[float | None]], kind: str
) -> str:
    """(L, L) fractions, each as deep a colour as it is large, with its percent in it; None stays empty."""
    count, cell = len(names), 26 if len(names) <= 20 else 18
    shown = [visible(name, NAME) for name in names]
    left = min(6.3 * max(map(len, shown), default=0) + 14, 150)
    canvas = Canvas(left + cell * count + 6, left + cell * count + 6, title, description)
    for number, name in enumerate(shown):
        middle = left + cell * (number + 0.5)
        canvas.text(left - 6, middle + 4, name, "e")
        canvas.text(middle + 4, left - 6, name, turned=True)
    most = max((value for values in fractions for value in values if value is not None), default=0.0) or 1.0
    for row, values in enumerate(fractions):
        for column, value in enumerate(values):
            x, y = left + cell * column, left + cell * row
            canvas.box(
                x + 0.5,
                y + 0.5,
                cell - 1,
                cell - 1,
                f"{kind} heat",
                0.03 if value is None else 0.05 + 0.45 * value / most,
            )
            if value is not None and value >= 0.005 and cell >= 26:
                canvas.text(x + cell / 2, y + cell / 2 + 4, f"{100 * value:.0f}", "k")
    return canvas.svg()
