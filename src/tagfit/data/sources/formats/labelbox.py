"""Labelbox's exports (NDJSON and the older JSON): classifications' answers and objects' names are labels."""

from __future__ import annotations

from collections.abc import Iterator

from tagfit.data.sources.documents import Node
from tagfit.data.sources.rows import Row
from tagfit.data.sources.task import row_reader


def _row(record: Node) -> Row:
    if (row := record.get("data_row")).value is not None:
        labels = [one for _, project in record.get("projects").pairs for one in project.get("labels").items]
        names = {name for one in labels for name in _names(one.get("annotations"))}
        return Row(row.first("external_id", "row_data").id, record.place, names if labels else None)
    label = record.get("Label")
    is_labelled = isinstance(label.value, dict) and not record.get("Skipped").value
    image = record.first("External ID", "Labeled Data").id
    return Row(image, record.place, set(_names(label)) if is_labelled else None)


def _names(label: Node) -> Iterator[str]:
    for one in label.get("objects").items:
        yield one.first("name", "title", "value").text
    for one in label.get("classifications").items:
        for answers in map(one.get, ("answer", "answers", "radio_answer", "checklist_answers")):
            for answer in answers.records if answers.value is not None else ():
                yield answer.first("name", "title").text if isinstance(answer.value, dict) else answer.text


LABELBOX = row_reader("labelbox", "a Labelbox export", [("data_row", "projects"), ("Labeled Data", "Label")], _row)
