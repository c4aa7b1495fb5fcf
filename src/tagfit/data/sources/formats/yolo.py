"""YOLO: a text beside each image with a class number and a box or an outline a line; `data.yaml` or a list names them.

KITTI's texts are the same with names in place of the numbers.

An image whose text is blank has none of the labels; one without a text is background too, so it is blank.
"""

from __future__ import annotations

import re
from dataclasses import replace

from tagfit.data.sources.beside import Beside, each_beside, files_beside
from tagfit.data.sources.class_names import ClassNames, class_names
from tagfit.data.sources.documents import gather
from tagfit.data.sources.faults import shortened
from tagfit.data.sources.listing import Head
from tagfit.data.sources.rows import Row, Rows
from tagfit.data.sources.task import Task, folder_reader
from tagfit.data.sources.text import lines_of, read_bytes, read_text
from tagfit.errors import DataError

_LINE = re.compile(r"(\d{1,6}|[A-Za-z_]\w*)(?:\s+-?(?:\d+(?:\.\d*)?|\.\d+)(?:e-?\d+)?){4,}", re.IGNORECASE)


def _is_meant(head: Head) -> bool:
    return bool(head.lines) and all(map(_LINE.fullmatch, head.lines[:20]))


def _read(task: Task) -> Rows:
    rows = gather(each_beside(task), _row, task.faults)
    known = {row.image for row in rows}
    rows += [Row(image, image, (), is_blank=True) for image in task.listing.images if image not in known]
    if not any(name.isdecimal() for row in rows for name in row.yes or ()):
        return task.rows(rows, lambda row: row)
    names = class_names(task)
    declared = [name for _, name in sorted(names.names.items())]
    return task.rows(rows, lambda row: _named(row, names), declared=declared, reading=names.reading)


def _row(file: Beside) -> Row:
    lines = lines_of(read_text(file.path, file.name)) if read_bytes(file.path).strip() else []
    matches = {line: _LINE.fullmatch(line.strip()) for line in lines if line.strip()}
    if wrong := [line for line, match in matches.items() if match is None]:
        raise DataError(f"{file.name}: expected a class number and a box on each line; got {shortened(wrong[0])}.")
    return Row(file.image, file.name, {match[1] for match in matches.values() if match})


def _named(row: Row, names: ClassNames) -> Row:
    if wrong := [name for name in row.yes or () if not name.isdecimal()]:
        raise DataError(f"{row.where}: expected numbers of classes, as in the other files; got {wrong[0]!r}.")
    return replace(row, yes={names.name(int(number), row.where) for number in row.yes or ()})


YOLO = folder_reader(
    "yolo",
    "YOLO's text beside each image",
    lambda listing: files_beside(listing, ".txt", _is_meant),
    _read,
    options=("label_names",),
)
