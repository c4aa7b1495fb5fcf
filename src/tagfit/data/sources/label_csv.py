"""Labels as our plain CSV: the way out of any format that is read.

Labels are listed in one column, or stand in one column of 0, 1 and blank (unknown) each: whichever says the same when
it is read again. Samples that nobody labelled are left out.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from tagfit.data.sources.delimited import table_of
from tagfit.data.sources.faults import Faults
from tagfit.data.sources.files import Root
from tagfit.data.sources.label_table import label_table
from tagfit.data.sources.reading import Reading
from tagfit.data.sources.tables import rows_of_table
from tagfit.errors import DataError
from tagfit.records.data import NO, PARTS, YES, LabelTable

_CELLS = {YES: "1", NO: "0"}


def label_csv(table: LabelTable, folder: Path) -> str:
    """The text of a CSV whose paths start in a folder.

    Raises:
        DataError: the samples are no image files below that folder, or labels have names that no CSV could tell apart.
    """
    images = list(_images(table, folder))
    for form in (_listed, _in_columns):
        text = _text(form(table), images, table)
        if _says(text, table, folder):
            return text
    raise DataError(f"{table.name}: its labels cannot be written as a CSV that reads back.", "Rename its labels.")


def _images(table: LabelTable, folder: Path) -> Iterator[str]:
    if table.files is None:
        raise DataError(f"{table.name}: its samples are no image files, which a CSV could name.")
    for file in table.files:
        if not file.is_relative_to(folder):
            raise DataError(f"{file} is not below {folder}, where the paths in the CSV would start.")
        yield file.relative_to(folder).as_posix()


def _listed(table: LabelTable) -> Iterator[Sequence[str]]:
    yield ("labels",)
    for row in table.labels_NL == YES:
        yield (";".join(table.label_names[column] for column in row.nonzero()[0]) or "none",)


def _in_columns(table: LabelTable) -> Iterator[Sequence[str]]:
    yield table.label_names
    for row in table.labels_NL.tolist():
        yield [_CELLS.get(code, "") for code in row]


def _text(labels: Iterable[Sequence[str]], images: Sequence[str], table: LabelTable) -> str:
    parts = ["" for _ in images] if table.given_split is None else [PARTS[code] for code in table.given_split]
    split: Callable[[str], list[str]] = (lambda part: []) if table.given_split is None else (lambda part: [part])
    (header, *rows), stream = list(labels), io.StringIO(newline="")
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["image", *header, *split("split")])
    writer.writerows([image, *row, *split(part)] for image, row, part in zip(images, rows, parts, strict=True))
    return stream.getvalue()


def _says(text: str, table: LabelTable, folder: Path) -> bool:
    """Whether it reads as the same labels and split."""
    root, faults = Root.of(folder), Faults()
    try:
        found = label_table(
            rows_of_table(table_of(text, "", Reading(), faults), root, Reading(), faults), "", root, Reading(), faults
        )
        faults.check()
    except DataError:
        return False
    return _by_image(found) == _by_image(table)


def _by_image(table: LabelTable) -> dict[Path, tuple[dict[str, int], int | None]]:
    """Labels that are yes or no, and the part."""
    parts = [None] * len(table) if table.given_split is None else table.given_split.tolist()
    rows = (dict(zip(table.label_names, row, strict=True)) for row in table.labels_NL.tolist())
    return dict(zip(table.files or (), zip(rows, parts, strict=True), strict=True))
