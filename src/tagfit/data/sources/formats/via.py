"""VGG Image Annotator: its projects, and its exports as JSON and CSV, of versions 1 to 3.

A ticked box of an attribute is a label, and so is the value of a text or a choice, whether of a file or of a region.
An image without any attribute is blank; one whose boxes are all unticked has none of the labels.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from tagfit.data.sources.documents import Node, label_keys
from tagfit.data.sources.rows import Row, Rows
from tagfit.data.sources.task import Task, document_reader


def _rows(document: Node, task: Task) -> Rows:
    held: dict[str, list[tuple[str, Node]]] = {}
    places: dict[str, str] = {}
    for image, attributes in _entries(document):
        places.setdefault(image.text, image.place)
        held.setdefault(image.text, []).extend(attributes.pairs)
    values: dict[str, list[object]] = {}
    for key, node in (pair for pairs in held.values() for pair in pairs):
        if node.value not in (None, ""):
            values.setdefault(key, []).append(node.value)
    keys = label_keys(values, task.reading, task.name)

    def row(image: str) -> Row:
        given = [node for key, node in held[image] if key in keys]
        return Row(image, places[image], {name for node in given for name in _named(node)}, is_blank=not given)

    return task.rows(held, row)


def _named(value: Node) -> list[str]:
    if isinstance(value.value, dict):
        return [option for option, node in value.pairs if node.value in (True, "true")]
    return value.texts


def _entries(document: Node) -> Iterator[tuple[Node, Node]]:
    """Images with the attributes of the file or of one of its regions."""
    if isinstance(document.value, list):
        for row in document.items:
            for key in ("file_attributes", "region_attributes"):
                yield row.first("filename", "#filename"), row.get(key)
    elif document.get("attribute").value is not None:
        yield from _of_version_3(document)
    else:
        metadata = document.get("_via_img_metadata")
        for _, entry in (metadata if metadata.value is not None else document).pairs:
            regions = entry.get("regions")
            each = regions.items if isinstance(regions.value, list) else [one for _, one in regions.pairs]
            for attributes in (entry.get("file_attributes"), *(one.get("region_attributes") for one in each)):
                yield entry.get("filename"), attributes


def _of_version_3(project: Node) -> Iterator[tuple[Node, Node]]:
    images = {}
    for view, node in project.get("view").pairs:
        for file in node.get("fid_list").items[:1]:
            images[view] = project.get("file").get(file.id).get("fname")
            yield images[view], Node({}, node.place)
    for _, entry in project.get("metadata").pairs:
        if (view := entry.get("vid").id) in images:
            given = dict(_given(project.get("attribute").get(key), node) for key, node in entry.get("av").pairs)
            yield images[view], Node(given, entry.place)


def _given(attribute: Node, value: Node) -> tuple[str, object]:
    """The name of an attribute, and the options that were chosen, which are written as `0,2`; or a text."""
    options = dict(attribute.get("options").pairs)
    if not options and not re.fullmatch(r"[\d,]*", str(value.value)):
        return attribute.get("aname").text, value.value
    keys = [key for key in str(value.value).split(",") if key]
    if unknown := [key for key in keys if key not in options]:
        raise value.wrong(f"numbers of options of the attribute, not {unknown[0]!r}")
    return attribute.get("aname").text, {options[key].text: True for key in keys}


VIA = document_reader(
    "via",
    "a VGG Image Annotator (VIA) export",
    [
        ("filename", "regions"),
        ("filename", "region_attributes"),
        ("_via_img_metadata",),
        ("project", "metadata", "fname", "fid_list"),
    ],
    _rows,
    options=("label_column",),
)
