"""Dots: scores with their intervals, recipes on train against val, what ingredients bring."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tagfit.report.charts.canvas import Canvas, Scale, nice
from tagfit.report.visible import written


@dataclass(frozen=True)
class Dot:
    """A value of a series, with its interval where there is one."""

    name: str
    kind: str
    value: float
    interval: tuple[float, float] | None = None


@dataclass(frozen=True)
class Group:
    """Dots below a heading, and the bound that was asked for: `high` where the value is to stay below it."""

    heading: str
    dots: tuple[Dot, ...]
    bound: float | None = None
    below: bool = False


def intervals(title: str, description: str, groups: Sequence[Group]) -> str:
    """Values from 0 to 1, one a row, in groups; the band that was asked for is shaded."""
    heights = [22 + 19 * len(group.dots) for group in groups]
    canvas = Canvas(420, sum(heights) + 26, title, description)
    x = Scale(0, 1, 84, 352)
    for tick in (0, 0.2, 0.4, 0.6, 0.8, 1):
        canvas.line(x(tick), 4, x(tick), sum(heights) + 4, "grid")
        canvas.text(x(tick), sum(heights) + 20, nice(tick), "m k")
    top = 0.0
    for group, height in zip(groups, heights, strict=True):
        _group(canvas, x, group, top)
        top += height
    return canvas.svg()


def _group(canvas: Canvas, x: Scale, group: Group, top: float) -> None:
    if group.bound is not None:
        ends = (x(0), x(group.bound)) if group.below else (x(group.bound), x(1))
        canvas.box(ends[0], top + 20, ends[1] - ends[0], 19 * len(group.dots), "area")
        canvas.line(x(group.bound), top + 20, x(group.bound), top + 20 + 19 * len(group.dots), "hint")
    canvas.text(4, top + 15, group.heading, "b")
    if group.bound is not None:
        asked = f"asked: {'below' if group.below else 'at least'} {nice(group.bound)}"
        canvas.text(414, top + 15, asked, "m e")
    for number, dot in enumerate(group.dots):
        y = top + 30 + 19 * number
        canvas.text(78, y + 4, dot.name, f"e {dot.kind}")
        if dot.interval is not None:
            canvas.line(x(dot.interval[0]), y, x(dot.interval[1]), y, f"{dot.kind} line")
        canvas.circle(x(dot.value), y, 4, dot.kind)
        canvas.text(414, y + 4, f"{dot.value:.3f}", f"e {dot.kind}")


@dataclass(frozen=True)
class RecipeDot:
    """A recipe on train and val; `kind` is `before` or `after` for those that have a name in the chart."""

    name: str
    train: float
    val: float
    kind: str = "constant"


def search(
    title: str, description: str, recipes: Sequence[RecipeDot], *, metric: str, train_below: float, val_at_least: float
) -> str:
    """Val against train of every recipe; the target's band is shaded, and below the dotted line val equals train."""
    canvas = Canvas(420, 330, title, description)
    values = [one.train for one in recipes] + [one.val for one in recipes] + [val_at_least, train_below]
    low, high = max(0.0, min(values) - 0.05), min(1.0, max(values) + 0.05)
    x, y = Scale(low, high, 44, 404), Scale(low, high, 288, 12)
    for tick in x.ticks():
        canvas.line(x(tick), y.start, x(tick), y.end, "grid")
        canvas.line(x.start, y(tick), x.end, y(tick), "grid")
        canvas.text(x(tick), y.start + 15, nice(tick), "m k")
        canvas.text(x.start - 6, y(tick) + 4, nice(tick), "m e")
    canvas.box(x.start, y.end, x(train_below) - x.start, y(val_at_least) - y.end, "area")
    canvas.text(x.start + 6, y.end + 14, "the target", "m")
    canvas.line(x.start, y.start, x.end, y.end, "hint")
    canvas.text((x.start + x.end) / 2, 322, f"{metric} on train", "m k")
    canvas.text(12, (y.start + y.end) / 2, f"{metric} on val", "m k", turned=True)
    for one in sorted(recipes, key=lambda one: one.kind != "constant"):
        big = one.kind != "constant"
        canvas.circle(
            x(one.train), y(one.val), 5.5 if big else 3.4, one.kind, f"{one.name}: {one.train:.3f}, {one.val:.3f}"
        )
    for one in recipes:
        if one.kind != "constant":
            right = x(one.train) > (x.start + x.end) / 2
            below = 18 if one.kind == "before" else -9
            canvas.text(x(one.train), y(one.val) + below, one.name, f"{one.kind} b {'e' if right else ''}")
    return canvas.svg()


def changes(title: str, description: str, rows: Sequence[tuple[str, float, float]]) -> str:
    """What each ingredient brings: (name, change, noise), with the noise as a whisker about the change."""
    canvas = Canvas(420, 21 * len(rows) + 30, title, description)
    reach = max((abs(change) + noise for _, change, noise in rows), default=0.0) or 0.01
    x = Scale(-reach, reach, 190, 360)
    bottom = 21 * len(rows) + 8
    for tick in x.ticks(6):
        canvas.line(x(tick), 4, x(tick), bottom, "grid")
        canvas.text(x(tick), bottom + 16, written(tick, "+.4g") if tick else "0", "m k")
    canvas.line(x(0), 4, x(0), bottom, "axis")
    for number, (name, change, noise) in enumerate(rows):
        y = 18 + 21 * number
        kind = "after" if change > noise else "constant"
        canvas.text(182, y + 4, name, "e")
        canvas.line(x(change - noise), y, x(change + noise), y, f"{kind} line")
        canvas.circle(x(change), y, 4, kind)
        canvas.text(414, y + 4, written(change, "+.3f"), f"e {kind}")
    return canvas.svg()
