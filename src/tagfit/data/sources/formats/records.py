"""JSON with one object for each image, if a table of such objects is not enough.

In a list `[{"file_name": "a.jpg", "labels": [1, 3]}]` the labels are class numbers, as in ML-GCN's `train_anno.json`
beside `category.json`; `{"images": [{"file_name": "a.jpg", "labels": ["sea"]}]}` holds the list in a larger object;
`{"labels": ["sea"]}` lies in `a.json` beside `a.jpg`.
"""

from __future__ import annotations

import re

from tagfit.data.sources.beside import Beside, each_beside, files_beside
from tagfit.data.sources.columns import IMAGE_NAMES, LABELS_NAMES, Column, pick
from tagfit.data.sources.documents import Node, gather, read_document
from tagfit.data.sources.faults import Faults
from tagfit.data.sources.listing import Head
from tagfit.data.sources.tabular import OPTIONS, Record, records_reader, rows_of_records
from tagfit.data.sources.task import Task, folder_reader
from tagfit.errors import DataError
from tagfit.images.decode import IMAGE_SUFFIXES

_ENDINGS = "|".join(map(re.escape, IMAGE_SUFFIXES))
_IMAGE = re.compile(rf'"(?:{"|".join(IMAGE_NAMES)})"\s*:\s*"[^"]+(?:{_ENDINGS})"', re.IGNORECASE)
_NUMBERS = re.compile(rf'"(?:{"|".join(LABELS_NAMES)})"\s*:\s*(?:\[\s*\d|[2-9]|1\d)', re.IGNORECASE)
#: keys of formats whose images and labels are lists of their own
_JOINED = {"category_id", "category_ids", "categories", "image_id", "imageId"}


def _recognise(head: Head) -> bool:
    text = head.text.lstrip()
    if text[:1] not in ("{", "[") or head.keys & _JOINED or not _IMAGE.search(text):
        return False
    is_larger = text.startswith("{") and not isinstance(head.row.get(pick(head.row, IMAGE_NAMES) or ""), str)
    return pick(head.keys, LABELS_NAMES) is not None and (is_larger or _NUMBERS.search(text) is not None)


def _records(task: Task) -> list[Record]:
    return list(map(_record, _objects(read_document(task.file.path, task.name, task.faults))))


def _record(node: Node) -> Record:
    return Record(node.place, {key: value.value for key, value in node.pairs})


def _objects(document: Node) -> list[Node]:
    """One object an image: the items of a list, or of the one list of images in an object."""
    if isinstance(document.value, list):
        return document.items
    lists = [node.items for _, node in document.pairs if isinstance(node.value, list)]
    of_images = [one for one in lists if one and isinstance(one[0].value, dict) and pick(one[0].value, IMAGE_NAMES)]
    if len(of_images) != 1:
        keys = ", ".join(key for key, _ in document.pairs[:8])
        raise DataError(f"{document.place}: expected one list of images; got {keys}.")
    return of_images[0]


def _is_record(head: Head) -> bool:
    document = head.document
    if not isinstance(document, dict) or head.keys & {"objects", "shapes"}:
        return False
    lists = (
        key for key, held in document.items() if isinstance(held, list) and all(isinstance(one, str) for one in held)
    )
    return bool(pick(document, LABELS_NAMES)) or any(Column(key, ()).names_labels for key in lists)


def _of_file(file: Beside) -> Record:
    cells = _record(read_document(file.path, file.name, Faults())).cells
    return Record(file.name, {**cells, "image": file.image})


RECORDS = records_reader("records", "JSON with one object for each image", _recognise, _records)
RECORDS_BESIDE = folder_reader(
    "records-beside",
    "JSON beside each image",
    lambda listing: files_beside(listing, ".json", _is_record),
    lambda task: rows_of_records([(task, gather(each_beside(task), _of_file, task.faults))]),
    options=OPTIONS,
)
