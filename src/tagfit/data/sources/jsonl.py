"""JSON lines, and JSON documents that are a list of objects or a mapping from images to labels, read into a `Table`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from tagfit.data.sources.columns import LABELS_NAMES, pick
from tagfit.data.sources.faults import Faults, shortened
from tagfit.data.sources.table import Table
from tagfit.data.sources.text import lines_of, read_text
from tagfit.images.decode import IMAGE_SUFFIXES

#: what people call the labels of an image's objects
_CATEGORY = ("categories", "category", "labels", "label")
_OBJECTS = 'Expected "objects": {"bbox": [...], "categories": ["boat", "sea"]}.'


def read_json(path: Path, name: str, faults: Faults) -> Table:
    """Read one JSON object a line, a list of objects, or `{"a.jpg": ["beach"]}`.

    Lines that are no objects are faults and left out, blank lines are skipped. A key that only some objects have is a
    missing cell in the others. Messages call the file `name`.
    """
    text = read_text(path, name)
    objects = _of_document(text, name) or list(_of_lines(text, name, faults))
    rows, where = [row for _, row in objects], [place for place, _ in objects]
    keys = list(dict.fromkeys(key for row in rows for key in row))
    columns: dict[str, Sequence[object]] = {key: [row.get(key) for row in rows] for key in keys}
    return Table(name, name, _with_labels_of_objects(columns, where, faults), where)


def _of_lines(text: str, name: str, faults: Faults) -> Iterator[tuple[str, Mapping[str, object]]]:
    for number, line in enumerate(lines_of(text), 1):
        place = f"{name}:{number}"
        if line.strip() and (row := _object(line, place, faults)) is not None:
            yield place, row


def _of_document(text: str, name: str) -> list[tuple[str, Mapping[str, object]]]:
    """The objects of one document over the whole file; none if it is no such document."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return []
    if isinstance(document, list) and all(isinstance(row, dict) for row in document):
        return [(f"{name}: [{number}]", _stripped(row)) for number, row in enumerate(document)]
    if isinstance(document, dict) and names_images(document):
        rows = ((key, row if isinstance(row, dict) else {"labels": row}) for key, row in document.items())
        return [(f"{name}: {shortened(key)}", {"image": key, **_stripped(row)}) for key, row in rows]
    return []


def names_images(document: Iterable[str]) -> bool:
    """Whether most keys of a document are names of images."""
    keys = list(document)
    return 2 * sum(key.lower().endswith(IMAGE_SUFFIXES) for key in keys) > len(keys)


def _stripped(row: Mapping[str, object]) -> dict[str, object]:
    return {name.strip(): value for name, value in row.items()}


def _with_labels_of_objects(
    columns: dict[str, Sequence[object]], where: Sequence[str], faults: Faults
) -> dict[str, Sequence[object]]:
    """Hugging Face's metadata for detection: without a column of labels, those of `objects` are the image's."""
    name = pick(columns, ("objects",))
    if name is None or pick(columns, LABELS_NAMES) is not None:
        return columns
    labels = [_labels_of(objects) for objects in columns[name]]
    for objects, found, place in zip(columns[name], labels, where, strict=True):
        if found is None:
            faults.add(f"{place}: {name} has no categories; got {shortened(objects)}.", _OBJECTS)
    return {key: cells for key, cells in columns.items() if key != name} | {"labels": [found or [] for found in labels]}


def _labels_of(objects: object) -> list[object] | None:
    """The labels in `{"categories": [...]}` or in a list of objects with a `category` each; None if there are none."""
    if isinstance(objects, list) and all(isinstance(each, dict) for each in objects):
        singles = [pick(each, _CATEGORY) for each in objects]
        return None if None in singles else [each[key] for each, key in zip(objects, singles, strict=True) if key]
    key = pick(objects, _CATEGORY) if isinstance(objects, dict) else None
    listed = objects[key] if key is not None and isinstance(objects, dict) else None
    return listed if isinstance(listed, list) else None


def _object(line: str, place: str, faults: Faults) -> dict[str, object] | None:
    """The object of a line; None after a fault."""

    def distinct(pairs: Sequence[tuple[str, object]]) -> dict[str, object]:
        values = dict(pairs)
        if len(values) < len(pairs):
            faults.add(f"{place}: a key occurs twice in one object.")
        return values

    try:
        row = json.loads(line, object_pairs_hook=distinct)
    except (ValueError, RecursionError) as error:
        faults.add(f"{place}: is not JSON: {error}.", 'Expected lines such as {"image": "a.jpg", "labels": ["beach"]}.')
        return None
    if not isinstance(row, dict):
        faults.add(f"{place}: expected a JSON object; got {line.strip()[:40]}.")
        return None
    return _stripped(row)
