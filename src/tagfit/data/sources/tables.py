"""Tables of columns, one row an image: CSV and its relatives, JSON lines, frames; read into `Rows`."""

from __future__ import annotations

from collections.abc import Sequence

from tagfit.data.sources.cells import cell_code
from tagfit.data.sources.columns import IMAGE_NAMES, Roles, pick, roles
from tagfit.data.sources.delimited import find_delimiter, header_cells, read_delimited
from tagfit.data.sources.faults import Faults, shortened
from tagfit.data.sources.jsonl import read_jsonl
from tagfit.data.sources.labelled import labelled
from tagfit.data.sources.listing import IMAGE_SUFFIXES, Head, Listing
from tagfit.data.sources.reader import LabelFile, Reader, Source
from tagfit.data.sources.reading import Reading
from tagfit.data.sources.rows import Rows
from tagfit.data.sources.strangers import what_is
from tagfit.data.sources.table import Table, join


def _recognise(head: Head, listing: Listing) -> bool:
    """A table with a column of images."""
    if head.row:
        return head.suffix != ".json" or pick(head.row, IMAGE_NAMES) is not None
    if head.lines[:1] and head.lines[0].startswith('{"') and head.suffix != ".json":
        return True  # a first line that is damaged, or too long
    if what_is(head)[0] or head.text.lstrip()[:1] in ("{", "[", "<", "") or b"\0" in head.raw:
        return False
    if head.suffix in (".csv", ".tsv"):
        return True
    return pick(header_cells(head.text, find_delimiter(head.text)), IMAGE_NAMES) is not None


def read_tables(source: Source, reading: Reading, faults: Faults) -> Rows:
    """Read the files of a source, which are the parts of one split if they are several."""
    tables = [_read_one(source, file, faults) for file in source.files]
    return table_rows(list(zip(tables, source.files, strict=True)), reading, faults)


def _read_one(source: Source, file: LabelFile, faults: Faults) -> Table:
    read = read_jsonl if source.listing.head(file.name).text.lstrip()[:1] == "{" else read_delimited
    return read(file.path, file.name, faults)


def table_rows(tables: Sequence[tuple[Table, LabelFile]], reading: Reading, faults: Faults) -> Rows:
    """The rows of tables that were read, those of several files below each other."""
    parts = [(table, file.part) for table, file in tables if file.part is not None]
    table = join(parts, faults) if len(tables) > 1 else tables[0][0]
    rows = rows_of_table(table, reading, faults)
    bases = [file.base for table, file in tables for _ in range(len(table))]
    hints = [file.hint for table, file in tables for _ in range(len(table))]
    return Rows(**{**vars(rows), "bases": bases, "hints": hints})


def rows_of_table(table: Table, reading: Reading, faults: Faults) -> Rows:
    """Give each column its role, and read labels and split.

    Raises:
        DataError: no column of images, or no rows.
    """
    role = roles(table)
    if role.image is None and table.columns:
        _refuse_header(table, faults)
    elif not len(table) and not len(faults):
        faults.add(f"{table.source}: there are no rows.", "Expected one row an image.")
    if role.image is None or not len(table):
        faults.check()
    assert role.image is not None
    told = labelled(table, role, reading, faults)
    return Rows(
        table.source,
        ["" if cell is None else str(cell).strip() for cell in table.columns[role.image]],
        table.where,
        told.labels,
        split=None if role.split is None else table.columns[role.split],
        metadata=told.metadata,
        notes=_second_image_note(table, role),
    )


def _refuse_header(table: Table, faults: Faults) -> None:
    names = list(table.columns)
    if _looks_like_data(names):
        faults.add(
            f"{table.head}: there is no header line; the first line is {', '.join(map(shortened, names[:6]))}.",
            "Put a header above it, such as image,labels or image,beach,sea,sunset.",
        )
    else:
        faults.add(
            f"{table.head}: expected a column with the images' paths, called {', '.join(IMAGE_NAMES)}; "
            f"got {', '.join(map(shortened, names[:20]))}.",
            "Rename that column to image. Features without images go into an ARFF or .npz file.",
        )


def _looks_like_data(header: Sequence[str]) -> bool:
    return any(cell.lower().endswith(IMAGE_SUFFIXES) for cell in header) or (
        len(header) > 1 and all(cell_code(cell) is not None for cell in header[1:])
    )


def _second_image_note(table: Table, role: Roles) -> tuple[str, ...]:
    others = [name for name in table.columns if name.lower() in IMAGE_NAMES and name != role.image]
    return (f"Images are read from column {role.image!r}, not from {', '.join(others)}.",) if others else ()


TABLE = Reader(
    "table",
    "a table (CSV, TSV or JSON lines)",
    read_tables,
    of_file=_recognise,
    options=frozenset(("label_separator", "minus_one")),
)
