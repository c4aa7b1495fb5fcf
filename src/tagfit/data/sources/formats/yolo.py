"""YOLO: a text beside each image with a class number and a box or an outline a line; `data.yaml` or a list names them.

An image whose text is blank has none of the labels; one without a text is background too, so it is blank.
"""

from __future__ import annotations

import re

from tagfit.data.sources.beside import Beside, each_beside, files_beside
from tagfit.data.sources.class_names import ClassNames, class_names
from tagfit.data.sources.documents import gather
from tagfit.data.sources.faults import shortened
from tagfit.data.sources.listing import Head
from tagfit.data.sources.rows import Row, Rows
from tagfit.data.sources.task import Task, folder_reader
from tagfit.data.sources.text import lines_of, read_bytes, read_text
from tagfit.errors import DataError

_LINE = re.compile(r"(\d{1,6})(?:\s+-?(?:\d+(?:\.\d*)?|\.\d+)(?:e-?\d+)?){4,}", re.IGNORECASE)


def _is_meant(head: Head) -> bool:
    return bool(head.lines) and all(map(_LINE.fullmatch, head.lines[:20]))


def _read(task: Task) -> Rows:
    names = class_names(task)
    rows = gather(each_beside(task), lambda file: _row(file, names), task.faults)
    known = {row.image for row in rows}
    rows += [Row(image, image, (), is_blank=True) for image in task.listing.images if image not in known]
    declared = [name for _, name in sorted(names.names.items())]
    return task.rows(rows, lambda row: row, declared=declared, reading=names.reading)


def _row(file: Beside, names: ClassNames) -> Row:
    lines = lines_of(read_text(file.path, file.name)) if read_bytes(file.path).strip() else []
    matches = {line: _LINE.fullmatch(line.strip()) for line in lines if line.strip()}
    if wrong := [line for line, match in matches.items() if match is None]:
        raise DataError(f"{file.name}: expected a class number and a box a line; got {shortened(wrong[0])}.")
    numbers = {int(match[1]) for match in matches.values() if match}
    return Row(file.image, file.name, {names.name(number, file.name) for number in numbers})


YOLO = folder_reader(
    "yolo",
    "YOLO's text beside each image",
    lambda listing: files_beside(listing, ".txt", _is_meant),
    _read,
    options=("label_names",),
)
