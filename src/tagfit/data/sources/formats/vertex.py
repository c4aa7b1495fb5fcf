"""Google Vertex AI and AutoML: import files as JSON lines, or as lines such as `TRAIN,gs://bucket/a.jpg,rose,daisy`."""

from __future__ import annotations

from tagfit.data.sources.documents import Node
from tagfit.data.sources.listing import Head
from tagfit.data.sources.rows import Row
from tagfit.data.sources.task import file_reader, row_reader

_USE = "aiplatform.googleapis.com/ml_use"
_USES = {"train": "train", "training": "train", "validate": "val", "validation": "val", "test": "test"}


def _row(record: Node) -> Row:
    annotations = record.first("classificationAnnotations", "classificationAnnotation", "boundingBoxAnnotations")
    names = [one.get("displayName").text for one in annotations.records if one.value is not None]
    use = record.get("dataItemResourceLabels").get(_USE)
    yes = None if annotations.value is None else names
    return Row(record.get("imageGcsUri").text, record.place, yes, split=use.text if use.value else None)


def _line(numbered: tuple[str, str]) -> Row:
    place, line = numbered
    cells = _cells(line)
    use = "" if "://" in cells[0] else cells.pop(0).lower()
    image, *labels = cells or [""]
    return Row(image, place, set(filter(None, labels)), is_blank=not any(labels), split=_USES.get(use))


def _cells(line: str) -> list[str]:
    return [cell.strip(' "') for cell in line.split(",")]


def _recognise(head: Head) -> bool:
    first, second, *_ = *_cells(head.lines[0] if head.lines else ""), ""
    return first.startswith("gs://") or (second.startswith("gs://") and first.lower() in {*_USES, "unassigned", ""})


VERTEX = row_reader("vertex", "Vertex AI labels (JSON lines)", [("imageGcsUri",)], _row)
VERTEX_LINES = file_reader(
    "vertex-lines", "Vertex AI labels (CSV without a header)", _recognise, lambda task: task.rows(task.lines(), _line)
)
