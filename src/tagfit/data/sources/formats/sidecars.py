"""One JSON beside each image: labelme's flags and shapes, Supervisely's tags and objects, V7 Darwin's annotations.

An image without such a file was not labelled.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

from tagfit.data.sources.beside import Beside, each_beside, files_beside
from tagfit.data.sources.documents import Node, fields, read_document
from tagfit.data.sources.faults import Faults
from tagfit.data.sources.reader import Reader
from tagfit.data.sources.rows import Row
from tagfit.data.sources.task import folder_reader


def _labelme(document: Node) -> tuple[set[str], set[str]]:
    """Flags that are on and the labels of shapes, and flags that are off."""
    flags = document.get("flags").pairs
    given = {shape.get("label").text for shape in document.get("shapes").items}
    given |= {name for name, node in flags if node.value is True}
    return given, {name for name, _ in flags} - given


def _supervisely(document: Node) -> tuple[set[str], set[str]]:
    tags = {tag.get("name").text for tag in document.get("tags").items}
    return tags | {one.get("classTitle").text for one in document.get("objects").items}, set()


def _darwin(document: Node) -> tuple[set[str], set[str]]:
    return {one.get("name").text for one in document.get("annotations").items}, set()


def _reader(code: str, title: str, keys: Collection[str], names: Callable[[Node], tuple[set[str], set[str]]]) -> Reader:
    def row(file: Beside) -> Row:
        yes, no = names(read_document(file.path, file.name, Faults()))
        return Row(file.image, file.name, yes, no=no)

    return folder_reader(
        code,
        title,
        lambda listing: files_beside(listing, ".json", lambda head: fields(head).issuperset(keys)),
        lambda task: task.rows(each_beside(task), row),
    )


LABELME = _reader("labelme", "labelme's JSON beside each image", ("version", "flags", "shapes"), _labelme)
SUPERVISELY = _reader(
    "supervisely", "Supervisely's JSON beside each image", ("description", "tags", "size", "objects"), _supervisely
)
DARWIN = _reader("darwin", "V7's Darwin JSON, one an image", ("item", "slots", "annotations"), _darwin)
