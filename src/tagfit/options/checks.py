"""What the value of an option has to be, in words and as a test; and how the command line writes it."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from tagfit.errors import did_you_mean
from tagfit.io.ranges import plain


@dataclass(frozen=True)
class Check:
    """What a value has to be.

    Attributes:
        expected: in words, after `must be`.
        metavar: how help shows it.
        accept: gives the value back in Python's own type, or raises a ValueError whose text, if any, is a hint.
        read: makes of text from a command line what `accept` then looks at.
        write: makes the text that the command line reads as a value.
    """

    expected: str
    metavar: str
    accept: Callable[[Any], Any]
    read: Callable[[str], Any] = str
    write: Callable[[Any], str] = str


def text(metavar: str = "TEXT") -> Check:
    """Any text."""
    return Check("a text", metavar, lambda value: _demand(isinstance(value, str), value))


def word(metavar: str = "TEXT") -> Check:
    """Any text but none."""
    return Check(
        "a text of at least one character",
        metavar,
        lambda value: _demand(isinstance(value, str) and value != "", value),
    )


#: how Python, NumPy and pandas write a value that is missing
_MISSING = {"None", "nan", "NaT", "<NA>"}


def text_or_values(metavar: str) -> Check:
    """Any text or, from Python, a row of values, which become texts: empty where a value is missing."""

    def accept(value: Any) -> Any:
        if isinstance(value, str):
            return value
        held = list(_demand(isinstance(value, Iterable) and not isinstance(value, bytes | Mapping), value))
        _demand(all(isinstance(one, str) or not hasattr(one, "__len__") for one in held), value)
        return tuple("" if not isinstance(one, str) and str(one) in _MISSING else str(one) for one in held)

    return Check("a text, or one value a sample", metavar, accept)


def place(metavar: str) -> Check:
    """A path."""
    return Check("a path", metavar, lambda value: _demand(isinstance(value, str | os.PathLike), value))


def recipe() -> Check:
    """A recipe, or the name or the file of one."""
    expected = "a recipe, its name or its TOML file"
    return Check(
        expected, "NAME|FILE", lambda value: _demand(isinstance(value, str | os.PathLike) or _is_recipe(value), value)
    )


def _is_recipe(value: Any) -> bool:
    return hasattr(value, "to_toml")  # the class itself stands in a room below


def number(expected: str, least: float, most: float = math.inf, *, above: bool = False, metavar: str = "N") -> Check:
    """A finite number from `least` (or above it) to `most`; True and False are none."""

    def accept(value: Any) -> Any:
        fits = isinstance(value, int | float) and not isinstance(value, bool) and least <= value <= most
        return _demand(fits and value != math.inf and not (above and value == least), value)

    return Check(
        expected,
        metavar,
        accept,
        read=lambda text: _number(text, float),
        write=lambda value: str(value).removesuffix(".0"),
    )


def whole(least: int, most: float = math.inf, metavar: str = "N") -> Check:
    """A whole number between two bounds."""
    bounds = f"of at least {least}" if math.isinf(most) else f"from {least} to {most}"
    inside = number("", least, most)
    return Check(
        f"a whole number {bounds}",
        metavar,
        lambda value: inside.accept(_demand(isinstance(value, int), value)),
        read=lambda text: _number(text, int),
    )


def megapixels() -> Check:
    """A number of pixels, written in millions."""
    millions = number("a number above 0 and at most 1000000", 0, 1e6, above=True)
    return Check(
        millions.expected,
        "N",
        lambda value: max(1, round(millions.accept(value) * 1e6)),
        read=millions.read,
        write=lambda pixels: f"{pixels / 1e6:.12g}",
    )


def _number(text: str, kind: Callable[[str], float]) -> Any:
    try:
        return kind(text)
    except ValueError:
        return text


def choice(*names: str) -> Check:
    """One of some names."""

    def accept(value: Any) -> Any:
        if _demand(isinstance(value, str), value) not in names:
            raise ValueError(did_you_mean(value, names))
        return value

    return Check(f"one of {', '.join(names)}", "|".join(names), accept)


def several(metavar: str, *names: str) -> Check:
    """A list of texts; if there are `names`, only those."""

    def accept(value: Any) -> Any:
        found = tuple(map(plain, _demand(isinstance(value, Iterable) and not isinstance(value, str), value)))
        return _demand(all(isinstance(name, str) and (not names or name in names) for name in found), found)

    return Check(f"a list of names{' among ' * bool(names)}{', '.join(names)}", metavar, accept)


def columns() -> Check:
    """A text, or a list of texts, which becomes a tuple."""
    each = several("COLUMN")
    return Check(
        "a name or a list of names", "COLUMN", lambda value: each.accept([value] if _is_text(value) else value)
    )


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def names() -> Check:
    """A list of texts, which the command line takes with commas between."""
    return replace(
        several("A,B,C"),
        read=lambda text: [name.strip() for name in text.split(",")],
        write=",".join,
    )


def shares() -> Check:
    """Percentages such as 70/15/15 or, from Python, the share of each part."""

    def accept(value: Any) -> Any:
        if not isinstance(value, Mapping):
            return _demand(isinstance(value, str), value)
        return {part: number("", 0).accept(plain(share)) for part, share in value.items()}

    def write(value: Any) -> str:
        return "/".join(f"{100 * share:.12g}" for share in value.values()) if isinstance(value, Mapping) else str(value)

    return Check("percentages such as 70/15/15, or the share of each part", "A/B/C", accept, write=write)


#: on or off; a flag on the command line
SWITCH = Check("True or False", "", lambda value: _demand(isinstance(value, bool), value))
FRACTION = number("a fraction from 0 to 1", 0, 1, metavar="SCORE")
SEED = whole(0, 2**63 - 1)


def _demand(fits: bool, value: Any) -> Any:
    if not fits:
        raise ValueError
    return value
