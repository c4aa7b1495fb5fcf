"""Azure Machine Learning: `{"image_url": "azureml://.../a.jpg", "label": ["can"]}` a line.

A label is a name, a list of names, or the boxes of objects that have one each.
"""

from __future__ import annotations

from tagfit.data.sources.documents import Node
from tagfit.data.sources.rows import Row
from tagfit.data.sources.task import row_reader


def _row(record: Node) -> Row:
    label = record.get("label")
    objects = [one.get("label").text for one in label.records if isinstance(one.value, dict)]
    return Row(record.get("image_url").text, record.place, None if label.value is None else objects or label.texts)


AZURE = row_reader("azure", "Azure ML labels (JSON lines)", [("image_url", "label")], _row)
