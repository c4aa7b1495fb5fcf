"""iMaterialist's lists of images and annotations, joined by `imageId`, as images are called; numbers are the names."""

from __future__ import annotations

from tagfit.data.sources.documents import Node
from tagfit.data.sources.rows import Row, Rows
from tagfit.data.sources.task import Task, document_reader


def _rows(document: Node, task: Task) -> Rows:
    annotations = document.get("annotations")
    labels: dict[str, list[str]] = {}
    for one in annotations.items:
        labels.setdefault(one.first("imageId", "image_id").id, []).extend(
            label.id for label in one.first("labelId", "label_id").records
        )
    return task.rows(document.get("images").items, lambda image: _row(image, labels))


def _row(image: Node, labels: dict[str, list[str]]) -> Row:
    key = image.first("imageId", "image_id").id
    return Row(image.first("file_name", "imageId", "image_id").id, image.place, labels.get(key))


IMATERIALIST = document_reader(
    "imaterialist",
    "iMaterialist labels (JSON)",
    [("annotations", "labelId", "imageId"), ("annotations", "label_id", "image_id")],
    _rows,
)
