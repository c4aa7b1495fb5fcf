"""FiftyOne's exports: `manifest.json` with one JSON an image, `labels.json`, and `samples.json`.

Classifications and detections alike give an image their labels.
"""

from __future__ import annotations

from os.path import realpath
from pathlib import Path

from tagfit.data.sources.documents import Node, gather, label_keys, read_document, with_parts
from tagfit.data.sources.names import is_writable
from tagfit.data.sources.parts import PART_NAMES
from tagfit.data.sources.rows import Row, Rows
from tagfit.data.sources.task import Task, document_reader
from tagfit.errors import DataError


def _rows(document: Node, task: Task) -> Rows:
    classes = document.get("classes").texts
    if document.get("index").value is not None:
        return task.rows(document.get("index").items, lambda entry: _of_manifest(entry, task))
    if document.get("samples").value is not None:
        samples = document.get("samples").items
        field = _field(samples, task)
        rows = gather(samples, lambda sample: _of_sample(sample, field), task.faults)
        return task.rows(with_parts(rows), lambda row: row)
    return task.rows(document.get("labels").pairs, lambda pair: _of_labels(*pair, classes), declared=classes or None)


def _of_manifest(entry: Node, task: Task) -> Row:
    """The values of the attributes in an image's own JSON, and the labels of the objects there."""
    name, folder = entry.get("labels").text, task.file.path.parent
    if not is_writable(name) or not Path(realpath(folder / name)).is_relative_to(realpath(folder)):
        raise DataError(f"{entry.place}: {name} is outside the folder of the data.")
    labels = read_document(folder / name, name, task.faults)
    objects = labels.get("objects").get("objects").items
    values = [one.get("value") for holder in (labels, *objects) for one in holder.get("attrs").get("attrs").items]
    names = {node.text for node in (*values, *(one.get("label") for one in objects)) if isinstance(node.value, str)}
    return Row(entry.get("data").text, entry.place, names)


def _of_labels(image: str, labels: Node, classes: list[str]) -> Row:
    """Of `{"classes": [...], "labels": {"a": 3}}`: a number or a name, a list of them, or objects with one each."""
    given = [one.get("label") if isinstance(one.value, dict) else one for one in labels.records]
    wrong = [one for one in given if classes and not isinstance(one.value, str) and not 0 <= one.number < len(classes)]
    if labels.value is not None and wrong:
        raise wrong[0].wrong(f"one of {len(classes)} classes")
    named = (one.text if isinstance(one.value, str) or not classes else classes[one.number] for one in given)
    return Row(image, labels.place, set(named) if labels.value is not None else None)


def _field(samples: list[Node], task: Task) -> str:
    """The field of samples that holds labels; of several, `ground_truth` or the one that was named."""
    held: dict[str, list[object]] = {}
    for key, node in (pair for sample in samples for pair in sample.pairs):
        if isinstance(node.value, dict) and "_cls" in node.value and key != "metadata":
            held.setdefault(key, []).append(node.value)
    if not task.reading.label_columns and "ground_truth" in held:
        return "ground_truth"
    keys = label_keys(held, task.reading, task.name)
    if len(keys) > 1:
        raise DataError(f"{task.name}: several fields hold labels: {', '.join(keys)}.", "Name one: --label-column.")
    return keys[0]


def _of_sample(sample: Node, field: str) -> Row:
    held = sample.get(field)
    listed = [one for key in ("classifications", "detections", "polylines") for one in held.get(key).items]
    names = {one.get("label").text for one in (*listed, held) if one.get("label").value is not None}
    parts = [tag for tag in sample.get("tags").texts if tag.lower() in PART_NAMES]
    split = parts[0] if len(parts) == 1 else None
    return Row(sample.get("filepath").text, sample.place, names if held.value is not None else None, split=split)


FIFTYONE = document_reader(
    "fiftyone",
    "a FiftyOne export (JSON)",
    [("index", "data", "labels"), ("samples", "filepath", "_cls"), ("classes", "labels")],
    _rows,
    options=("label_column",),
)
