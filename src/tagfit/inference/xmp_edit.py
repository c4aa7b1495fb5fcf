"""Keywords added to an XMP sidecar, whose other bytes all stay as they are."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from xml.parsers import expat
from xml.sax.saxutils import escape

import msgspec

from tagfit.images.xmp import MACHINE_NAMESPACE, MachineTag, MalformedXmpError, machine_tags, xmp_keywords

_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"


@dataclass(frozen=True)
class _Property:
    """A property that lists items: its namespace, the prefix that it gets where it is new, and its name."""

    namespace: str
    prefix: str
    name: str

    @property
    def in_full(self) -> str:
        return f"{self.namespace} {self.name}"

    def element(self, content: str) -> str:
        tag = f"{self.prefix}:{self.name}"
        return f'<{tag} xmlns:{self.prefix}="{self.namespace}">{content}</{tag}>'


_SUBJECT = _Property("http://purl.org/dc/elements/1.1/", "dc", "subject")
_MACHINE = _Property(MACHINE_NAMESPACE, "tagfit", "machineTags")

#: a tag; a value of its attributes may hold what ends tags
_TAG = re.compile(rb"""<(?:[^"'>]|"[^"]*"|'[^']*')*>""")
_NEW = """<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/">
 <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
  <rdf:Description rdf:about="">
  </rdf:Description>
 </rdf:RDF>
</x:xmpmeta>
<?xpacket end="w"?>
"""


def new_packet(keywords: Sequence[str], tags: Sequence[MachineTag] = ()) -> bytes:
    """A packet with these keywords and nothing else; `tags` as in `with_keywords`."""
    return with_keywords(_NEW.encode(), keywords, tags)


def with_keywords(packet: bytes, keywords: Sequence[str], tags: Sequence[MachineTag] = ()) -> bytes:
    """The packet with `keywords` at the end of its `dc:subject`; every other byte is kept.

    Args:
        tags: those of the keywords that a model wrote; they are listed in a property of ours.

    Raises:
        MalformedXmpError: it cannot be read, is not UTF-8, or is written in a way in which nothing can be added.
    """
    before = xmp_keywords(packet)  # which refuses document types, and what is too large or too deep
    changed = _places(packet, _SUBJECT).with_items(keywords) if keywords else packet
    if tags:
        changed = _places(changed, _MACHINE).with_items([msgspec.json.encode(tag).decode() for tag in tags])
    added = [keyword for keyword in xmp_keywords(changed) if keyword in keywords]
    kept = set(before) <= set(xmp_keywords(changed)) and set(tags) <= set(machine_tags(changed))
    if not set(keywords) <= set(added) or not kept:
        raise MalformedXmpError("has a form to which keywords cannot be added")
    return changed


def without_machine_tags(packet: bytes) -> bytes:
    """The packet without the keywords that models wrote, and without their list; every other byte is kept.

    Raises:
        MalformedXmpError: as `with_keywords`.
    """
    written = {tag.keyword for tag in machine_tags(packet)}
    kept = [keyword for keyword in xmp_keywords(packet, plain_only=True) if keyword not in written]
    listed = _places(packet, _MACHINE).without_property()
    changed = _places(listed, _SUBJECT).without_items(written)
    if xmp_keywords(changed, plain_only=True) != kept or machine_tags(changed):
        raise MalformedXmpError("has a form from which keywords cannot be removed")
    return changed


def _places(packet: bytes, wanted: _Property) -> _Places:
    places = _Places(packet, wanted)
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.namespace_prefixes = True
    parser.StartElementHandler = lambda name, given: places.start(name, given, parser.CurrentByteIndex)
    parser.EndElementHandler = lambda name: places.end(parser.CurrentByteIndex)
    parser.CharacterDataHandler = places.characters
    parser.XmlDeclHandler = _demand_utf8
    try:
        packet.decode("utf-8")
        parser.Parse(packet, True)
    except (UnicodeDecodeError, expat.ExpatError) as error:
        raise MalformedXmpError(f"is not UTF-8 without padding, so nothing is added to it: {error}") from error
    return places


def _demand_utf8(version: str, encoding: str | None, standalone: int) -> None:
    if encoding is not None and encoding.lower() not in ("utf-8", "us-ascii"):
        raise MalformedXmpError(f"is in {encoding}; keywords are added to UTF-8 only")


@dataclass
class _Places:
    """Where in a packet a property's items are and go: byte offsets of tags, and how they are spelled."""

    packet: bytes
    wanted: _Property
    _text: str = ""
    #: the text of each item of the property, and where its tags begin and end
    _items: list[tuple[str, int, int]] = field(default_factory=list)
    _open: list[tuple[str, str, int]] = field(default_factory=list)
    _ends: dict[str, tuple[int, str, int]] = field(default_factory=dict)

    def start(self, name: str, given: dict[str, str], at: int) -> None:
        kind = self._kind(_plain(name))
        if kind == "description" and any(_plain(one) == self.wanted.in_full for one in given):
            name = f"{self.wanted.prefix}:{self.wanted.name}"
            raise MalformedXmpError(f"has its {name} as an attribute, so nothing can be added to it")
        self._open.append((kind, _prefix(name), at))
        self._text = ""

    def characters(self, text: str) -> None:
        self._text += text

    def end(self, at: int) -> None:
        kind, prefix, began = self._open.pop()
        if kind == "item":
            self._items.append((self._text.strip(), began, self._after(at)))
        elif kind:
            self._ends.setdefault(kind, (at, prefix, began))

    def _kind(self, name: str) -> str:
        above = self._open[-1][0] if self._open else ""
        if name == f"{_RDF} RDF":
            return "rdf"
        if above == "rdf" and name == f"{_RDF} Description":
            return "description"
        if above == "description" and name == self.wanted.in_full:
            return "" if "property" in self._ends else "property"
        if above == "property" and name in (f"{_RDF} Bag", f"{_RDF} Seq", f"{_RDF} Alt"):
            return "bag"
        return "item" if above == "bag" and name == f"{_RDF} li" else ""

    def with_items(self, texts: Sequence[str]) -> bytes:
        if "description" not in self._ends:
            raise MalformedXmpError("has no rdf:Description, to which keywords could be added")
        rdf = self._ends["description"][1]
        items = "".join(f"<{rdf}li>{escape(text)}</{rdf}li>" for text in texts)
        if "bag" in self._ends:
            return self._put("bag", items)
        bag = f"<{rdf}Bag>{items}</{rdf}Bag>"
        if "property" in self._ends:
            return self._put("property", bag)
        return self._put("description", self.wanted.element(bag))

    def without_items(self, texts: Collection[str]) -> bytes:
        """A property that is left without items goes as well."""
        gone = [(began, end) for text, began, end in self._items if text in texts]
        if len(gone) == len(self._items):
            return self.without_property()
        changed = self.packet
        for began, end in reversed(gone):
            changed = changed[:began] + changed[end:]
        return changed

    def without_property(self) -> bytes:
        if "property" not in self._ends:
            return self.packet
        at, _, began = self._ends["property"]
        return self.packet[:began] + self.packet[self._after(at) :]

    def _after(self, at: int) -> int:
        """Where the tag ends that begins at `at`."""
        return _TAG.match(self.packet, at).end()  # type: ignore[union-attr]  # expat has found one there

    def _put(self, kind: str, content: str) -> bytes:
        """Before the end tag; an element that is one tag gets another that ends it."""
        at, _, began = self._ends[kind]
        tag = self._after(began)
        if self.packet[tag - 2 : tag] != b"/>":
            while self.packet[at - 1 : at].isspace():
                at -= 1
            return self.packet[:at] + content.encode() + self.packet[at:]
        close = tag - 2
        name = self.packet[began + 1 : close].split()[0]
        return self.packet[:close] + b">" + content.encode() + b"</" + name + b">" + self.packet[close + 2 :]


def _plain(name: str) -> str:
    return " ".join(name.split(" ")[:2])


def _prefix(name: str) -> str:
    return f"{name.split(' ')[2]}:" if name.count(" ") == 2 else ""
