"""Delimited text: CSV and its relatives, read into a `Table`."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from tagfit.data.sources.binary import is_label_column
from tagfit.data.sources.cells import cell_codes
from tagfit.data.sources.columns import IMAGE_NAMES, pick
from tagfit.data.sources.faults import Faults
from tagfit.data.sources.table import Table
from tagfit.data.sources.text import read_text

_LONGEST_HEADER = 1 << 20
DELIMITERS = (",", ";", "\t", "|")

_QUOTE = 'Quote a cell that holds the delimiter ("beach,sea"), or put ; between its labels.'


def read_delimited(path: Path, name: str, faults: Faults) -> Table:
    """Read a table with a header line; rows that do not fit the header are faults and are left out.

    Cells lose leading space; blank lines and lines of delimiters only are skipped. Messages call the file `name`.
    """
    text = read_text(path, name)
    records = _records(text, find_delimiter(text), name, faults)
    head_line, header = next(records, (1, []))
    names = [cell.strip() for cell in header]
    _check_header(names, f"{name}:{head_line}", faults)
    rows, where = [], []
    for line, cells in records:
        if len(cells) == len(names):
            rows.append(cells)
            where.append(f"{name}:{line}")
        else:
            faults.add(f"{name}:{line}: expected {len(names)} cells as in the header; got {len(cells)}.", _QUOTE)
    head = f"{name}:{head_line}"
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(names)
    return Table(name, head, dict(_named(names, columns, head, faults)), where)


def _named(
    names: Sequence[str], columns: Sequence[tuple[str, ...]], head: str, faults: Faults
) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Columns by name. One without a name is often a row number: it gets one, unless it is empty or holds labels."""
    for number, (name, cells) in enumerate(zip(names, columns, strict=True), 1):
        if name:
            yield name, cells
        elif is_label_column(cell_codes(cells)):
            faults.add(
                f"{head}: column {number} holds 0/1 and has no name.", "Give each label column its label's name."
            )
        elif any(map(str.strip, cells)):
            yield f"column {number}", cells


def _records(text: str, delimiter: str, name: str, faults: Faults) -> Iterator[tuple[int, list[str]]]:
    """Each record that is not blank with the line it starts on; what csv cannot read is a fault and ends the file."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True, strict=True)
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader, None)
        except csv.Error as error:
            faults.add(
                f"{name}:{line}: cannot be read as delimited text: {error}.", 'Is a quote (") left open or doubled?'
            )
            return
        if cells is None:
            return
        if any(map(str.strip, cells)):
            yield line, cells


def _check_header(names: Sequence[str], head: str, faults: Faults) -> None:
    for name, count in Counter(names).items():
        if count > 1 and name:
            faults.add(f"{head}: column {name!r} occurs {count} times.", "Give each column its own name.")
    faults.check()  # with two columns of one name it is not known which cells are meant


def find_delimiter(text: str) -> str:
    """The delimiter that makes an image column of the header; among several, the one that makes most columns."""
    return max(DELIMITERS, key=lambda delimiter: _promise(header_cells(text[:_LONGEST_HEADER], delimiter)))


def _promise(header: Sequence[str]) -> tuple[bool, int]:
    return pick(header, IMAGE_NAMES) is not None, len(header)


def header_cells(text: str, delimiter: str) -> list[str]:
    """The first record that is not blank, as one delimiter reads it; none where csv cannot."""
    ignored = Faults()
    _, cells = next(_records(text, delimiter, "", ignored), (1, []))
    return [cell.strip() for cell in cells]
