"""Excel workbooks (.xlsx): the one sheet that names images is read as a table."""

from __future__ import annotations

import functools
import re
import zipfile
import zlib
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

from tagfit.data.sources.columns import IMAGE_NAMES, pick
from tagfit.data.sources.delimited import header_at
from tagfit.data.sources.tabular import Record, records_reader
from tagfit.data.sources.task import Task
from tagfit.errors import DataError, demand_extra
from tagfit.images.decode import IMAGE_SUFFIXES

#: the rows that Excel takes; the cells of all sheets; what all members of the archive may unpack to
_MOST_ROWS, _MOST_CELLS, _MOST_BYTES = 1_048_576, 1 << 25, 1 << 30
#: larger sheets are not looked through for merged cells
_MOST_MERGED = 1 << 28
_MERGED = re.compile(rb'<mergeCell ref="([A-Z]{1,3})(\d{1,7}):[A-Z]{1,3}(\d{1,7})"')
_AS_CSV = "Save the sheet as CSV (UTF-8)."
#: what openpyxl raises where the XML of a workbook is damaged
_BROKEN = (
    *(ValueError, TypeError, LookupError, AttributeError, ArithmeticError, SyntaxError, RuntimeError),
    *(OSError, EOFError, zipfile.BadZipFile, zlib.error),
)


def _records(task: Task) -> list[Record]:
    sheets = {title: _of_sheet(rows, task.name) for title, rows in _sheets(task).items()}
    found = [records for records in sheets.values() if len(sheets) == 1 or _names_images(records)]
    if len(found) != 1:
        raise DataError(
            f"{task.name}: expected one sheet that names images; of {', '.join(sheets)}, {len(found)} do.",
            "Save the sheet that counts as a CSV (UTF-8) of its own.",
        )
    return found[0]


def _sheets(task: Task) -> dict[str, list[Sequence[object]]]:
    """The rows of each sheet by its title."""
    demand_extra("reading an Excel sheet", "sheets")
    import openpyxl

    try:
        with zipfile.ZipFile(task.file.path) as archive:
            size = sum(member.file_size for member in archive.infolist())
        if size > _MOST_BYTES:
            raise DataError(f"{task.name}: would unpack to {size >> 20} MB.", _AS_CSV)
        book = openpyxl.load_workbook(task.file.path, read_only=True, data_only=True)
        sheets: dict[str, list[Sequence[object]]] = {}
        cells = 0
        for sheet in book.worksheets:
            sheet.reset_dimensions()  # what a file says of its size may be wrong
            rows = sheets.setdefault(sheet.title, [])
            for row in sheet.iter_rows(max_row=_MOST_ROWS, values_only=True):
                rows.append(row)
                if (cells := cells + len(row)) > _MOST_CELLS:
                    raise DataError(f"{task.name}: has more than {_MOST_CELLS:,} cells.", _AS_CSV)
            _fill_merged(rows, _merged(task.file.path, sheet._worksheet_path))
        return sheets
    except DataError:
        raise
    except _BROKEN as error:
        raise DataError(f"{task.name}: cannot be read as a workbook: {error}.", "Save it again as .xlsx.") from error


def _merged(path: Path, member: str) -> list[tuple[int, int, int]]:
    """Merged cells of several rows: the column, the first and the last row, from 0; openpyxl has them only of books
    that it holds in memory."""
    with zipfile.ZipFile(path) as archive:
        is_small = archive.getinfo(member).file_size <= _MOST_MERGED
        found = _MERGED.findall(archive.read(member)) if is_small else []
    return [(_column(column), int(top) - 1, int(end) - 1) for column, top, end in found if top != end]


def _column(letters: bytes) -> int:
    return functools.reduce(lambda number, letter: 26 * number + letter - 64, letters, 0) - 1


def _fill_merged(rows: list[Sequence[object]], merged: Sequence[tuple[int, int, int]]) -> None:
    """Give the value of a merged cell to all rows that it stands in; a title stays one cell, however wide."""
    ends = islice(((column, top, row) for column, top, end in merged for row in range(top + 1, end + 1)), _MOST_CELLS)
    for column, top, row in ends:
        if 0 <= top < row < len(rows) and column < min(len(rows[row]), len(rows[top])):
            rows[row] = (*rows[row][:column], rows[top][column], *rows[row][column + 1 :])


def _of_sheet(rows: Sequence[Sequence[object]], name: str) -> list[Record]:
    """The rows below the header, which is found as in delimited text."""
    filled = [(at, row) for at, row in enumerate(rows, 1) if any(cell is not None for cell in row)]
    texts = [["" if cell is None else str(cell) for cell in row] for _, row in filled[:20]]
    filled = filled[header_at(texts) :]
    (head, header), *body = filled or [(1, ())]
    used = sorted({column for _, row in filled for column, cell in enumerate(row) if cell is not None})
    names = {column: str(_at(header, column) or f"column {column + 1}").strip() for column in used}
    if len(set(names.values())) < len(names):
        raise DataError(f"{name}:{head}: two columns have the same name.", "Give each column its own name.")
    return [Record(f"{name}:{at}", {names[column]: _at(row, column) for column in used}) for at, row in body]


def _at(row: Sequence[object], column: int) -> object:
    return row[column] if column < len(row) else None


def _names_images(records: Sequence[Record]) -> bool:
    keys = records[0].cells if records else ()
    cells = (cell for record in records[:50] for cell in record.cells.values() if isinstance(cell, str))
    return pick(keys, IMAGE_NAMES) is not None or any(cell.lower().endswith(IMAGE_SUFFIXES) for cell in cells)


SHEET = records_reader("sheet", "an Excel sheet (.xlsx)", lambda head: "xl/workbook.xml" in head.members, _records)
