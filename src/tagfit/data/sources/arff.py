"""ARFF files: attributes and rows, dense or sparse, as Weka, Mulan and MEKA write them.

Shapes: N rows, A attributes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tagfit.data.sources.faults import Faults
from tagfit.data.sources.text import lines_of, read_text

# Quantifiers are possessive (++), so that no line makes matching slow.
#: a quoted text with backslash escapes, or bare text up to a comma
_VALUE = re.compile(r"""\s*+('(?:[^'\\]|\\.)*+'|"(?:[^"\\]|\\.)*+"|[^,'"]*+)\s*+(,|$)""")
_ATTRIBUTE = re.compile(r"""@attribute\s+('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|[^\s{]+)\s*(.*)""", re.IGNORECASE)
_SPARSE = re.compile(r"(?:\s*+\d++\s++[^\s,'\"]++\s*+(?:,|$))*+")
_SPARSE_ITEM = re.compile(r"""\s*+(\d++\s++(?:'(?:[^'\\]|\\.)*+'|"(?:[^"\\]|\\.)*+"|[^,'"]++)|[^,]++)\s*+(?:,|$)""")
_SPARSE_VALUE = re.compile(r"(\d+)\s+(.+)", re.DOTALL)
_ESCAPED = re.compile(r"\\(.)")

_NUMERIC = {"numeric", "real", "integer"}

#: more values than this do not fit into memory; sparse files can claim any number
MAX_VALUES = 1 << 30


@dataclass(frozen=True)
class Attribute:
    """A column: numeric, or nominal with its `values` in the order of the file."""

    name: str
    place: str
    values: tuple[str, ...] | None = None

    @property
    def codes(self) -> tuple[float, ...]:
        """What stands for each nominal value in a matrix: the value itself if all are numbers, else its index."""
        values = self.values or ()
        return tuple(map(float, values if self.is_plain else range(len(values))))

    @property
    def is_plain(self) -> bool:
        """Whether a cell can be read as the number that it is."""
        return self.values is None or _are_numbers(self.values)


@dataclass(frozen=True, eq=False)
class Arff:
    """A file as read.

    Attributes:
        relation: the name, with MEKA's options in it.
        attributes: (A,) columns.
        values_NA: float32, nan if the file has `?`; nominal values as their `codes`.
        where: (N,) the place of each row (`scene.arff:305`).
    """

    source: str
    relation: str
    attributes: tuple[Attribute, ...]
    values_NA: NDArray[np.float32]
    where: tuple[str, ...]


def read_arff(path: Path, faults: Faults) -> Arff:
    """Read a file; rows that cannot be read are faults and left out.

    Raises:
        DataError: with every fault of the header, before rows are read by it.
    """
    lines = [(number, line.strip()) for number, line in enumerate(lines_of(read_text(path)), 1)]
    told = [(number, line) for number, line in lines if line and not line.startswith("%")]
    at = next((at for at, (_, line) in enumerate(told) if line.lower().startswith("@data")), len(told))
    relation, attributes = _header(told[:at], path.name, faults)
    if at == len(told):
        faults.add(f"{path.name}: expected a line @data below the attributes; there is none.")
    rows = told[at + 1 :]
    if at < len(told) and not rows:
        faults.add(f"{path.name}: there are no rows below @data.")
    if len(rows) * len(attributes) > MAX_VALUES:
        faults.add(f"{path.name}: {len(rows)} rows of {len(attributes)} attributes need more memory than there is.")
    faults.check()
    values_NA, kept = _matrix(rows, attributes, path.name, faults)
    where = tuple(f"{path.name}:{rows[row][0]}" for row in kept)
    _check_nominal(values_NA, attributes, where, faults)
    return Arff(path.name, relation, attributes, values_NA, where)


# ------------------------------------------------------------------------------------------------ header


