"""Cells of yes, no or unknown, one column for each label.

People write 0 and 1, true and false, yes and no in several languages, or a tick. A column is one of yes and no only if
all that it holds belongs to one of these alphabets.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tagfit.data.sources.faults import Faults
from tagfit.data.sources.reading import MinusOne
from tagfit.records.data import NO, UNKNOWN, YES

#: a written -1, before it is known what the person means by it
MINUS = -2

_TEXT = {"true": YES, "false": NO, "": UNKNOWN, "?": UNKNOWN, "nan": UNKNOWN, "na": UNKNOWN, "null": UNKNOWN}
_NUMBER = {1.0: YES, 0.0: NO, -1.0: MINUS}
_UNKNOWN_WORDS = {"", "?", "nan", "na", "n/a", "null", "unknown", "unsure", "uncertain", "maybe", "ignore"}

#: words for yes and for no beside 1 and 0, each pair an alphabet of its own
_ALPHABETS: tuple[tuple[frozenset[str], frozenset[str]], ...] = (
    (frozenset(("yes", "y", "ja", "j", "oui", "o", "si", "sí")), frozenset(("no", "n", "nein", "non"))),
    (frozenset(("t",)), frozenset(("f",))),
    (frozenset(("wahr", "vrai", "verdadero")), frozenset(("falsch", "faux", "falso"))),
    (frozenset(("+", "pos", "positive")), frozenset(("-", "neg", "negative"))),
    (frozenset(("present",)), frozenset(("absent",))),
    (frozenset(("on",)), frozenset(("off",))),
    (frozenset(("accept", "accepted")), frozenset(("reject", "rejected"))),
)
_TICKS = (frozenset(("x", "✓", "✔", "☑", "✅", "☒", "●", "•", "*")), frozenset(("-", "–", "✗", "✘", "☐", "0")))

EXPECTED = "0 or 1 (empty, `?` or nan where unknown)"


def cell_code(cell: object) -> int | None:
    """YES, NO, UNKNOWN or MINUS; None for what is none of them."""
    if cell is None:
        return UNKNOWN
    text = cell.strip().lower() if isinstance(cell, str) else ""
    if isinstance(cell, str) and text in _TEXT:
        return _TEXT[text]
    try:
        number = float(text.replace(",", ".", 1) or cell)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return None
    return UNKNOWN if number != number else _NUMBER.get(number)


@dataclass(frozen=True)
class Flags:
    """A column as one of yes and no.

    Attributes:
        codes: (N,) YES, NO, UNKNOWN or MINUS; None for what does not belong there.
        is_ticks: whether yes is a tick, and no is left blank.
        is_words: whether they are written in other words than 0, 1, true and false.
    """

    codes: Sequence[int | None]
    is_ticks: bool = False
    is_words: bool = False

    @property
    def has_no(self) -> bool:
        return NO in self.codes or MINUS in self.codes


def flags(cells: Sequence[object]) -> Flags | None:
    """A column of yes and no; None if it is none.

    Of a column of 0, 1 or -1, at most a tenth of the filled cells (or one, in a short table) may be anything else:
    these are faults, and the column is no metadata. A column without a filled cell is none.
    """
    try:
        counts = Counter(cells)
    except TypeError:  # lists and mappings cannot be counted, and are no cells either
        return None
    coded: dict[object, int | None] = {cell: cell_code(cell) for cell in counts}
    marks = sum(count for cell, count in counts.items() if coded[cell] in (YES, NO, MINUS))
    wrong = sum(count for cell, count in counts.items() if coded[cell] is None)
    if marks > wrong and wrong <= max(1, (marks + wrong) // 10):
        return Flags([coded[cell] for cell in cells])
    return _in_words(cells, counts) if wrong else None


def _in_words(cells: Sequence[object], counts: Mapping[object, int]) -> Flags | None:
    words = {cell: cell.strip().casefold() if isinstance(cell, str) else "" for cell in counts}
    if not all(cell is None or isinstance(cell, str) or cell != cell for cell in counts):
        return None
    filled = {word for word in words.values() if word not in _UNKNOWN_WORDS}
    for yes, no in (*_ALPHABETS, _TICKS):
        if filled and filled <= yes | no:
            is_ticks = yes is _TICKS[0] and not filled & no
            codes = dict.fromkeys(yes, YES) | dict.fromkeys(no, NO)
            rest = NO if is_ticks else UNKNOWN
            return Flags([codes.get(words[cell], rest) for cell in cells], is_ticks, True)
    return None


def settle_minus_one(
    codes_NL: NDArray[np.int8], minus_one: MinusOne | None, source: str, faults: Faults
) -> tuple[NDArray[np.int8], tuple[str, ...]]:
    """Replace MINUS by what it means, and say so.

    Args:
        codes_NL: (N, L) int8 of YES, NO, UNKNOWN and MINUS.

    Returns:
        (N, L) int8 of YES, NO and UNKNOWN, and notes.
    """
    is_minus = codes_NL == MINUS
    count = int(is_minus.sum())
    if not count:
        unused = minus_one is not None
        return codes_NL, (
            f"{source}: no label is written as -1, so the meaning given for -1 has no effect.",
        ) if unused else ()
    has_zero = bool((codes_NL == NO).any())
    if minus_one is None and not has_zero:
        faults.add(
            f"{source}: labels are written as -1 and +1 only, so -1 may mean no or unknown.",
            "Say which: --minus-one-is no or --minus-one-is unknown (in Python: minus_one='no' or 'unknown').",
        )
    if minus_one == "no" and has_zero:
        faults.add(
            f"{source}: -1 cannot mean no, because 0 occurs as well.",
            "Write no as 0 and unknown as -1 or an empty cell, or leave out --minus-one-is (minus_one).",
        )
    meaning, word = (NO, "no") if minus_one == "no" else (UNKNOWN, "unknown")
    return np.where(is_minus, np.int8(meaning), codes_NL), (f"-1 in {count} label cells is read as {word}.",)
