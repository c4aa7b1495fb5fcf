"""Cells of a label matrix: the alphabet of yes, no and unknown."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tagfit.data.sources.faults import Faults
from tagfit.data.sources.reading import MinusOne
from tagfit.records.data import NO, UNKNOWN, YES

#: a written -1, before it is known what the person means by it
MINUS = -2

_TEXT = {"true": YES, "false": NO, "": UNKNOWN, "?": UNKNOWN, "nan": UNKNOWN, "na": UNKNOWN, "null": UNKNOWN}
_NUMBER = {1.0: YES, 0.0: NO, -1.0: MINUS}

EXPECTED = "0 or 1 (empty, `?` or nan where unknown)"


def cell_code(cell: object) -> int | None:
    """YES, NO, UNKNOWN or MINUS; None for what is none of them."""
    if cell is None:
        return UNKNOWN
    text = cell.strip().lower() if isinstance(cell, str) else ""
    if isinstance(cell, str) and text in _TEXT:
        return _TEXT[text]
    try:
        number = float(text or cell)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return None
    return UNKNOWN if number != number else _NUMBER.get(number)


def cell_codes(cells: Sequence[object]) -> list[int | None]:
    """`cell_code` of each cell, each distinct cell decided once."""
    try:
        decided = {cell: cell_code(cell) for cell in set(cells)}
    except TypeError:  # lists and mappings cannot be hashed, and are no cells either
        return [cell_code(cell) for cell in cells]
    return [decided[cell] for cell in cells]


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
        return codes_NL, (f"{source}: no label cell holds -1, so its given meaning changed nothing.",) if unused else ()
    has_zero = bool((codes_NL == NO).any())
    if minus_one is None and not has_zero:
        faults.add(
            f"{source}: labels are written as -1 and +1 only, so -1 may mean no or unknown.",
            "Say which: --minus-one-is no or --minus-one-is unknown (in Python: minus_one='no' or 'unknown').",
        )
    if minus_one == "no" and has_zero:
        faults.add(
            f"{source}: -1 was said to mean no, but 0 occurs beside it.",
            "Write no as 0 and unknown as -1 or an empty cell, or leave out --minus-one-is (minus_one).",
        )
    meaning, word = (NO, "no") if minus_one == "no" else (UNKNOWN, "unknown")
    return np.where(is_minus, np.int8(meaning), codes_NL), (f"-1 in {count} label cells is read as {word}.",)
