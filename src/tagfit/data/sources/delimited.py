"""Delimited text: CSV and its relatives, read into a `Table`.

The delimiter is the one that gives most lines the same number of cells. Lines that begin with # above the header are
comments; `sep=;`, as Excel writes it, names the delimiter. Without a header (`header="none"`, or if label names are
given and the first line names an image) columns are called by their numbers.
"""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import chain, islice
from pathlib import Path

from tagfit.data.sources.cells import flags
from tagfit.data.sources.columns import IMAGE_NAMES, pick
from tagfit.data.sources.faults import Faults
from tagfit.data.sources.reading import Reading
from tagfit.data.sources.table import Table
from tagfit.data.sources.text import read_table_text
from tagfit.images.decode import IMAGE_SUFFIXES

DELIMITERS = (",", ";", "\t", "|", " ")
#: columns of `tagfit predict`'s own rows; the scores of each label, which may be called anything, stand behind them
OWN = ("sample", "labels", "error")

_HEAD = 1 << 16
#: so many rows are looked at to find the header
_MOST_ABOVE = 20
_NUMBER = re.compile(r"[\d.,]+")
_QUOTE = 'Quote a cell that holds the delimiter ("beach,sea"), or put ; between its labels.'


def read_delimited(path: Path, name: str, reading: Reading, faults: Faults) -> Table:
    """Read a table; rows that do not fit the header are faults and are left out.

    Cells lose leading space; blank lines and lines of delimiters only are skipped. Messages call the file `name`.
    """
    text, lines = read_table_text(path, name)
    table = table_of(text, name, reading, faults)
    return replace(table, reading=(*lines, *table.reading))


def table_of(text: str, name: str, reading: Reading, faults: Faults) -> Table:
    """As `read_delimited`, of a text."""
    start, delimiter, lines = _preamble(text)
    delimiter = delimiter or find_delimiter(text[start:])
    skipped = text.count("\n", 0, start)
    records = _records(text[start:].removeprefix("#"), delimiter, name, skipped, faults)
    first = list(islice(records, _MOST_ABOVE))
    at = 0 if reading.header == "none" else header_at([cells for _, cells in first])
    lines = (*lines, *(f"Line {line} is above the header and is skipped." for line, _ in first[:at]))
    (head_line, header), *rest = first[at:] or [(1, [])]
    records = chain(rest, records)
    names = [cell.strip() for cell in header]
    is_headless = reading.header == "none" or (reading.names is not None and names_image(names))
    if is_headless:
        records = _records(text[start:], delimiter, name, skipped, faults)
        names = [f"column {number}" for number in range(1, len(names) + 1)]
    head = f"{name}:{head_line}"
    used = len(OWN) if tuple(names[: len(OWN)]) == OWN else len(names)
    _check_header(names[:used], head, faults)
    rows, where = [], []
    for line, cells in records:
        if len(cells) > len(names) and not any(cells[len(names) :]):
            del cells[len(names) :]
        if len(cells) == len(names):
            rows.append(cells[:used])
            where.append(f"{name}:{line}")
        else:
            faults.add(f"{name}:{line}: expected {len(names)} cells as in the header; got {len(cells)}.", _QUOTE)
    columns = list(zip(*rows, strict=True)) if rows else [()] * used
    return Table(
        name, head, dict(_named(names[:used], columns, head, faults)), where, is_headless=is_headless, reading=lines
    )


def _preamble(text: str) -> tuple[int, str | None, tuple[str, ...]]:
    """Where the header starts, the delimiter if the file names it, and what was skipped.

    A line that begins with # is the header itself if it has as many cells as the line below.
    """
    start, skipped = 0, 0
    while text.startswith(("#", "sep="), start):
        end = text.find("\n", start) + 1
        line, below = text[start:end].strip(), text[end : end + _HEAD].partition("\n")[0]
        if not end:
            break
        if line.startswith("sep="):
            return end, line[4:5], ()
        delimiter = find_delimiter(below)
        if below.count(delimiter) == line.count(delimiter) > 0:
            break
        start, skipped = end, skipped + 1
    return start, None, (f"{skipped} lines of comments above the header are skipped.",) if skipped else ()


def header_at(rows: Sequence[Sequence[str]]) -> int:
    """Which of the first rows of a table names its columns: above it may stand titles and the names of groups.

    A title is a row of one cell if all others are wider. Names of groups stand above a row that has a name in each
    cell, that of the images among them, and leave cells blank, as merged cells do, or name no column of images.
    """
    at = next((at for at, row in enumerate(rows) if sum(map(bool, row)) > 1 or names_image(row)), 0)
    if at + 1 >= len(rows) or names_image(rows[at]):
        return 0
    above, below = rows[at], [cell.strip() for cell in rows[at + 1]]
    is_data = names_image([*above, *below]) or not all(below) or any(map(_NUMBER.fullmatch, below))
    if is_data or len(above) != len(below) or pick(below, IMAGE_NAMES) is None:
        return at
    is_above = not all(above) or len(set(above)) < len(above) or pick(above, IMAGE_NAMES) is None
    return at + is_above


def names_image(cells: Sequence[str]) -> bool:
    return any(cell.strip().lower().endswith(IMAGE_SUFFIXES) for cell in cells)


def _named(
    names: Sequence[str], columns: Sequence[tuple[str, ...]], head: str, faults: Faults
) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Columns by name. One without a name is often a row number: it gets one, unless it is empty or holds labels."""
    for number, (name, cells) in enumerate(zip(names, columns, strict=True), 1):
        if name:
            yield name, cells
        elif flags(cells) is not None:
            faults.add(
                f"{head}: column {number} holds 0/1 and has no name.", "Give each label column its label's name."
            )
        elif any(map(str.strip, cells)):
            yield f"column {number}", cells


def _records(text: str, delimiter: str, name: str, skipped: int, faults: Faults) -> Iterator[tuple[int, list[str]]]:
    """Each record that is not blank with the line it starts on; what csv cannot read is a fault and ends the file."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True, strict=True)
    while True:
        line = skipped + reader.line_num + 1
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
    """The delimiter that gives the same number of cells, more than one, to most of the first lines; among several, the
    one that makes an image column of the header, and then the one that makes most columns."""
    head = text[:_HEAD]
    return max(DELIMITERS, key=lambda delimiter: _promise(head, delimiter))


def _promise(head: str, delimiter: str) -> tuple[bool, bool, float, int]:
    records = [cells for _, cells in islice(_records(head, delimiter, "", 0, Faults()), _MOST_ABOVE)] or [[]]
    records = records[header_at(records) :]
    header = [cell.strip() for cell in records[0]]
    share = sum(len(cells) == len(header) for cells in records) / len(records)
    names_files = names_image(records[-1]) and (delimiter != " " or names_image(records[-1][:1]))
    is_named = pick(header, IMAGE_NAMES) is not None or names_files
    return len(header) > 1 and (delimiter != " " or names_files), is_named, round(share, 1), len(header)
