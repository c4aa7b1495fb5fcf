"""What a Python user holds: arrays, mappings of arrays, frames, Hugging Face datasets.

None of the libraries is imported; a value is recognised by its class. Shapes: N samples, L labels, D features.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Unpack

from tagfit.data.sources.array_like import names_of_columns, plain_array
from tagfit.data.sources.arrays import Block, array_table, blocks_of, is_array_key, names_in, samples
from tagfit.data.sources.faults import Faults
from tagfit.data.sources.files import Root
from tagfit.data.sources.frames import column_names, frame_table, is_frame, rows_differ
from tagfit.data.sources.huggingface import dataset_columns, is_dataset
from tagfit.data.sources.label_table import label_table
from tagfit.data.sources.parts import part_codes
from tagfit.data.sources.reading import OPTIONS, MinusOne, Reading
from tagfit.data.sources.roles import image_column
from tagfit.data.sources.table import Table
from tagfit.data.sources.tables import rows_of_table
from tagfit.errors import DataError, did_you_mean
from tagfit.options.data import ReadingKeywords
from tagfit.records.data import LabelTable


def from_memory(
    data: object, *, images: str | Path | None = None, name: str = "data", **options: Unpack[ReadingKeywords]
) -> LabelTable:
    """Read a frame, a Hugging Face dataset or a mapping of arrays; see the function of each, and `ReadingOptions`.

    Raises:
        DataError: anything else, an argument that the data has no use for, or with every fault that was found.
    """
    if is_dataset(data):
        return from_huggingface(data, images=images, name=name, **options)
    if is_frame(data):
        return from_frame(data, images=images, name=name, **options)
    if not isinstance(data, Mapping):
        raise DataError(
            f"expected a path, a frame, a dataset or a mapping of arrays; got {type(data).__name__}.",
            "Arrays are given as {'X': x, 'y': y}, or with X_train, y_train, X_val, y_val.",
        )
    reading, faults = Reading(**options), Faults()
    reading.refuse(OPTIONS - {"label_names", "minus_one"}, "arrays", faults)
    if images is not None:
        faults.add("arrays: images was given, but arrays hold the samples themselves.", "Leave it out.")
    faults.check()
    return from_mapping(data, label_names=reading.names, minus_one=reading.minus_one, name=name)


# ------------------------------------------------------------------------------------------------ arrays


def from_arrays(
    x: object,
    y: object,
    *,
    label_names: Sequence[str] | None = None,
    split: Sequence[str] | None = None,
    minus_one: MinusOne | None = None,
    name: str = "arrays",
) -> LabelTable:
    """Read features or pixels with their labels.

    Args:
        x: (N, D) numbers, a numeric frame, or (N, H, W, 3) images from 0 to 255 (or p / 255).
        y: (N, L) of 0, 1 and -1 or nan for unknown; the columns of a frame are the label names.
        label_names: (L,) names; without them, and without a frame, they are counted.
        split: (N,) of train, val, calibrate, test.
        minus_one: what -1 means; by default unknown beside 0, and refused without any 0.

    Raises:
        DataError: with every fault that was found.
    """
    faults = Faults()
    block = Block(plain_array(x, "X"), plain_array(y, "y"), feature_names=names_of_columns(x))
    _check_rows(x, y, block, faults)
    label_names = _framed_names([y], "y", faults) if label_names is None else label_names
    table = array_table([block], name, names=label_names, minus_one=minus_one, faults=faults)
    if split is None:
        return table
    parts = list(split)
    if len(parts) != len(table):
        faults.add(f"split has {len(parts)} entries for {len(table)} samples.", "Give one part for each sample.")
    codes = part_codes(parts, [f"split[{row}]" for row in range(len(parts))], faults)
    faults.check()
    return replace(table, given_split=codes)


def from_mapping(
    arrays: Mapping[str, object],
    *,
    label_names: Sequence[str] | None = None,
    minus_one: MinusOne | None = None,
    name: str = "arrays",
) -> LabelTable:
    """Read arrays by name: `X`, `y`, or `X_train`, `y_train`, `X_val`, ... as a Keras script has them.

    The columns of a frame, or an entry `feature_names`, name the features; parts may have them in any order.

    Args:
        label_names: (L,) names; without them those of an entry `label_names`, or of frames, else they are counted.

    Raises:
        DataError: with every fault that was found.
    """
    faults = Faults()
    known = {key: value for key, value in arrays.items() if isinstance(key, str) and is_array_key(key)}
    held = {key: plain_array(value, key) for key, value in known.items()}
    entry = names_in(held.pop("label_names", None), name, faults)
    others = [str(key) for key in arrays if key not in known]
    blocks = blocks_of(held, name, faults, others)
    if not blocks:
        faults.check()
    blocks = [replace(one, feature_names=names_of_columns(known[one.x_name]) or one.feature_names) for one in blocks]
    for block in blocks:
        _check_rows(known[block.x_name], known[block.y_name], block, faults)
    framed = _framed_names([known[block.y_name] for block in blocks], "y", faults)
    label_names = next((names for names in (label_names, entry, framed) if names is not None), None)
    table = array_table(blocks, name, names=label_names, minus_one=minus_one, faults=faults)
    note = (f"Arrays that are not read: {', '.join(others)}.",) if others else ()
    return replace(table, notes=note + table.notes)


def _check_rows(x: object, y: object, block: Block, faults: Faults) -> None:
    if rows_differ(x, y):
        faults.add(
            f"{block.x_name} and {block.y_name} have different row labels (index).", "Align them: y = y.loc[X.index]."
        )


def _framed_names(values: Sequence[object], what: str, faults: Faults) -> Sequence[str] | None:
    """The column names of frames, None without any; the parts of a split must agree, or columns would be mixed up."""
    names = {tuple(column_names(value, faults)) for value in values if is_frame(value)}
    if len(names) > 1:
        faults.add(
            f"The parts of {what} have different columns, or in a different order.", "Give all the same columns."
        )
    return next(iter(names), None)


# ------------------------------------------------------------------------------------- frames and datasets


def from_frame(
    frame: object, *, images: str | Path | None = None, name: str = "frame", **options: Unpack[ReadingKeywords]
) -> LabelTable:
    """Read a pandas or polars frame with a column of images' paths; labels as in delimited text, or as lists.

    Without `images` paths may be absolute, or start at the working directory; with it they may not leave it.

    Raises:
        DataError: with every fault that was found.
    """
    faults, reading, root = Faults(), Reading(**options), _root(images)
    reading.refuse({"header"}, "the frame", faults)
    table = frame_table(frame, faults)
    if reading.label_columns and reading.image_column is None and image_column(table, root, reading) is None:
        return _features(frame, table, reading, name, faults)
    return label_table(rows_of_table(table, root, reading, faults), name, root, reading, faults)


def _features(frame: Any, table: Table, reading: Reading, name: str, faults: Faults) -> LabelTable:
    """A frame without images: the columns of labels that were named, and features."""
    labels, split = reading.label_columns, reading.split_column
    for column in (column for column in (*labels, split) if column is not None and column not in table.columns):
        faults.add(f"the frame: there is no column {column!r}.{did_you_mean(column, table.columns)}", "Correct it.")
    faults.check()
    held = dict(zip(table.columns, frame.columns, strict=True))  # a column's name need not be text
    features = [held[column] for column in held if column not in (*labels, split)]
    x, y = frame[features], frame[[held[column] for column in labels]]
    block = Block(plain_array(x, "X"), plain_array(y, "y"), feature_names=names_of_columns(x))
    found = array_table([block], name, names=labels, minus_one=reading.minus_one, faults=faults)
    if split is None:
        return found
    parts = part_codes(table.columns[split], table.where, faults)
    faults.check()
    return replace(found, given_split=parts)


def from_huggingface(
    dataset: object, *, images: str | Path | None = None, name: str = "dataset", **options: Unpack[ReadingKeywords]
) -> LabelTable:
    """Read a Dataset, or a DatasetDict whose splits become the given split.

    Samples are an `Image` column, a string column of paths, or a column `features` of numbers. Labels are a column
    `labels` of ClassLabels or strings, alone or in lists, or one 0/1 column a label.

    Raises:
        DataError: with every fault that was found.
    """
    faults, reading = Faults(), Reading(**options)
    reading.refuse({"header"}, "the dataset", faults)
    columns = dataset_columns(dataset, faults)
    note = (f"Columns that are not read: {', '.join(columns.left_out)}.",) if columns.left_out else ()
    holds_samples = columns.encoded is not None or columns.x is not None
    if images is not None and holds_samples:
        faults.add("images was given, but the dataset holds the samples themselves.", "Leave it out.")
    notes: list[str] = []
    x = None if columns.x is None else samples(columns.x, "features", faults, notes)
    root = _root(images)
    rows = rows_of_table(columns.table, None if holds_samples else root, reading, faults)
    rows = replace(rows, encoded=columns.encoded, x=x, notes=(*note, *notes, *rows.notes))
    return label_table(rows, name, root, reading, faults)


def _root(images: str | Path | None) -> Root:
    return Root(Path.cwd(), confined=False) if images is None else Root.of(Path(images))
