"""Tables that are not delimited text: records and their images, with names in place of class numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from tagfit.data.sources.class_names import has_names, named
from tagfit.data.sources.columns import LABELS_NAMES, pick
from tagfit.data.sources.faults import Faults
from tagfit.data.sources.listing import Head, Listing
from tagfit.data.sources.parts import part_in_stem
from tagfit.data.sources.reader import LabelFile, Reader, Source
from tagfit.data.sources.reading import Reading
from tagfit.data.sources.rows import Rows
from tagfit.data.sources.table import Table
from tagfit.data.sources.tables import TABLE, rows_of_table
from tagfit.data.sources.task import Task
from tagfit.errors import DataError

#: the options of tables, and names for class numbers
OPTIONS = TABLE.options | {"label_names"}

#: files that hold images may have so many bytes, as memory has to hold them
MOST_BYTES = 1 << 32


@dataclass(frozen=True)
class Record:
    """A row by column, its place, and the bytes of its image if the file holds them."""

    where: str
    cells: Mapping[str, object]
    image: bytes = b""


def records_reader(
    code: str,
    title: str,
    of_file: Callable[[Head], bool],
    records: Callable[[Task], Sequence[Record]],
    *,
    of_folder: Callable[[Listing], Sequence[Source]] | None = None,
    are_shards: bool = False,
) -> Reader:
    """A reader of files whose records are the rows of a table.

    Args:
        are_shards: whether all such files of a folder are one data set.
    """

    def shards(listing: Listing) -> Sequence[Source]:
        return _shards(reader, listing, of_file)

    def read(source: Source, reading: Reading, faults: Faults) -> Rows:
        tasks = [Task(source, file, reading, faults) for file in source.files]
        return rows_of_records([(task, records(task)) for task in tasks])

    of_folder = shards if are_shards else of_folder
    reader = Reader(code, title, read, lambda head, _: of_file(head), of_folder, options=OPTIONS)
    return reader


def _shards(reader: Reader, listing: Listing, is_meant: Callable[[Head], bool]) -> Sequence[Source]:
    """All files of a kind in a folder, which are the parts of a split if each is called after one."""
    names = [] if listing.only else [name for name in listing.others if is_meant(listing.head(name))]
    paths = [listing.folder / name for name in names]
    parts = [part_in_stem(path.stem)[1] or part_in_stem(path.parent.name)[1] for path in paths]
    is_split = None not in parts and len(set(parts)) > 1
    zipped = zip(paths, names, parts, strict=True)
    files = tuple(LabelFile(path, name, part if is_split else None) for path, name, part in zipped)
    return [Source(reader, listing, files)] if files else []


def rows_of_records(read: Sequence[tuple[Task, Sequence[Record]]]) -> Rows:
    """The rows of files, one table below the other; a column of labels may hold class numbers."""
    task = read[0][0]
    records = [record for _, found in read for record in found]
    files = [each.file for each, found in read for _ in found]
    cells = [
        {**record.cells, **({"split": file.part} if file.part else {})}
        for record, file in zip(records, files, strict=True)
    ]
    keys = dict.fromkeys(key for row in cells for key in row)
    name = " + ".join(each.name for each, _ in read)
    if not keys:
        raise DataError(f"{name}: there are no rows, or none has a column.", "Write a row for each sample.")
    where = [record.where for record in records]
    columns = {key: [row.get(key) for row in cells] for key in keys}
    bases, hints = [file.base for file in files], [file.hint for file in files]
    table = Table(name, name, columns, where, bases=bases, hints=hints)
    table, lines = _named(table, task)
    is_used = lines or table.columns.keys() >= set(task.reading.label_names or ())
    reading = replace(task.reading, label_names=None) if is_used else task.reading
    rows = rows_of_table(table, task.source.root, reading, task.faults)
    images = {record.where: record.image for record in records}  # some rows may be no samples
    encoded = tuple(images[place] for place in rows.where) if any(images.values()) else None
    return replace(rows, encoded=encoded, reading=(*lines, *rows.reading))


def _named(table: Table, task: Task) -> tuple[Table, tuple[str, ...]]:
    """The table with names in place of class numbers, and what to say of it."""
    key = pick(table.columns, LABELS_NAMES)
    numbers = None if key is None else _numbers(table.columns[key])
    if key is None or numbers is None or not has_names(task):
        return table, ()
    labels, names = named(numbers, table.where, task)
    declared = tuple(name for _, name in sorted(names.names.items()))
    return replace(table, columns={**table.columns, key: labels}, label_names=declared), names.reading


def _numbers(cells: Sequence[object]) -> list[list[int]] | None:
    """Class numbers, if a column holds nothing else; 0 and 1 alone are no and yes."""
    lists: list[list[object]] = [cell if isinstance(cell, list) else [] if cell is None else [cell] for cell in cells]
    numbers = [[one for one in listed if type(one) is int] for listed in lists]
    is_binary = not any(isinstance(cell, list) for cell in cells) and {one for row in numbers for one in row} <= {0, 1}
    return None if is_binary or not any(numbers) or numbers != lists else numbers
