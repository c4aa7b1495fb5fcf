"""Renders the report's page: one HTML file that needs nothing else, readable without scripts.

All text is escaped by the template engine and stands in `<bdi>` where strangers wrote it. The content-security policy
lets nothing run but the script below, and nothing load at all.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Mapping
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from tagfit.records.runs import SeedSpread
from tagfit.report.charts.palette import DARK, LIGHT, PAGE_CSS, variables
from tagfit.report.context import Context
from tagfit.report.glossary import anchor, glossary, word_of
from tagfit.report.visible import number, visible, written

if TYPE_CHECKING:
    from tagfit.report.notebook import Card

TEMPLATE, CARD = "page.html.jinja", "card.html.jinja"

#: characters of a name or a sentence that are shown
NAME, SENTENCE = 80, 1200


def render(context: Context) -> str:
    """The whole page."""
    style, script = _style(), _file("page.js")
    policy = (
        f"default-src 'none'; img-src data:; style-src '{_digest(style)}'; script-src '{_digest(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )
    page = _environment().get_template(TEMPLATE)
    return page.render(page=context, words=glossary(), policy=policy, style=Markup(style), script=Markup(script))


def render_card(card: Card) -> str:
    """What a notebook shows of one thing."""
    colour = {"good": LIGHT["good"], "bad": LIGHT["bad"], "even": LIGHT["muted"]}[card.tone]
    return _environment().get_template(CARD).render(card=card, colour=colour)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("tagfit.report", "page_files"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_final,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= FILTERS
    return environment


@cache
def _style() -> str:
    dark = variables(DARK)
    colours = (
        f":root{{color-scheme:light dark;{variables(LIGHT)}}}"
        f"@media screen and (prefers-color-scheme:dark){{:root:not([data-theme=light]){{{dark}}}}}"
        f"@media screen{{:root[data-theme=dark]{{color-scheme:dark;{dark}}}}}"
        ":root[data-theme=light]{color-scheme:light}"
    )
    bars = "".join(f".b{percent}{{--share:{percent}%}}" for percent in range(101))
    return colours + PAGE_CSS + bars + _file("page.css")


@cache
def _file(name: str) -> str:
    return resources.files("tagfit.report").joinpath("page_files", name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")


# --------------------------------------------------------------------------------------------- filters


def _name(text: str) -> Markup:
    """A stranger's name: isolated, so that it turns no text around it."""
    escaped = escape(visible(text, NAME)).replace("/", Markup("/<wbr>"))
    return Markup("<bdi>{}</bdi>").format(escaped)


def _brief(text: str) -> str:
    """A stranger's name where only text may stand."""
    return visible(text, NAME)


def _said(text: str) -> Markup:
    """A sentence that may hold such names."""
    return Markup("<bdi>{}</bdi>").format(visible(text, SENTENCE))


def _code(text: str) -> Markup:
    """Lines of code: a line's end stays what it is."""
    return Markup("\n").join(visible(line) for line in text.split("\n"))


def _final(value: object) -> object:
    """Whatever text is printed is visible, in attributes and the title too."""
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _between(ends: tuple[float, float] | None) -> str:
    return "" if ends is None else "–".join(written(end, ".3f").removeprefix("0") for end in ends)


def _signed(value: float, brief: bool = False) -> str:
    text = written(value, "+.3f")
    return text.replace("0.", ".", 1) if brief else text


def _spread(spread: SeedSpread) -> str:
    """The mean, and how far seeds lie from it."""
    return number(spread.mean) + ("" if spread.deviation is None else f" ± {spread.deviation:.3f}")


def _key(value: float | None) -> str:
    """What a column is sorted by; what is undefined comes last."""
    return "" if value is None else f"{value:.6g}"


def _bar(value: float | None) -> str:
    """The class that draws a fraction as a bar; the policy allows no style of an element's own."""
    return "" if value is None else f"b{round(100 * min(max(value, 0.0), 1.0))}"


def _term(text: str, word: str = "") -> str | Markup:
    """A link to what a word means, if the glossary has it.

    Args:
        word: what the glossary calls it, if that is not the text.
    """
    if (known := word_of(word or text)) is None:
        return text
    link = '<a class="term" href="#{}" title="{}">{}</a>'
    return Markup(link).format(anchor(known), glossary()[known], text)


FILTERS: Mapping[str, Callable[..., object]] = {
    "name": _name,
    "brief": _brief,
    "said": _said,
    "code": _code,
    "number": number,
    "between": _between,
    "signed": _signed,
    "spread": _spread,
    "key": _key,
    "bar": _bar,
    "term": _term,
    "anchor": anchor,
    "drawn": Markup,
}
