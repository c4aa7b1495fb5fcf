"""CelebA and DeepFashion: a list of attributes (a count, the names, then a line an image), and the parts beside it.

The parts are written as 0, 1 and 2 for train, val and test, or by name; so they are beside a CSV of the attributes.
DeepFashion names the attributes in a file of their own, and writes 0 for unknown beside -1 for no.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from tagfit.data.sources.class_names import class_names
from tagfit.data.sources.documents import read_table
from tagfit.data.sources.listing import IMAGE_SUFFIXES, Head, Listing
from tagfit.data.sources.parts import PART_NAMES
from tagfit.data.sources.reader import LabelFile, Source
from tagfit.data.sources.tabular import Record, records_reader
from tagfit.data.sources.task import Task
from tagfit.errors import DataError

_PARTS = {"0": "train", "1": "val", "2": "test", **PART_NAMES}
_PARTED = re.compile(rf"(\S+(?:{'|'.join(map(re.escape, IMAGE_SUFFIXES))}))[\s,]+(\w+)", re.IGNORECASE)
_VALUES = {"-1", "0", "1"}


def _sources(listing: Listing) -> Sequence[Source]:
    """A list of attributes or, beside a list of parts, a CSV with the same images."""
    others = () if listing.only else listing.others
    parts = tuple(name for name in others if _lists_parts(listing.head(name)))
    images = [match[1] for name in parts if (match := _PARTED.search(listing.head(name).text))]
    tables = [name for name in others if name.lower().endswith(".csv") and name not in parts]
    chosen = [name for name in others if _recognise(listing.head(name))]
    chosen = chosen or [name for name in tables if any(image in listing.head(name).text for image in images)]
    return [Source(ATTRIBUTES, listing, (LabelFile(listing.folder / name, name),), uses=parts) for name in chosen]


def _lists_parts(head: Head) -> bool:
    """Whether a file that is called so gives a part to each image, below at most two lines of a header."""
    lines = head.lines[:50]
    known = sum((match := _PARTED.fullmatch(line)) is not None and match[2].lower() in _PARTS for line in lines)
    return "partition" in head.name.lower() and known > 0 and known + 2 >= len(lines)


def _recognise(head: Head) -> bool:
    count, names, row, *_ = *head.lines[:3], "", "", ""
    image, *values = row.split() or [""]
    is_row = image.lower().endswith(IMAGE_SUFFIXES) and bool(values) and set(values) <= _VALUES
    return count.isdecimal() and bool(names) and is_row


def _records(task: Task) -> Sequence[Record]:
    """The rows, with the part of each image if there is a list of parts."""
    records = _of_table(task) if task.name.lower().endswith(".csv") else _of_list(task)
    files = [name for name in task.listing.others if _lists_parts(task.listing.head(name))]
    lines = (line for name in files for _, line in task.lines(name))
    parts = {match[1]: _PARTS.get(match[2].lower(), match[2]) for line in lines if (match := _PARTED.fullmatch(line))}
    if not parts or not records:
        return records
    hits = {key: sum(record.cells.get(key) in parts for record in records[:100]) for key in records[0].cells}
    key = max(hits, key=lambda key: hits[key])
    return [_parted(record, key, parts) for record in records]


def _parted(record: Record, key: str, parts: Mapping[str, str]) -> Record:
    """The record with its part; its image is in the column `image`."""
    image = record.cells[key]
    rest = {name: cell for name, cell in record.cells.items() if name != key}
    return Record(record.where, {**rest, "image": image, "split": parts.get(str(image))})


def _of_table(task: Task) -> list[Record]:
    table = read_table(task.file.path, task.name, task.faults)
    rows = zip(*table.columns.values(), strict=True)
    return [Record(at, dict(zip(table.columns, row, strict=True))) for at, row in zip(table.where, rows, strict=True)]


def _of_list(task: Task) -> list[Record]:
    rows = [(place, line.split()) for place, line in task.lines()]
    (_, count), (_, names), *rows = rows if len(rows) > 2 else [("", [])] * 3
    width, faults = len(rows[0][1]) - 1, task.faults
    if len(names) != width > 0:
        found = class_names(task, width)
        names = [found.name(at, task.name) for at in range(width)]
    if count != [str(len(rows))]:
        faults.add(f"{task.name}: says that it has {' '.join(count)} images; it has {len(rows)}.", "Is the file cut?")
    if len({"image", "split", *names}) < width + 2:
        faults.add(f"{task.name}: attributes need names of their own, other than image and split.")
    for place, cells in rows:
        if len(cells) != width + 1 or not set(cells[1:]) <= _VALUES:
            faults.add(f"{place}: expected an image and {width} values of 1, 0 or -1; got {' '.join(cells)[:40]!r}.")
    faults.check()
    code = _codes({cell for _, cells in rows for cell in cells[1:]}, task)
    return [
        Record(place, {"image": image, **dict(zip(names, map(code.get, values), strict=True))})
        for place, (image, *values) in rows
    ]


def _codes(values: set[str], task: Task) -> Mapping[str, str]:
    """What to read for each value: where -1 is no beside 0, 0 is unknown."""
    if values == _VALUES and task.reading.minus_one is None:
        raise DataError(
            f"{task.name}: values are 1, 0 and -1, so that either 0 or -1 may mean unknown.",
            "Say what -1 means: --minus-one-is no, so that 0 is unknown, or --minus-one-is unknown (minus_one).",
        )
    is_no = values == _VALUES and task.reading.minus_one == "no"
    return {"1": "1", "0": "", "-1": "0"} if is_no else {value: value for value in _VALUES}


ATTRIBUTES = records_reader("attributes", "a list of attributes, as CelebA's", _recognise, _records, of_folder=_sources)
