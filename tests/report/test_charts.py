"""Charts of whatever values there are: well-formed, with every number finite, and all of it on the canvas."""

import math
import re
import xml.etree.ElementTree as ET
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from payloads import PAYLOADS
from tagfit.report.charts import dots, heat, lines
from tagfit.report.charts.canvas import Scale, apart
from tagfit.report.charts.palette import DARK, LIGHT
from tagfit.report.visible import visible

FRACTIONS = st.floats(0, 1)
LOSSES = st.floats(0, 1e6)
NAMES = st.sampled_from(PAYLOADS)


def check(svg):
    root = ET.fromstring(svg)
    width, height = (float(value) for value in root.get("viewBox").split()[2:])
    assert root.get("role") == "img"
    assert [child.tag.rpartition("}")[2] for child in root[:2]] == ["title", "desc"]
    assert {one.tag.rpartition("}")[2] for one in root.iter()} <= {
        "svg", "title", "desc", "text", "line", "path", "circle", "rect",
    }  # fmt: skip
    for shape in root.iter():
        for name, value in shape.attrib.items():
            assert name != "style"
            for number in map(
                float, re.findall(r"-?[\d.]+(?:e[+-]?\d+)?", value) if name in {"d", "x", "y", "r"} else ()
            ):
                assert math.isfinite(number)
                assert -1 <= number <= max(width, height) + 1
        assert "nan" not in shape.attrib.values()
    return root


@given(st.lists(LOSSES, min_size=1, max_size=30), NAMES, st.one_of(st.none(), FRACTIONS))
def test_learning(values, name, band):
    points = tuple((float(epoch), value) for epoch, value in enumerate(values, 1))
    line = lines.Line("val", "after", points, points[-1:])
    check(
        lines.learning(name, name, [line, lines.Line("train", "after dash", points)], restored=len(values), band=band)
    )


@given(st.lists(st.tuples(FRACTIONS, FRACTIONS), max_size=20), NAMES)
def test_squares(points, name):
    whiskers = [(x, y * 0.5, y) for x, y in points]
    line = lines.Line("", "after", tuple(points), tuple(points))
    check(lines.square(name, name, [line], across="score", up="yes", heading=name, diagonal=True, whiskers=whiskers))


@given(st.lists(st.tuples(NAMES, FRACTIONS), min_size=1, max_size=8), FRACTIONS)
def test_intervals(values, bound):
    rows = tuple(dots.Dot(name, "after", value, (value / 2, value)) for name, value in values)
    check(dots.intervals("t", "d", [dots.Group("val", rows, bound), dots.Group("train", rows, bound, below=True)]))


@given(st.lists(st.tuples(NAMES, FRACTIONS, FRACTIONS), max_size=12), FRACTIONS, FRACTIONS)
def test_search(recipes, below, least):
    drawn = [dots.RecipeDot(*one) for one in recipes]
    check(dots.search("t", "d", drawn, metric="micro-F1", train_below=below, val_at_least=least))


@given(st.lists(st.tuples(NAMES, st.floats(-1, 1), FRACTIONS), max_size=12))
@example([("tiny", 5e-324, 0.0)])
def test_changes(rows):
    check(dots.changes("t", "d", [(name[:28], *others) for name, *others in rows]))


@given(st.lists(st.one_of(st.none(), FRACTIONS), min_size=1, max_size=25), NAMES)
def test_heat(values, name):
    root = check(heat.heat("t", "d", [name] * len(values), [values] * len(values), "after"))
    assert visible(name, heat.NAME) in {text.text for text in root.iter("{http://www.w3.org/2000/svg}text")}


@given(st.floats(-1e6, 1e6), st.floats(1e-6, 1e6))
def test_ticks_are_few_and_lie_within(low, span):
    scale = Scale(low, low + span, 0, 100)
    assert len(scale.ticks()) <= 6
    assert all(-1e-3 <= scale(tick) <= 100 + 1e-3 for tick in scale.ticks())


@given(st.lists(st.floats(0, 100), max_size=7))
def test_names_at_the_ends_of_lines_keep_apart_and_in_order(wanted):
    placed = apart(wanted, 13, 0, 100)
    order = sorted(range(len(wanted)), key=lambda number: wanted[number])
    gaps = [placed[after] - placed[before] for before, after in pairwise(order)]
    assert all(gap >= 13 - 1e-6 for gap in gaps)


def luminance(colour):
    channels = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in channels]
    return sum(weight * one for weight, one in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


@pytest.mark.parametrize("colours", [LIGHT, DARK], ids=["light", "dark"])
def test_text_can_be_read_in_every_colour(colours):
    """WCAG's contrast, of text to paper and to what is raised; axe looks at no text in charts."""
    for name in set(colours) - {"paper", "raised", "grid"}:
        for ground in ("paper", "raised"):
            lighter, darker = sorted((luminance(colours[name]), luminance(colours[ground])), reverse=True)
            assert (lighter + 0.05) / (darker + 0.05) >= 4.5, (name, ground)
