"""The page's charts as files of their own: SVG and, with the extra `figures`, PNG."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from importlib.util import find_spec
from typing import Any

from tagfit.report.charts.palette import ALONE_CSS, LIGHT
from tagfit.report.context import Context, Figure

#: pixels of a PNG to one of the drawing's
ZOOM = 3


def figures(context: Context) -> list[Figure]:
    """All charts of a page, in its order."""
    return list(_found(context))


def _found(node: Any) -> Iterator[Figure]:
    if isinstance(node, Figure):
        yield node
    elif isinstance(node, tuple):
        for one in node:
            yield from _found(one)
    elif is_dataclass(node):
        for field in fields(node):
            yield from _found(getattr(node, field.name))


def as_svg(figure: Figure) -> str:
    """The chart as a file: on white, with its colours inside."""
    opening, rest = figure.svg.split(">", 1)
    paper = f'<rect width="100%" height="100%" fill="{LIGHT["paper"]}"/>'
    return f"{opening}><style>{ALONE_CSS}</style>{paper}{rest}\n"


def can_draw_png() -> bool:
    return find_spec("resvg_py") is not None


def as_png(figure: Figure) -> bytes:
    """The chart as pixels."""
    import resvg_py

    return bytes(resvg_py.svg_to_bytes(svg_string=as_svg(figure), zoom=ZOOM))
