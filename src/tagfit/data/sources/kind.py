"""What kind of label file a file is, told by its content."""

from __future__ import annotations

import codecs
import json
import re
from pathlib import Path
from typing import Literal

from tagfit.errors import DataError

#: `keywords` are those inside the images of a folder, where there is no label file
Kind = Literal["delimited", "jsonl", "coco", "arff", "npz", "keywords"]

#: the kinds that name images, which may stand beside each other as the parts of one split
TABLES: frozenset[Kind] = frozenset(("delimited", "jsonl"))

_HEAD = 1 << 16
_COCO_KEYS = ("images", "categories", "annotations")
_COCO_LIST = re.compile(rf'"(?:{"|".join(_COCO_KEYS)})"\s*:\s*\[')
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
_NOT_READ = (
    (b"PAR1", "a Parquet file", "Read it with pandas or polars and pass the frame, or write it as CSV."),
    (b"\x93NUMPY", "a single array", "Save features and labels together: np.savez('data.npz', X=X, y=y)."),
    (b"\x89HDF", "an HDF5 file", "Save its arrays with np.savez('data.npz', X=X, y=y)."),
    (b"\x1f\x8b", "a gzip archive", "Unpack it first."),
    (b"\xff\xd8\xff", "a JPEG image", "Name the label file, or the folder that holds it."),
    (b"\x89PNG", "a PNG image", "Name the label file, or the folder that holds it."),
    (b"\xd0\xcf\x11\xe0", "an old Office document", "Save it as CSV (UTF-8)."),
    (b"\x80", "a pickle", "Pickles can run code and are never loaded; save arrays with np.savez."),
)


def kind_of(path: Path) -> Kind:
    """Recognise a label file; what is no other kind is taken for delimited text.

    Raises:
        DataError: the file cannot be read, or is of a kind that is known and not read.
    """
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}.") from error
    if head.startswith(_ZIP):
        return "npz"
    for magic, what, todo in _NOT_READ:
        if head.startswith(magic):
            raise DataError(f"{path.name}: expected a label file; this is {what}.", todo)
    return _kind_of_text(path, head.removeprefix(codecs.BOM_UTF8).decode("utf-8", "replace"))


def _kind_of_text(path: Path, head: str) -> Kind:
    lines = [line.strip() for line in head.splitlines()]
    first = next((line for line in lines if line and not line.startswith("%")), "%")
    if first.lower().startswith(("@relation", "@attribute")) or (first == "%" and "%" in head):
        return "arff"
    if first.startswith("<"):
        raise DataError(
            f"{path.name}: expected a label file; this is XML.",
            "Name the .arff file that it belongs to, or the folder of images that it lies in.",
        )
    if first.startswith("{") and _is_coco(first, head):
        return "coco"
    if first.startswith("[") or first == "{":
        raise DataError(
            f"{path.name}: expected one JSON object a line, or COCO's instances; "
            "this is one JSON document over the whole file.",
            'Write it as JSON lines: {"image": "a.jpg", "labels": ["beach"]}.',
        )
    return "jsonl" if first.startswith("{") else "delimited"


def _is_coco(first: str, head: str) -> bool:
    """Whether JSON is COCO's: at least two of its lists in a whole line, or one in the head of a document."""
    try:
        row = json.loads(first)
    except (ValueError, RecursionError):
        return _COCO_LIST.search(head) is not None
    return sum(isinstance(row.get(key), list) for key in _COCO_KEYS) > 1
