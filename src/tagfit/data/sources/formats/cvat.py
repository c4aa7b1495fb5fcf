"""CVAT for images (XML): an image has the labels of its tags and of its shapes; `labels` in `meta` declares them.

CVAT lists every image of a task, whether or not somebody looked at it: one without a label is blank.
"""

from __future__ import annotations

from xml.etree.ElementTree import Element

from tagfit.data.sources.documents import read_xml, with_parts
from tagfit.data.sources.rows import Row, Rows
from tagfit.data.sources.task import Task, file_reader
from tagfit.errors import DataError


def _rows(task: Task) -> Rows:
    root = read_xml(task.file.path, task.name)
    if root.find("track") is not None and root.find("image") is None:
        raise DataError(f"{task.name}: is 'CVAT for video'.", "Export 'CVAT for images 1.1'.")
    rows = [_row(image, f"{task.name}: image {at}") for at, image in enumerate(root.iter("image"))]
    names = (name.text.strip() for name in root.iterfind("meta//labels/label/name") if name.text)
    return task.rows(with_parts(rows), lambda row: row, declared=list(dict.fromkeys(names)) or None)


def _row(image: Element, place: str) -> Row:
    labels = {name.strip() for child in image if (name := child.get("label"))}
    return Row(image.get("name", ""), place, labels, is_blank=not labels, split=image.get("subset"))


CVAT = file_reader(
    "cvat",
    "a CVAT export (XML)",
    lambda head: head.text.lstrip().startswith("<") and "<annotations" in head.text[:1000],
    _rows,
)
