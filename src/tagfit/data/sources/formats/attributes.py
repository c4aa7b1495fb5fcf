"""CelebA and DeepFashion: a list of attributes: a count, the names, then a line an image.

DeepFashion names the attributes in a file of their own, and writes 0 for unknown beside -1 for no.
"""

from __future__ import annotations

from collections.abc import Mapping

from tagfit.data.sources.class_names import class_names
from tagfit.data.sources.listing import Head
from tagfit.data.sources.tabular import Record, records_reader
from tagfit.data.sources.task import Task
from tagfit.errors import DataError
from tagfit.images.decode import IMAGE_SUFFIXES

_VALUES = {"-1", "0", "1"}


def _recognise(head: Head) -> bool:
    count, names, row, *_ = *head.lines[:3], "", "", ""
    image, *values = row.split() or [""]
    is_row = image.lower().endswith(IMAGE_SUFFIXES) and bool(values) and set(values) <= _VALUES
    return count.isdecimal() and bool(names) and is_row


def _records(task: Task) -> list[Record]:
    rows = [(place, line.split()) for place, line in task.lines()]
    (_, count), (_, names), *rows = rows if len(rows) > 2 else [("", [])] * 3
    width, faults = len(rows[0][1]) - 1, task.faults
    if len(names) != width > 0:
        found = class_names(task, width)
        names = [found.name(at, task.name) for at in range(width)]
    if count != [str(len(rows))]:
        faults.add(
            f"{task.name}: its first line counts {' '.join(count)} images, but it lists {len(rows)}.",
            "Is the file complete?",
        )
    if len({"image", "split", *names}) < width + 2:
        faults.add(f"{task.name}: attributes must have different names, other than image and split.")
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
    """What to read for each value: if -1 is no beside 0, 0 is unknown."""
    if values == _VALUES and task.reading.minus_one is None:
        raise DataError(
            f"{task.name}: values are 1, 0 and -1, so either 0 or -1 may mean unknown.",
            "Choose what -1 means: --minus-one-is no (0 is then unknown) or --minus-one-is unknown (minus_one).",
        )
    is_no = values == _VALUES and task.reading.minus_one == "no"
    return {"1": "1", "0": "", "-1": "0"} if is_no else {value: value for value in _VALUES}


ATTRIBUTES = records_reader("attributes", "a list of attributes, as CelebA's", _recognise, _records)