def _header(lines: Sequence[tuple[int, str]], source: str, faults: Faults) -> tuple[str, tuple[Attribute, ...]]:
    relation, attributes = "", []
    for number, line in lines:
        place, keyword = f"{source}:{number}", line.split(None, 1)[0].lower()
        if keyword == "@relation":
            relation = _unquoted(line[len(keyword) :].strip())
        elif keyword == "@attribute":
            attributes += _attribute(line, place, faults)
        else:
            faults.add(f"{place}: expected @relation, @attribute or @data; got {line[:40]!r}.")
    seen: dict[str, str] = {}
    for attribute in attributes:
        earlier = seen.setdefault(attribute.name, attribute.place)
        if earlier != attribute.place:
            faults.add(f"{attribute.place}: attribute {attribute.name!r} is there already ({earlier}).")
    if not attributes:
        faults.add(f"{source}: there are no attributes.")
    return relation, tuple(attributes)


def _attribute(line: str, place: str, faults: Faults) -> list[Attribute]:
    """The attribute of a line; none after a fault."""
    match = _ATTRIBUTE.fullmatch(line)
    if match is None:
        faults.add(f"{place}: expected @attribute NAME TYPE; got {line[:60]!r}.")
        return []
    name, kind = _unquoted(match[1]), match[2].strip()
    if kind.startswith("{") and kind.endswith("}"):
        values = _values(kind[1:-1])
        if values is not None and all(values) and len(set(values)) == len(values):
            return [Attribute(name, place, tuple(values))]
        faults.add(f"{place}: attribute {name!r} must list distinct values in {{...}}; got {kind[:60]}.")
    elif kind.lower() in _NUMERIC:
        return [Attribute(name, place)]
    else:
        faults.add(
            f"{place}: attribute {name!r} must be numeric or {{nominal}}; got {kind[:40] or 'no type'}.",
            "Remove text, date and relational attributes (in Weka: the filter RemoveType).",
        )
    return []


def _values(text: str) -> list[str] | None:
    """Comma-separated values without their quotes; None if quotes do not close."""
    values, at = [], 0
    while True:
        match = _VALUE.match(text, at)
        if match is None:
            return None
        values.append(_unquoted(match[1].strip()))
        at = match.end()
        if not match[2]:
            return values


def _unquoted(text: str) -> str:
    if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"":
        return _ESCAPED.sub(r"\1", text[1:-1])
    return text


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return "_" not in text


def _are_numbers(texts: Sequence[str]) -> bool:
    """Whether each is a finite number, and a different one as float32 too."""
    if not all(map(_is_number, texts)):
        return False
    with np.errstate(over="ignore"):
        numbers = np.array([float(text) for text in texts]).astype(np.float32)
    return bool(np.isfinite(numbers).all()) and len(np.unique(numbers)) == len(numbers)


# -------------------------------------------------------------------------------------------------- rows


class _RowError(ValueError):
    """Why a row cannot be read."""


def _matrix(
    rows: Sequence[tuple[int, str]], attributes: Sequence[Attribute], source: str, faults: Faults
) -> tuple[NDArray[np.float32], list[int]]:
    """(N, A) float32 of the rows that can be read, and which these are."""
    reader = _Reader(attributes)
    values_NA = np.empty((len(rows), len(attributes)), np.float32)
    kept: list[int] = []
    with np.errstate(over="ignore"):  # becomes infinite, which is a fault of its own
        for row, (number, line) in enumerate(rows):
            try:
                values_NA[len(kept)] = reader.row(line)
                kept.append(row)
            except _RowError as error:
                faults.add(f"{source}:{number}: {error}")
    return values_NA[: len(kept)], kept


