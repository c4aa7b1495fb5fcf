"""The page's charts as files of their own: SVG and, with the extra `figures`, PNG."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from importlib.util import find_spec

from tagfit.report.charts.palette import ALONE_CSS, LIGHT
from tagfit.report.context import Figure

#: pixels of a PNG to one of the drawing's
ZOOM = 3


def figures(node: object) -> list[Figure]:
    """All charts in a page's context, or in a part of it, in order."""
    if isinstance(node, Figure):
        return [node]
    inner = [getattr(node, one.name) for one in fields(node)] if is_dataclass(node) else node
    return [figure for one in inner for figure in figures(one)] if isinstance(inner, list | tuple) else []


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
