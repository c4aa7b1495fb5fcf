"""Keywords in an XMP packet, as Lightroom, digiKam and darktable write them."""

from __future__ import annotations

import codecs
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from xml.parsers import expat

import msgspec

#: a larger packet is refused; those of photographs have some thousand bytes
MAX_BYTES = 1 << 24
_MAX_DEPTH = 200

_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns# "
_SUBJECT = "http://purl.org/dc/elements/1.1/ subject"
#: tags with their parents, in the order in which they are looked at, and what stands between the names
_HIERARCHIES = {
    "http://ns.adobe.com/lightroom/1.0/ hierarchicalSubject": "|",
    "http://www.digikam.org/ns/1.0/ TagsList": "/",
}

#: our own property: which keywords a model wrote, beside dc:subject
MACHINE_NAMESPACE = "urn:tagfit:xmp:1:"
_MACHINE = f"{MACHINE_NAMESPACE} machineTags"


@dataclass(frozen=True)
class MachineTag:
    """A keyword that a model wrote, not a person.

    Attributes:
        model: which one: the beginning of its lock, and its recipe.
        when: ISO 8601, in UTC.
    """

    keyword: str
    model: str
    when: str


class MalformedXmpError(Exception):
    """A packet cannot be read; the message is the reason, for people."""


def xmp_keywords(packet: bytes, *, plain_only: bool = False) -> list[str]:
    """`dc:subject` as written; where it lists nothing, unless `plain_only`, the last names of the hierarchical tags.

    Raises:
        MalformedXmpError: not well-formed XML, too large or nested too deep, or with a document type, whose entities
            could expand without end.
    """
    found = _properties(packet)
    return found.get(_SUBJECT, []) if plain_only else _keywords(found, ())


def own_keywords(packet: bytes) -> tuple[list[str], list[MachineTag]]:
    """The keywords that no model wrote, as `xmp_keywords` has them, and those that models wrote.

    Raises:
        MalformedXmpError: as `xmp_keywords`.
    """
    found = _properties(packet)
    tags = _machine_tags(found)
    return _keywords(found, {tag.keyword for tag in tags}), tags


def machine_tags(packet: bytes) -> list[MachineTag]:
    """The keywords that models wrote into the packet; what cannot be read among them is passed over.

    Raises:
        MalformedXmpError: as `xmp_keywords`.
    """
    return _machine_tags(_properties(packet))


def _keywords(found: Mapping[str, list[str]], without: Collection[str]) -> list[str]:
    plain = [keyword for keyword in found.get(_SUBJECT, []) if keyword not in without]
    if any(map(str.strip, plain)):
        return plain
    leaves = ([tag.rpartition(sign)[2] for tag in found.get(name, [])] for name, sign in _HIERARCHIES.items())
    return next(filter(None, leaves), [])


def _machine_tags(found: Mapping[str, list[str]]) -> list[MachineTag]:
    tags = []
    for item in found.get(_MACHINE, []):
        try:
            tags.append(msgspec.json.decode(item, type=MachineTag))
        except (msgspec.DecodeError, UnicodeEncodeError):
            continue
    return tags


def _properties(packet: bytes) -> dict[str, list[str]]:
    """The items of each property, by its name."""
    if len(packet) > MAX_BYTES:
        raise MalformedXmpError(f"is larger than {MAX_BYTES >> 20} MB")
    reader = _XmpReader()
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    parser.StartElementHandler, parser.EndElementHandler = reader.start, reader.end
    parser.CharacterDataHandler = reader.text
    parser.StartDoctypeDeclHandler = _refuse_doctype
    try:
        parser.Parse(_trimmed(packet), True)
    except expat.ExpatError as error:
        raise MalformedXmpError(f"is not well-formed XML: {error}") from error
    except (ValueError, LookupError) as error:  # an encoding that expat or Python does not know
        raise MalformedXmpError(f"is not in a known encoding: {error}") from error
    return reader.found


def _refuse_doctype(*_: object) -> None:
    raise MalformedXmpError("has a document type (<!DOCTYPE ...>), which is not read")


def _trimmed(packet: bytes) -> bytes:
    """Without the padding that some programs put around a packet."""
    if packet.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return packet
    return packet.strip(b"\0 \t\r\n")


class _XmpReader:
    """Gathers the items of the properties that are the image's own: those of others may be nested deeper."""

    def __init__(self) -> None:
        self.found: dict[str, list[str]] = {}
        self._open: list[str] = []
        self._property = ""
        self._text: list[str] = []

    def start(self, name: str, _: object) -> None:
        if len(self._open) >= _MAX_DEPTH:
            raise MalformedXmpError(f"is nested deeper than {_MAX_DEPTH} elements")
        is_own = self._open[-2:] == [f"{_RDF}RDF", f"{_RDF}Description"]
        if is_own and (name in (_SUBJECT, _MACHINE) or name in _HIERARCHIES):
            self._property = name
        self._open.append(name)
        self._text = []

    def end(self, name: str) -> None:
        self._open.pop()
        is_item = name in (f"{_RDF}li", self._property)
        if self._property and is_item and (text := "".join(self._text).strip()):
            self.found.setdefault(self._property, []).append(text)
        if name == self._property:
            self._property = ""
        self._text = []

    def text(self, text: str) -> None:
        if self._property:
            self._text.append(text)
