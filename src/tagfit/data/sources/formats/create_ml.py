"""Apple's Create ML, as Roboflow exports it too: `[{"image": "a.jpg", "annotations": [{"label": "car", ...}]}]`."""

from __future__ import annotations

from tagfit.data.sources.documents import Node
from tagfit.data.sources.rows import Row
from tagfit.data.sources.task import row_reader


def _row(record: Node) -> Row:
    annotations = record.first("annotations", "annotation")
    names = {one.get("label").text for one in annotations.items}
    image = record.first("image", "imagefilename").text
    return Row(image, record.place, names if annotations.value is not None else None)


CREATE_ML = row_reader(
    "create-ml",
    "Create ML annotations (JSON)",
    [("image", "annotations", "coordinates"), ("imagefilename", "annotation", "coordinates")],
    _row,
)
