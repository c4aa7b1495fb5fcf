"""Documents that tools write (JSON, JSON lines, tables with JSON in their cells, XML), read by typed access.

A value of another type than expected is a fault with its place; `gather` collects the faults of all records.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar
from xml.etree import ElementTree

from tagfit.data.sources.columns import IMAGE_NAMES, pick
from tagfit.data.sources.delimited import read_delimited
from tagfit.data.sources.faults import Faults, shortened
from tagfit.data.sources.listing import Head
from tagfit.data.sources.parts import PART_NAMES
from tagfit.data.sources.reading import Reading
from tagfit.data.sources.rows import Row
from tagfit.data.sources.table import Table
from tagfit.data.sources.text import lines_of, read_bytes, read_text
from tagfit.errors import DataError
from tagfit.images.decode import IMAGE_SUFFIXES

T = TypeVar("T")
U = TypeVar("U")

_MAX_DEPTH = 200


@dataclass(frozen=True, slots=True)
class Node:
    """A value of a document and its place; asked for something that it is not, it raises `DataError`.

    Attributes:
        lines: the line of each item, if each is a record on a line of its own.
    """

    value: object
    place: str
    lines: Sequence[int] = ()

    def get(self, key: str) -> Node:
        """The value of a key; null if it is missing, or if this is null itself."""
        return Node(self._object().get(key), f"{self.place}.{key}")

    def first(self, *keys: str) -> Node:
        """The value of the first of several keys that is there."""
        return next((node for node in map(self.get, keys) if node.value is not None), self.get(keys[0]))

    @property
    def pairs(self) -> list[tuple[str, Node]]:
        """The keys of an object with their values; nothing if this is null."""
        return [(str(key).strip(), Node(value, f"{self.place}.{key}")) for key, value in self._object().items()]

    def _object(self) -> dict[str, object]:
        if not isinstance(self.value, dict | None):
            raise self.wrong("an object")
        return self.value or {}

    @property
    def items(self) -> list[Node]:
        """What is in a list; nothing if this is null."""
        if not isinstance(self.value, list | None):
            raise self.wrong("a list")
        places = [f":{line}" for line in self.lines] or [f"[{at}]" for at in range(len(self.value or ()))]
        return [Node(value, self.place + place) for value, place in zip(self.value or (), places, strict=True)]

    @property
    def records(self) -> list[Node]:
        """The items of a list; of anything else, itself."""
        return self.items if isinstance(self.value, list) else [self]

    @property
    def text(self) -> str:
        """A text that is not blank."""
        if not isinstance(self.value, str) or not self.value.strip():
            raise self.wrong("a text")
        return self.value.strip()

    @property
    def id(self) -> str:
        """A text or a whole number, as text."""
        is_number = isinstance(self.value, int) and not isinstance(self.value, bool)
        return str(self.value) if is_number else self.text

    @property
    def texts(self) -> list[str]:
        """The texts of a list; of a single text, itself; nothing if this is null or blank."""
        return [] if self.value in (None, "") else [node.text for node in self.records]

    @property
    def number(self) -> int:
        """A whole number, also if it is written as text."""
        if not re.fullmatch(r"-?[0-9]{1,9}", self.id):
            raise self.wrong("a whole number")
        return int(self.id)

    def wrong(self, expected: str) -> DataError:
        return DataError(f"{self.place}: expected {expected}; got {shortened(self.value)}.")


def gather(records: Iterable[T], make: Callable[[T], U | None], faults: Faults) -> list[U]:
    """What is made of each record, if it makes something; what is wrong with the others is collected."""
    made = []
    for record in records:
        try:
            made.append(make(record))
        except DataError as error:
            for fault in error.faults:
                faults.add(fault, error.todo)
    return [one for one in made if one is not None]


def image_of(data: Node) -> Node:
    """Of an object, the value that names its image: by its key, else by its ending."""
    found = dict(data.pairs)
    named = (key for key, node in found.items() if isinstance(node.value, str) and _is_image(node.value))
    return data.get(pick(found, IMAGE_NAMES) or next(named, "image"))


def _is_image(text: str) -> bool:
    return re.sub(r"[?#].*", "", text).lower().endswith(IMAGE_SUFFIXES)


def label_keys(values: Mapping[str, Sequence[object]], reading: Reading, name: str) -> Sequence[str]:
    """Which keys of a tool's rows hold labels: lists and objects do; so do texts that recur, if in one key alone.

    Raises:
        DataError: that is not clear, or what was named is not there.
    """
    structured = [key for key, held in values.items() if any(isinstance(value, list | dict) for value in held)]
    texts = [key for key, held in values.items() if key not in structured and any(isinstance(one, str) for one in held)]
    recurring = [key for key in texts if len(set(map(str, values[key]))) < len(values[key])]
    found = [*structured, *recurring] or texts
    beside = f"{name}: beside the images it holds {', '.join(map(shortened, values)) or 'nothing'}"
    if missing := [key for key in reading.label_columns if key not in values]:
        raise DataError(f"{beside}, and no {missing[0]!r}.")
    if not reading.label_columns and (not found or (len(found) > 1 and (recurring or not structured))):
        option = f"--label-column {(found or ['choice'])[0]} (label_column)"
        raise DataError(f"{beside}; it is not clear what the labels are.", f"Name them with {option}.")
    return reading.label_columns or found


def with_parts(rows: Sequence[Row]) -> list[Row]:
    """The rows with their split if it puts every image into a part, train among them; else without."""
    parts = {PART_NAMES.get((row.split or "").lower()) for row in rows}
    return list(rows) if "train" in parts and None not in parts else [replace(row, split=None) for row in rows]


# --------------------------------------------------------------------------------------------------- JSON


def read_document(path: Path, name: str, faults: Faults) -> Node:
    """A JSON document; JSON lines and delimited text as the list of their records.

    Raises:
        DataError: neither, or not UTF-8.
    """
    text = read_text(path, name)
    if text.lstrip()[:1] not in ("{", "["):
        return _of_table(read_table(path, name, faults))
    try:
        return Node(json.loads(text), name)
    except RecursionError as error:
        raise DataError(f"{name}: is nested too deep.") from error
    except ValueError as error:
        if not isinstance(_parsed(text.lstrip().partition("\n")[0]), dict):
            raise DataError(f"{name}: is not JSON: {error}.", "Export it again, or repair it there.") from error
    values = {at: _parsed(line) for at, line in enumerate(lines_of(text), 1) if line.strip()}
    for at in (at for at, value in values.items() if value is None):
        faults.add(f"{name}:{at}: is not JSON.", "Expected one object a line.")
    values = {at: value for at, value in values.items() if value is not None}
    return Node(list(values.values()), name, list(values))


def read_table(path: Path, name: str, faults: Faults) -> Table:
    """Delimited text with a header line."""
    return read_delimited(path, name, Reading(), faults)


def _of_table(table: Table) -> Node:
    """The rows of a table; cells that are JSON are read as such, empty ones are null."""
    columns = [[_cell(str(cell).strip()) for cell in cells] for cells in table.columns.values()]
    rows: list[object] = [dict(zip(table.columns, row, strict=True)) for row in zip(*columns, strict=True)]
    return Node(rows, table.source, [int(place.rpartition(":")[2]) for place in table.where])


def _cell(text: str) -> object:
    value = _parsed(text) if text[:1] in ("{", "[") else None
    return (text or None) if value is None else value


def _parsed(text: str) -> object:
    try:
        value: object = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value


def fields(head: Head) -> frozenset[str]:
    """The keys of the JSON at the head of a file, or the cells of its first line."""
    first = head.lines[0] if head.lines else ""
    return head.keys or frozenset(cell.strip(' "#') for cell in re.split(r"[,;\t]", first))


# ---------------------------------------------------------------------------------------------------- XML


class _Builder(ElementTree.TreeBuilder):
    """Refuses document types, whose entities could expand without end, and what is nested too deep."""

    _depth = 0

    def start(self, tag: str, attrs: dict[str, str], /) -> ElementTree.Element:
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise DataError(f"is nested deeper than {_MAX_DEPTH} elements.")
        return super().start(tag, attrs)

    def end(self, tag: str, /) -> ElementTree.Element:
        self._depth -= 1
        return super().end(tag)

    def doctype(self, *_: object) -> None:
        raise DataError("has a document type (<!DOCTYPE ...>), which is not read.")


def read_xml(path: Path, name: str) -> ElementTree.Element:
    """The root of an XML file.

    Raises:
        DataError: not well-formed, nested too deep, or with a document type.
    """
    parser = ElementTree.XMLParser(target=_Builder())
    try:
        parser.feed(read_bytes(path).strip())
        root: ElementTree.Element = parser.close()
    except DataError as error:
        raise DataError(f"{name}: {error.faults[0]}", error.todo) from None
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise DataError(f"{name}: is not well-formed XML: {error}.", "Export it again, or repair it there.") from error
    return root
