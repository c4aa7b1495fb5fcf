"""What the value of an option has to be, in words and as a test; and how the command line writes it."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from tagfit.errors import did_you_mean
from tagfit.io.scalars import plain

_MOST = sys.float_info.max  # what is above is infinite


@dataclass(frozen=True)
class Constraint:
    """What a value has to be.

    Attributes:
        expected: in words, after `must be`.
        metavar: how help shows it.
        accept: returns the value in Python's own type, or raises a ValueError whose text, if any, is a hint.
        read: makes of text from a command line what `accept` then looks at.
        write: makes the text that the command line reads as a value.
    """

    expected: str
    metavar: str
    accept: Callable[[object], object]
    read: Callable[[str], object] = str
    write: Callable[[object], str] = str


def text(metavar: str = "TEXT") -> Constraint:
    """Any text."""
    return Constraint("a text", metavar, lambda value: _instance(value, str))


def word(metavar: str = "TEXT") -> Constraint:
    """Any text but none."""
    return Constraint(
        "a text of at least one character",
        metavar,
        lambda value: _instance(value or None, str),
    )


#: how Python, NumPy and pandas write a value that is missing
_MISSING = {"None", "nan", "NaT", "<NA>"}


def text_or_values(metavar: str) -> Constraint:
    """Any text or, from Python, a row of values, which become texts: empty where a value is missing."""

    def accept(value: object) -> object:
        if isinstance(value, str):
            return value
        if not isinstance(value, Iterable) or isinstance(value, bytes | Mapping):
            raise ValueError
        held = list(value)
        if any(hasattr(one, "__len__") and not isinstance(one, str) for one in held):
            raise ValueError
        return tuple("" if not isinstance(one, str) and str(one) in _MISSING else str(one) for one in held)

    return Constraint("a text, or one value a sample", metavar, accept)


def place(metavar: str) -> Constraint:
    """A path."""
    return Constraint("a path", metavar, lambda value: _instance(value, str, os.PathLike))


def number(expected: str, least: float, most: float = _MOST, *, above: bool = False, metavar: str = "N") -> Constraint:
    """A finite number from `least` (or above it) to `most`; True and False are none."""

    def accept(value: object) -> object:
        if most == 1 and isinstance(value, int | float) and 1 < value <= 100:
            raise ValueError(f" Write {value:g}% as {value / 100:g}.")
        return _within(value, least, most, above)

    return Constraint(
        expected,
        metavar,
        accept,
        read=lambda text: _number(text, float),
        write=lambda value: str(value).removesuffix(".0"),
    )


def whole(least: int, most: float = math.inf, metavar: str = "N") -> Constraint:
    """A whole number between two bounds."""
    bounds = f"of at least {least}" if math.isinf(most) else f"from {least} to {most}"
    return Constraint(
        f"a whole number {bounds}",
        metavar,
        lambda value: _within(_instance(value, int), least, most),
        read=lambda text: _number(text, int),
    )


def megapixels() -> Constraint:
    """A number of pixels, written in millions."""
    return Constraint(
        "a number above 0 and at most 1000000",
        "N",
        lambda value: max(1, round(_within(value, 0, 1e6, above=True) * 1e6)),
        read=lambda text: _number(text, float),
        write=lambda pixels: f"{_within(pixels, 0) / 1e6:.12g}",
    )


def choice(*names: str) -> Constraint:
    """One of some names."""

    def accept(value: object) -> object:
        if isinstance(value, str) and value in names:
            return value
        raise ValueError(did_you_mean(value, names) if isinstance(value, str) else "")

    return Constraint(f"one of {', '.join(names)}", "|".join(names), accept)


def several(metavar: str, *names: str) -> Constraint:
    """A list of texts; if there are `names`, only those."""

    def accept(value: object) -> object:
        if isinstance(value, str) or not isinstance(value, Iterable):
            raise ValueError
        found = tuple(map(plain, value))
        if not all(isinstance(name, str) and (not names or name in names) for name in found):
            raise ValueError
        return found

    return Constraint(f"a list of names{' among ' * bool(names)}{', '.join(names)}", metavar, accept)


def columns() -> Constraint:
    """A text, or a list of texts, which becomes a tuple."""
    each = several("COLUMN")
    return Constraint(
        "a name or a list of names", "COLUMN", lambda value: each.accept([value] if isinstance(value, str) else value)
    )


def names() -> Constraint:
    """A list of texts, which the command line takes with commas between."""
    return replace(
        several("A,B,C"),
        read=lambda text: [name.strip() for name in text.split(",")],
        write=lambda value: ",".join(value) if isinstance(value, tuple) else str(value),
    )


def shares() -> Constraint:
    """Percentages such as 70/15/15 or, from Python, the share of each part."""

    def accept(value: object) -> object:
        if isinstance(value, Mapping):
            return {part: _within(plain(share), 0) for part, share in value.items()}
        return _instance(value, str)

    def write(value: object) -> str:
        return "/".join(f"{100 * share:.12g}" for share in value.values()) if isinstance(value, Mapping) else str(value)

    return Constraint("percentages such as 70/15/15, or the share of each part", "A/B/C", accept, write=write)


def _instance(value: object, *kinds: type) -> object:
    if not isinstance(value, kinds):
        raise ValueError
    return value


def _within(value: object, least: float, most: float = _MOST, above: bool = False) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise ValueError
    if not least <= value <= most or (above and value == least):
        raise ValueError
    return value


def _number(text: str, kind: Callable[[str], float]) -> float | str:
    try:
        return kind(text)
    except ValueError:
        return text


#: on or off; a flag on the command line
SWITCH = Constraint("True or False", "", lambda value: _instance(value, bool))
FRACTION = number("a fraction from 0 to 1", 0, 1, metavar="SCORE")
SEED = whole(0, 2**63 - 1)
#: a recipe, or the name or the file of one; its class stands in a room below
RECIPE = Constraint(
    "a recipe, its name or its TOML file",
    "NAME|FILE",
    lambda value: value if hasattr(value, "to_toml") else _instance(value, str, os.PathLike),
)
