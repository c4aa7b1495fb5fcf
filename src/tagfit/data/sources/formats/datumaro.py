"""Datumaro's JSON, which CVAT exports too: items with annotations of any type, whose labels `categories` declares."""

from __future__ import annotations

from tagfit.data.sources.documents import Node
from tagfit.data.sources.rows import Row, Rows
from tagfit.data.sources.task import Task, document_reader


def _rows(document: Node, task: Task) -> Rows:
    names = [label.get("name").text for label in document.get("categories").get("label").get("labels").items]
    return task.rows(document.get("items").items, lambda item: _row(item, names), declared=names)


def _row(item: Node, names: list[str]) -> Row:
    numbers = [one.get("label_id") for one in item.get("annotations").items]
    labels = {_name(number, names) for number in numbers if number.value is not None}
    path = item.first("image", "media").get("path")
    return Row((path if path.value else item.get("id")).id, item.place, labels, is_blank=not labels)


def _name(number: Node, names: list[str]) -> str:
    if not 0 <= number.number < len(names):
        raise number.wrong(f"one of {len(names)} labels")
    return names[number.number]


DATUMARO = document_reader("datumaro", "a Datumaro export (JSON)", [("categories", "items", "label")], _rows)
