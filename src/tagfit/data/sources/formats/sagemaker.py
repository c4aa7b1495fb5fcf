"""Amazon SageMaker Ground Truth and Rekognition: a manifest of JSON lines, each attribute beside its `-metadata`.

An attribute holds a class number, a list of them, or boxes of objects with one each, which `class-map` or `class-name`
names. Without either, the names have to be given.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tagfit.data.sources.class_names import named
from tagfit.data.sources.documents import Node, gather
from tagfit.data.sources.rows import Row, Rows
from tagfit.data.sources.task import Task, document_reader
from tagfit.errors import DataError

_IMAGE, _METADATA = "source-ref", "-metadata"


def _rows(document: Node, task: Task) -> Rows:
    records = document.records
    keys = dict.fromkeys(key for record in records for key, _ in record.pairs)
    found = [key for key in keys if key + _METADATA in keys] or [key for key in keys if key != _IMAGE]
    chosen = task.reading.label_columns or found
    metadata = {key: [record.get(key + _METADATA) for record in records] for key in chosen}
    mapped = [key for key in chosen if any(one.get("class-map").value for one in metadata[key])]
    is_named = mapped or any(one.get("class-name").value for held in metadata.values() for one in held)
    if not set(chosen) <= set(found) or len(mapped) > 1 or (len(chosen) != 1 and not is_named):
        raise DataError(
            f"{task.name}: expected one attribute of labels; it has {', '.join(found) or 'none'}.",
            "Name those that count with --label-column (label_column).",
        )
    rows = gather(records, lambda record: _row(record, chosen, bool(is_named)), task.faults)
    if is_named:
        return task.rows(rows, lambda row: row)
    numbers, where = [list(map(int, row.yes or ())) for row in rows], [row.where for row in rows]
    labels, names = named(numbers, where, task)
    pairs = zip(rows, labels, strict=True)
    return task.rows(pairs, lambda pair: replace(pair[0], yes=pair[1]), reading=names.reading)


def _row(record: Node, attributes: Sequence[str], is_named: bool) -> Row:
    found = [_labels(record.get(name), record.get(name + _METADATA), is_named) for name in attributes]
    labels = [name for held in found for name in held or ()]
    return Row(record.get(_IMAGE).text, record.place, None if all(held is None for held in found) else labels)


def _labels(value: Node, metadata: Node, is_named: bool) -> list[str] | None:
    """Names of the classes, or their numbers if there are none; None if nobody labelled it, or this failed."""
    if value.value is None or metadata.get("failure-reason").value:
        return None
    if metadata.get("class-name").value:
        return metadata.get("class-name").texts
    is_boxes = isinstance(value.value, dict)
    numbers = [one.get("class_id") for one in value.get("annotations").items] if is_boxes else value.records
    names = dict(metadata.get("class-map").pairs)
    missing = [one for one in numbers if is_named and str(one.number) not in names]
    if missing:
        raise missing[0].wrong(f"a class of class-map ({', '.join(names) or 'none is there'})")
    return [names[str(one.number)].text if is_named else str(one.number) for one in numbers]


SAGEMAKER = document_reader(
    "sagemaker", "a SageMaker manifest", [(_IMAGE,)], _rows, options=("label_column", "label_names")
)
