"""Delimited numbers, parsed as fast as they are read: a compiled loop, and Python for whatever is no plain number."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

_CHUNK = 1 << 24
#: with less text than this, compiling would take longer than parsing
_SMALL = 1 << 16
#: powers of ten that float64 holds exactly: a mantissa below 2**53 times or by one of them is rounded correctly
_POWERS = 10.0 ** np.arange(23)


def chunks(path: Path, start: int) -> Iterator[bytes]:
    """Whole lines of a file from a byte on, some MiB at a time."""
    with path.open("rb") as file:
        file.seek(start)
        rest = b""
        while piece := file.read(_CHUNK):
            whole, sign, rest = (rest + piece).rpartition(b"\n")
            yield whole + sign
        yield rest


def parse(raw: bytes, delimiter: str, out_NC: NDArray[np.float32]) -> tuple[int, NDArray[np.int64], int]:
    """Fill rows with the numbers of lines; blank lines are skipped.

    Args:
        raw: whole lines.
        out_NC: as many rows as there are lines, or as the bytes can hold.

    Returns:
        how many rows were filled; (M, 4) row, column, first and last byte of each cell that is no plain number, whose
        value is nan; and the first row with another number of cells, or -1.
    """
    cells = 1 + sum(raw.count(sign) for sign in (delimiter.encode(), b"\n", b"\r"))
    odd = np.empty((cells, 4), np.int64)
    text: Any = raw if len(raw) < _SMALL else np.frombuffer(raw, np.uint8)
    code = _loop if len(raw) < _SMALL else _compiled()
    rows, count, wrong = code(text, ord(delimiter), out_NC, _POWERS, odd)
    return rows, odd[:count], wrong


@cache
def _compiled() -> Callable[..., tuple[int, int, int]]:
    import numba

    code: Callable[..., tuple[int, int, int]] = numba.njit(cache=True, nogil=True)(_loop)
    return code


def _loop(text: Any, delimiter: int, out: Any, powers: Any, odd: Any) -> tuple[int, int, int]:
    n, width = len(text), out.shape[1]
    at, row, column, count, wrong = 0, 0, 0, 0, -1
    while at < n:
        if column == 0 and text[at] in (10, 13):
            at += 1
            continue
        if row == len(out):  # more rows than so many bytes can hold, if each had all its cells
            return row, count, row
        begin, mantissa, scale, digits = at, 0, 0, 0
        is_negative, has_point, is_plain = False, False, True
        while at < n and text[at] == 32:
            at += 1
        if at < n and text[at] in (43, 45):
            is_negative = text[at] == 45
            at += 1
        while at < n and (48 <= text[at] <= 57 or (text[at] in (44, 46) and text[at] != delimiter)):
            if text[at] < 48:
                is_plain = is_plain and not has_point
                has_point = True
            else:
                digits += 1
                is_plain = is_plain and mantissa < 900719925474099
                mantissa = (mantissa if is_plain else 0) * 10 + (text[at] - 48)
                scale -= has_point
            at += 1
        if digits > 0 and at < n and text[at] in (69, 101):
            at += 1
            exponent, sign = 0, 1
            if at < n and text[at] in (43, 45):
                sign = -1 if text[at] == 45 else 1
                at += 1
            while at < n and 48 <= text[at] <= 57:
                exponent = min(exponent * 10 + (text[at] - 48), 9999)
                at += 1
            is_plain = is_plain and 48 <= text[at - 1] <= 57
            scale += sign * exponent
        while at < n and text[at] == 32:
            at += 1
        is_plain = is_plain and digits > 0 and -22 <= scale <= 22
        while at < n and text[at] not in (10, 13, delimiter):
            is_plain = False
            at += 1
        if column < width:
            if is_plain:
                value = mantissa * powers[scale] if scale >= 0 else mantissa / powers[-scale]
                out[row, column] = -value if is_negative else value
            else:
                out[row, column] = np.nan
                odd[count, 0], odd[count, 1], odd[count, 2], odd[count, 3] = row, column, begin, at
                count += 1
        column += 1
        if at >= n or text[at] != delimiter:
            if column != width and wrong < 0:
                wrong = row
            row, column = row + 1, 0
        at += 1
    return row, count, wrong
