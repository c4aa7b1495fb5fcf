"""Prodigy's exports of choices: `{"image": "a.jpg", "options": [...], "accept": ["sea"], "answer": "accept"}` a line.

A task that was rejected or ignored was never labelled.
"""

from __future__ import annotations

from tagfit.data.sources.documents import Node, image_of
from tagfit.data.sources.rows import Row
from tagfit.data.sources.task import row_reader


def _row(record: Node) -> Row:
    path = record.get("path")
    image = (image_of(record) if path.value is None else path).text
    texts = {one.get("id").id: one.get("text").text for one in record.get("options").items}
    chosen = [one.id for one in record.get("accept").items]
    named = {texts.get(one, one) if one.isdecimal() else one for one in chosen}
    return Row(image, record.place, named if record.get("answer").value == "accept" else None)


PRODIGY = row_reader("prodigy", "a Prodigy export (JSON lines)", [("accept", "answer", "options")], _row)
