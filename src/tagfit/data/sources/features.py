"""Tables without images: columns of features and columns of labels, one row a sample.

Labels are the columns that the person names. Without a name, they are the columns of 0 and 1 that are called so
(`label_3`, `y1`), or all columns of 0 and 1 beside features that are one numbered series (`f0` to `f19`). Anything else
is a question: features may be 0 and 1 as well. Row numbers are left out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from tagfit.data.sources.arrays import Block, array_table
from tagfit.data.sources.columns import Column, series
from tagfit.data.sources.delimited import find_delimiter
from tagfit.data.sources.faults import Faults, shortened
from tagfit.data.sources.files import Root
from tagfit.data.sources.listing import Head, Listing
from tagfit.data.sources.numbers import chunks, parse
from tagfit.data.sources.parts import PART_NAMES, part_codes
from tagfit.data.sources.reader import LabelFile, Reader, Source
from tagfit.data.sources.reading import Reading
from tagfit.data.sources.roles import image_column
from tagfit.data.sources.table import Table
from tagfit.data.sources.tables import first_rows
from tagfit.errors import did_you_mean
from tagfit.records.data import LabelTable

_ROW_NUMBERS = {"id", "idx", "index", "row"}


def read_features(source: Source, reading: Reading, faults: Faults) -> LabelTable:
    """Read the files of a source, which are the parts of one split if they are several."""
    sample = first_rows(source.listing.head(source.files[0].name))
    labels = _labels(sample, reading, faults)
    faults.check()
    split = _split_column(sample, reading)
    numbered = [name for name in sample.columns if _is_row_number(Column(name, ()))]
    features = [name for name in sample.columns if name not in {*labels, *numbered, split}]
    blocks, parts, names = [], [], list(sample.columns)
    for file in source.files:
        values_NC, texts = _read_one(source.listing.head(file.name), names, split, faults)
        blocks.append(_block(values_NC, names, features, labels, file))
        parts += texts
    faults.check()
    found = array_table(blocks, source.title, names=labels, minus_one=reading.minus_one, faults=faults)
    if split is not None:
        found = replace(found, given_split=part_codes(parts, found.sample_names, faults))
        faults.check()
    return replace(found, reading=_lines(features, labels, split, numbered))


def _lines(
    features: Sequence[str], labels: Sequence[str], split: str | None, left_out: Sequence[str]
) -> tuple[str, ...]:
    lines = [f"{len(features)} columns are features: {', '.join(features[:8])}{', ...' if len(features) > 8 else ''}."]
    lines.append(f"Labels are in one column each: {', '.join(labels[:8])}{', ...' if len(labels) > 8 else ''}.")
    lines += [f"The split is column {split!r}."] if split else []
    return (*lines, f"Left out as row numbers: {', '.join(left_out)}.") if left_out else tuple(lines)


def _labels(sample: Table, reading: Reading, faults: Faults) -> Sequence[str]:
    for name in reading.label_columns:
        if name not in sample.columns:
            faults.add(
                f"{sample.head}: there is no column {name!r}.{did_you_mean(name, sample.columns)}", "Correct it."
            )
    if reading.label_columns:
        return reading.label_columns
    columns = [Column(name, cells) for name, cells in sample.columns.items()]
    flagged = [column.name for column in columns if column.flags is not None]
    called = [column.name for column in columns if column.name in flagged and _is_called_label(column)]
    rest = [column.name for column in columns if column.name not in flagged and not _is_row_number(column)]
    if called:
        return called
    if len(flagged) > 1 and series(rest):
        return flagged
    faults.add(
        f"{sample.head}: has no column of images, so its rows are features, and it is not clear which columns are "
        f"labels; {', '.join(map(repr, flagged[:12])) or 'none of them'} hold 0 and 1.",
        "Name each with --label-column (in Python: label_column=[...]). If a column names images: --image-column.",
    )
    return ()


def _is_row_number(column: Column) -> bool:
    return bool(column.words & _ROW_NUMBERS) or column.name.startswith("column ")


def _is_called_label(column: Column) -> bool:
    return column.names_labels or column.words == {"y"}


def _split_column(sample: Table, reading: Reading) -> str | None:
    found = [
        name for name, cells in sample.columns.items() if {str(c).strip().lower() for c in cells} <= set(PART_NAMES)
    ]
    return reading.split_column or next(iter(found), None)


def _block(
    values_NC: NDArray[np.float32],
    names: Sequence[str],
    features: Sequence[str],
    labels: Sequence[str],
    file: LabelFile,
) -> Block:
    x_ND, y_NL = (values_NC[:, [names.index(name) for name in which]] for which in (features, labels))
    return Block(x_ND, y_NL, file.name, f"the labels of {file.name}", file.part, tuple(features))


# ------------------------------------------------------------------------------------------------- numbers


def _read_one(
    head: Head, names: Sequence[str], split: str | None, faults: Faults
) -> tuple[NDArray[np.float32], list[object]]:
    """(N, C) of all columns, and the cells of the split column."""
    delimiter, start = find_delimiter(head.text), head.raw.index(b"\n") + 1
    lines = sum(chunk.count(b"\n") + 1 for chunk in chunks(head.path, start))
    most = head.path.stat().st_size // len(names) + 1  # a row has a byte a cell, at least
    values_NC = np.empty((min(lines, most), len(names)), np.float32)
    texts: dict[int, object] = {}
    rows = 0
    for chunk in chunks(head.path, start):
        count, odd, wrong = parse(chunk, delimiter, values_NC[rows:])
        if wrong >= 0:
            faults.add(f"{head.name}:{rows + wrong + 2}: expected {len(names)} cells as in the header.")
            faults.check()
        for row, column, begin, end in odd.tolist():
            text = chunk[begin:end].decode("utf-8", "replace").strip().strip('"')
            if names[column] == split:
                texts[rows + row] = text
            else:
                values_NC[rows + row, column] = _number(text, f"{head.name}:{rows + row + 2}", names[column], faults)
        rows += count
    return values_NC[:rows], [texts.get(row) for row in range(rows)] if split else []


#: larger numbers are infinite in float32
_LARGEST = float(np.finfo(np.float32).max)
_WORDS: Mapping[str, float] = {"true": 1.0, "false": 0.0, "": np.nan, "?": np.nan, "na": np.nan, "null": np.nan}


def _number(text: str, place: str, column: str, faults: Faults) -> float:
    try:
        number = _WORDS[text.lower()] if text.lower() in _WORDS else float(text)
        return math.copysign(math.inf, number) if abs(number) > _LARGEST else number
    except ValueError:
        faults.add(f"{place}: expected a number in column {column!r}; got {shortened(text)}.")
        return np.nan


# ------------------------------------------------------------------------------------------------ the reader


def _recognise(head: Head, listing: Listing) -> bool:
    """A table of numbers alone, beside a split."""
    if head.suffix not in (".csv", ".tsv", ".txt") or b"\n" not in head.raw or b"\0" in head.raw[:1024]:
        return False
    table = first_rows(head)
    if (
        len(table.columns) < 2
        or not len(table)
        or _is_numeric([*table.columns][:2])
        or image_column(table, Root.of(listing.folder, listing), Reading())
    ):
        return False
    return all(_is_numeric(cells) or _is_split(cells) for cells in table.columns.values())


def _is_split(cells: Sequence[object]) -> bool:
    return {str(cell).strip().lower() for cell in cells} <= set(PART_NAMES)


def _is_numeric(cells: Sequence[object]) -> bool:
    """Whether most cells are numbers; what is none is a fault when it is read."""
    ignored = Faults()
    for cell in cells:
        _number(str(cell).strip().replace(",", "."), "", "", ignored)
    return 5 * len(ignored) < len(cells)


FEATURES = Reader(
    "features",
    "a table of features and labels (CSV)",
    read_features,
    of_file=_recognise,
    options=frozenset(("label_column", "split_column", "minus_one")),
    takes_images=False,
)