class _Reader:
    """Reads rows by the attributes: quickly if all cells are plain numbers, else cell by cell."""

    def __init__(self, attributes: Sequence[Attribute]) -> None:
        self._attributes = attributes
        self._is_plain = all(attribute.is_plain for attribute in attributes)
        self._codes = [
            None if attribute.is_plain else dict(zip(attribute.values or (), attribute.codes, strict=True))
            for attribute in attributes
        ]
        # what a sparse row leaves out is 0; of a nominal attribute, as Weka has it, the first value
        self._left_out = np.array([attribute.codes[0] if attribute.values else 0.0 for attribute in attributes])

    def row(self, line: str) -> Sequence[float] | NDArray[np.float64]:
        if line.startswith("{"):
            return self._sparse(line)
        cells = line.split(",") if "," in line or len(self._attributes) == 1 else line.split()
        if self._is_plain and len(cells) == len(self._attributes) and "_" not in line:
            try:
                return list(map(float, cells))
            except ValueError:
                pass  # a missing or quoted cell
        if "'" in line or '"' in line:
            cells = _quoted_cells(line)
        if len(cells) != len(self._attributes):
            raise _RowError(f"expected {len(self._attributes)} values, one for each attribute; got {len(cells)}.")
        return [self._cell(at, cell.strip()) for at, cell in enumerate(cells)]

    def _sparse(self, line: str) -> NDArray[np.float64]:
        if not line.endswith("}"):
            raise _RowError(f"a sparse row must end with }}; got ...{line[-20:]!r}.")
        body, values_A = line[1:-1].strip(), self._left_out.copy()
        places, values = self._plain_pairs(body) or self._pairs(body)
        if places and max(places) >= len(values_A):
            raise _RowError(f"attribute {max(places)} does not exist: their numbers go from 0 to {len(values_A) - 1}.")
        if len(set(places)) < len(places):
            raise _RowError("an attribute occurs twice in a sparse row.")
        values_A[places] = values
        return values_A

    def _plain_pairs(self, body: str) -> tuple[list[int], list[float]] | None:
        if not self._is_plain or "?" in body or "_" in body or not _SPARSE.fullmatch(body):
            return None
        tokens = body.replace(",", " ").split()
        try:
            return list(map(int, tokens[::2])), list(map(float, tokens[1::2]))
        except ValueError:
            return None  # said cell by cell

    def _pairs(self, body: str) -> tuple[list[int], list[float]]:
        places, values = [], []
        for item in _split_sparse(body):
            match = _SPARSE_VALUE.fullmatch(item)
            if match is None:
                raise _RowError(f"expected an attribute's number and its value; got {item[:40]!r}.")
            place = int(match[1]) if len(match[1]) < 10 else len(self._attributes)
            places.append(place)
            known = place < len(self._attributes)
            values.append(self._cell(place, _unquoted(match[2])) if known else 0.0)
        return places, values

    def _cell(self, at: int, cell: str) -> float:
        codes, attribute = self._codes[at], self._attributes[at]
        if cell == "?":
            return float("nan")
        if codes is not None and cell in codes:
            return codes[cell]
        if codes is None and _is_number(cell):
            return float(cell)
        expected = "a number" if attribute.values is None else f"one of {', '.join(attribute.values[:8])}"
        raise _RowError(f"attribute {attribute.name!r} must be {expected}; got {cell[:40]!r}.")


def _quoted_cells(line: str) -> list[str]:
    cells = _values(line)
    if cells is None:
        raise _RowError("a quote is not closed.")
    return cells


def _split_sparse(body: str) -> Iterator[str]:
    at = 0
    while at < len(body):
        match = _SPARSE_ITEM.match(body, at)
        if match is None:
            raise _RowError(f"expected an attribute's number and its value; got {body[at : at + 40]!r}.")
        yield match[1].strip()
        at = match.end()


def _check_nominal(
    values_NA: NDArray[np.float32], attributes: Sequence[Attribute], where: Sequence[str], faults: Faults
) -> None:
    """A plain nominal value was read as a number; it must be one of those declared."""
    for at, attribute in enumerate(attributes):
        if attribute.values is None:
            continue
        column_N = values_NA[:, at]
        allowed = np.array(attribute.codes, np.float32)
        for row in map(int, np.flatnonzero(~np.isin(column_N, allowed) & ~np.isnan(column_N))):
            faults.add(
                f"{where[row]}: attribute {attribute.name!r} must be one of {', '.join(attribute.values[:8])}; "
                f"got {column_N[row]:g}."
            )
