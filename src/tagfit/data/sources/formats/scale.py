"""Scale AI's tasks: the labels of annotations, or the categories of a categorization."""

from __future__ import annotations

from tagfit.data.sources.documents import Node
from tagfit.data.sources.rows import Row, Rows
from tagfit.data.sources.task import Task, document_reader


def _rows(document: Node, task: Task) -> Rows:
    docs = document.value.get("docs") if isinstance(document.value, dict) else None
    return task.rows((document if docs is None else document.get("docs")).records, _row)


def _row(task: Node) -> Row:
    response = task.get("response")
    listed = [response.get("category"), *(one.get("label") for one in response.get("annotations").items)]
    names = {name for node in listed for name in node.texts}
    return Row(task.get("params").get("attachment").text, task.place, names if response.value is not None else None)


SCALE = document_reader("scale", "Scale AI tasks (JSON)", [("task_id", "params", "attachment")], _rows)
