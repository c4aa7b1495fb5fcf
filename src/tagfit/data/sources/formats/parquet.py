"""Parquet, with images as bytes or as paths: the files of a folder are the shards and the parts of one data set.

Class numbers are named by the features that Hugging Face writes into a file, by an option, or by a file beside it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from tagfit.data.sources.documents import Node
from tagfit.data.sources.tabular import MOST_BYTES, Record, records_reader
from tagfit.data.sources.task import Task
from tagfit.errors import DataError, demand_extra

#: bytes that Python takes for a row and for a cell of it, at least
_ROW, _CELL = 232, 32
#: bytes and rows that are unpacked at a time
_PIECE, _FEWEST_AT_ONCE, _MOST_AT_ONCE = 1 << 28, 1 << 4, 1 << 13


def _records(task: Task) -> list[Record]:
    """The rows of a file; the first column that holds images becomes their names and their bytes."""
    rows, features = _rows(task)
    names = {key: dict(enumerate(_class_names(features, key))) for key in (rows[0] if rows else ())}
    held = [key for key in names if any(_bytes(row[key]) is not None for row in rows[:10])]
    records = []
    for at, row in enumerate(rows, 1):
        place = f"{task.name}:{at}"
        cells = {key: _named(cell, names[key]) for key, cell in row.items() if key not in held}
        image = row[held[0]] if held else None
        if held and not _bytes(image):
            task.faults.add(f"{place}: there is no image.", "Leave out rows without an image.")
        name = {"image": (image.get("path") if isinstance(image, dict) else None) or place} if held else {}
        records.append(Record(place, name | cells, _bytes(image) or b""))
    return records


def _rows(task: Task) -> tuple[list[dict[str, Any]], Node]:
    """The rows, and what Hugging Face writes about the columns."""
    demand_extra("reading Parquet", "parquet")
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        opened = pq.ParquetFile(task.file.path)
        groups = (opened.metadata.row_group(at) for at in range(opened.metadata.num_row_groups))
        size = sum(group.total_byte_size for group in groups)
        written = json.loads((opened.schema_arrow.metadata or {}).get(b"huggingface", b"{}"))
        size = max(size, opened.metadata.num_rows * (_ROW + _CELL * opened.metadata.num_columns))
        rows = list(_unpacked(opened, task)) if size <= MOST_BYTES else []
    except (pa.ArrowException, OSError, ValueError, KeyError, RecursionError) as error:
        raise DataError(f"{task.name}: cannot be read as Parquet: {str(error)[:200]}.") from error
    if size > MOST_BYTES:
        raise _too_large(task, size)
    return rows, Node(written, task.name).get("info").get("features")


def _unpacked(opened: Any, task: Task) -> Iterator[dict[str, Any]]:
    """The rows; what a file says of its size is of values as they are packed."""
    groups = [opened.metadata.row_group(at) for at in range(opened.metadata.num_row_groups)]
    chunks = [group.column(at).total_uncompressed_size for group in groups for at in range(group.num_columns)]
    at_once = min(max(_PIECE // max([1, *chunks]), _FEWEST_AT_ONCE), _MOST_AT_ONCE)
    size = opened.metadata.num_rows * (_ROW + _CELL * opened.metadata.num_columns)
    for batch in opened.iter_batches(batch_size=at_once):
        size += sum(_plain(column).nbytes for column in batch.columns)
        if size > MOST_BYTES:
            raise _too_large(task, size)
        yield from batch.to_pylist()


def _plain(column: Any) -> Any:
    """A column of which each value stands for itself."""
    return column.dictionary_decode() if hasattr(column, "dictionary_decode") else column


def _too_large(task: Task, size: int) -> DataError:
    todo = "Write its images as files, and its labels as a CSV with their names."
    return DataError(f"{task.name}: holds more than {size >> 30} GB, more than memory can take.", todo)


def _bytes(cell: object) -> bytes | None:
    """The image in a cell, which is bytes, or Hugging Face's `{"bytes": ..., "path": ...}`."""
    value = cell.get("bytes") if isinstance(cell, dict) else cell
    return value if isinstance(value, bytes) else None


def _class_names(features: Node, column: str) -> list[str]:
    feature = features.get(column)
    inner = feature.items[0] if isinstance(feature.value, list) and feature.value else feature.get("feature")
    return (feature if inner.value is None else inner).get("names").texts


def _named(cell: object, names: Mapping[int, str]) -> object:
    """A name in place of a class number; -1 is none."""
    if not names:
        return cell
    return [_named(one, names) for one in cell] if isinstance(cell, list) else names.get(cell)  # type: ignore[call-overload]


PARQUET = records_reader("parquet", "Parquet", lambda head: head.raw.startswith(b"PAR1"), _records, are_shards=True)
